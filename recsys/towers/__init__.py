"""Towers: from the embeddings of a row to its logits. One file a paper; `TOWERS` names them all."""

import importlib
from typing import Any

from recsys.config.towers import Model
from recsys.errors import ConfigError
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
    module_name, colon, class_name = name.partition(":")
    if not colon:
        raise ConfigError(f"model.tower: must be one of {', '.join(TOWERS)}, or package.module:Class, got {name!r}")
    found = getattr(_module(module_name, where=name), class_name, None)
    if found is None:
        raise ConfigError(f"model.tower: module {module_name} has no {class_name!r}, got {name!r}")
    if not (isinstance(found, type) and issubclass(found, Tower)):
        raise ConfigError(f"model.tower: must be a subclass of recsys.towers.Tower, got {name!r}")
    return found


def _module(name: str, *, where: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # found, but it imports something that is not there
        raise ConfigError(
            f"model.tower: cannot find the module {error.name}, got {where!r}; its folder must be on PYTHONPATH"
        ) from error


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
