"""Read what a run keeps of its configuration if a former version wrote it, which had other keys and defaults."""

from collections.abc import Mapping
from typing import Any

from recsys.config.lr_schedules import ConstantLr
from recsys.config.run import Config, Regularization
from recsys.config.section import Section

__all__ = ["current_values", "recall_defaults"]

FORMER_DEFAULTS: Mapping[str, Any] = {
    "epochs": 10,
    "batch_size": 4096,
    "sparse_optimizer": {"lr": 0.05},
    "dense_optimizer": {"lr": 1e-3},
    "regularization": {"rows": 0.0},
    "lr_schedule": ConstantLr(),
}
"""Keys of `train` that former versions had not, or had with another default, and what runs had then."""


def current_values(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the values of a run's own file in the keys of this version; what such a file leaves out is stated.

    >>> current_values({"train": {"epochs": 3, "lr_reduction": {"factor": 0.5, "patience": 1}}})
    {'train': {'epochs': 3, 'lr_schedule': {'name': 'plateau', 'factor': 0.5, 'patience': 1}}}
    """
    schedule: Any
    match values.get("train"):
        case {"lr_schedule": {"name": _}}:  # every run of this version states it
            return values
        case {"lr_reduction": {**keys}, **train}:
            schedule = {"name": "plateau", **keys}
        case {"lr_schedule": {"decay": name, **keys}, **train}:
            schedule = {"name": name, **keys}
        case {**train}:
            schedule = FORMER_DEFAULTS["lr_schedule"]
        case _:
            return values
    return {**values, "train": {**train, **_scaled_penalty(train), "lr_schedule": schedule}}


def _scaled_penalty(train: Mapping[Any, Any]) -> Mapping[str, Any]:
    """Return the key `regularization` with a penalty that is scaled to the batches, as former versions' was not."""
    match train:
        case {"batch_size": int(batch_size), "regularization": {"rows": float(rows), **others}}:
            return {"regularization": {**others, "rows": rows * (batch_size / Regularization.BATCH_SIZE)}}
    return {}


def recall_defaults(config: Config, before: Config) -> Config:
    """Return the configuration of a resumed run with the defaults with which the run began, where it states nothing.

    Args:
        config: that with which the run is resumed.
        before: that of the run.
    """
    return config.replaced(train=_recalled(config.train, before.train, FORMER_DEFAULTS))


def _recalled(section: Section, before: Section, defaults: Mapping[str, Any]) -> Section:
    recalled = {}
    for key, default in defaults.items():
        now, then = getattr(section, key), getattr(before, key)
        if isinstance(default, Mapping):
            recalled[key] = _recalled(now, then, default)
        elif key not in section.model_fields_set and then == default:
            recalled[key] = default
    return section.model_copy(update=recalled)
