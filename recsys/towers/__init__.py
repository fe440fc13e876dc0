"""Towers: from the embeddings of a row to its logits. One file a paper; `TOWERS` names them all."""

from typing import Any

from recsys.config.towers import Model
from recsys.errors import ConfigError
from recsys.registry import load_class
from recsys.towers.autoint import AutoInt
from recsys.towers.base import Behaviour, BehaviourInputs, Tower, TowerInputs
from recsys.towers.din import Din
from recsys.towers.fm import Fm
from recsys.towers.lr import Lr
from recsys.towers.mlp import Mlp

__all__ = [
    "TOWERS",
    "AutoInt",
    "Behaviour",
    "BehaviourInputs",
    "Din",
    "Fm",
    "Lr",
    "Mlp",
    "Tower",
    "TowerInputs",
    "build_tower",
    "tower_class",
]

TOWERS: dict[str, type[Tower]] = {"autoint": AutoInt, "din": Din, "fm": Fm, "lr": Lr, "mlp": Mlp}


def tower_class(name: str) -> type[Tower]:
    """Return the class of a tower of `TOWERS`, or of the user's own, named `package.module:Class`.

    The latter imports, and so runs, the user's module. What it raises while being imported is not caught, except that
    the module itself cannot be found.

    Raises:
        ConfigError: There is no such tower, module or class, or the class is not a `Tower`.
    """
    if name in TOWERS:
        return TOWERS[name]
    if ":" not in name:
        raise ConfigError(f"model.tower: must be one of {', '.join(TOWERS)}, or package.module:Class, got {name!r}")
    return load_class(name, Tower, where="model.tower")  # type: ignore[type-abstract]


def build_tower(inputs: TowerInputs, config: Model) -> Tower:
    """Build the tower that `config.tower` names.

    Raises:
        ConfigError: The tower does not fit the config or the inputs.
    """
    cls = tower_class(config.tower)
    if cls.needs_equal_dims and len(set(inputs.dims)) > 1:
        raise ConfigError(f"model.tower: {config.tower} needs fields of one width, got {sorted(set(inputs.dims))}")
    build: Any = cls  # the constructors differ in the type of their config
    tower: Tower = build(inputs, config)
    return tower
