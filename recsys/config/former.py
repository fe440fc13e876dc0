"""Read what a run keeps of its configuration if a former version wrote it, which had other keys and defaults."""

from collections.abc import Mapping
from typing import Any

from recsys.config.lr_schedules import ConstantLr
from recsys.config.run import Config

__all__ = ["current_values", "recall_defaults"]

FORMER_DEFAULTS: Mapping[str, Any] = {"lr_schedule": ConstantLr()}
"""Keys of `train` that former versions had not, or had with another default, and what runs had then."""


def current_values(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the values of a run's own file in the keys of this version; what such a file leaves out is stated.

    >>> current_values({"train": {"epochs": 3, "lr_reduction": {"factor": 0.5, "patience": 1}}})
    {'train': {'epochs': 3, 'lr_schedule': {'name': 'plateau', 'factor': 0.5, 'patience': 1}}}
    """
    schedule: Any
    match values.get("train"):
        case {"lr_reduction": {**keys}, **train}:
            schedule = {"name": "plateau", **keys}
        case {"lr_schedule": {"decay": name, **keys}, **train}:
            schedule = {"name": name, **keys}
        case {**train}:
            schedule = train.get("lr_schedule", FORMER_DEFAULTS["lr_schedule"])
        case _:
            return values
    return {**values, "train": {**train, "lr_schedule": schedule}}


def recall_defaults(config: Config, before: Config) -> Config:
    """Return the configuration of a resumed run with the defaults with which the run began, where it states nothing.

    Args:
        config: that with which the run is resumed.
        before: that of the run.
    """
    recalled = {
        key: default
        for key, default in FORMER_DEFAULTS.items()
        if key not in config.train.model_fields_set and getattr(before.train, key) == default
    }
    return config.replaced(train=config.train.model_copy(update=recalled))
