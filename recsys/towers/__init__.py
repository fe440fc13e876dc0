"""Towers turn the embeddings of a row into its logits. One file a paper; `recsys.config.towers` registers them."""

from typing import Any

from recsys.config.towers import TOWERS, TowerSection
from recsys.errors import ConfigError
from recsys.towers.base import Behaviour, BehaviourInputs, Tower, TowerInputs
from recsys.towers.ranking import Ranking, SplitColumns

__all__ = [
    "Behaviour",
    "BehaviourInputs",
    "Ranking",
    "SplitColumns",
    "Tower",
    "TowerInputs",
    "build_tower",
    "register_tower",
    "tower_class",
]


def tower_class(config: TowerSection) -> type[Tower]:
    """Return the class that a `model` section configures, and import it if it has not been.

    Raises:
        ConfigError: there is no such module or class, the module cannot be run, or the class is not a `Tower`.
    """
    return TOWERS.implementation(config, Tower, where="model.tower")  # type: ignore[type-abstract]


def register_tower(tower: type[Tower]) -> type[Tower]:
    """Make a tower usable by the name that its `section` states, and return it; also a class decorator.

    Raises:
        ConfigError: it has no section of its own, or the name is taken.
    """
    TOWERS.add_class(tower)
    return tower


def build_tower(inputs: TowerInputs, config: TowerSection) -> Tower:
    """Build the tower that `config.tower` names.

    Raises:
        ConfigError: the tower does not fit the config or the inputs.
    """
    cls = tower_class(config)
    if config.needs_equal_dims and len(set(inputs.dims)) > 1:
        raise ConfigError(f"model.tower: {config.tower} needs fields of one width, got {sorted(set(inputs.dims))}")
    if config.needs_behaviours and not inputs.behaviours:
        raise ConfigError(
            f"model.tower: {config.tower} needs a feature of type sequence that is `of` another, got none"
        )
    build: Any = cls  # the constructors differ in the type of their config
    tower: Tower = build(inputs, config)
    return tower
