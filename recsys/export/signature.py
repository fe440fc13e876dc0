"""What a bundle takes and gives, in JSON: enough to feed it from any language, and to canonicalise raw files."""

from typing import Any

import torch

from recsys import __version__
from recsys.config import ResolvedConfig
from recsys.config.features import (
    BucketFeature,
    CrossFeature,
    DatetimeFeature,
    Feature,
    IdsFeature,
    NumberFeature,
    SequenceFeature,
)
from recsys.features.fingerprint import HASH_VERSION, NULL_KEY
from recsys.features.state import TransformState

__all__ = ["FORMAT", "HASH", "signature"]

FORMAT = 1
"""Version of the bundle's files."""
HASH = f"xxhash64/{HASH_VERSION}"


def signature(
    resolved: ResolvedConfig, state: TransformState, *, metrics: dict[str, float], sha256: str
) -> dict[str, Any]:
    """Describe a model: its inputs, outputs, and how raw columns become inputs.

    Args:
        resolved: the model's.
        state: gives the kind of key of each column.
        metrics: of training, copied.
        sha256: of model.pt, in hexadecimal.
    """
    inputs = [_input(name, feature, state) for name, feature in resolved.features.items()]
    return {
        "format": FORMAT,
        "hash": HASH,
        "inputs": [declared for declared in inputs if declared],
        "outputs": [{"name": f"score.{task}", "task": task, "dtype": "float64"} for task in resolved.config.labels],
        "versions": {"recsys": __version__, "torch": str(torch.__version__)},
        "metrics": metrics,
        "sha256": {"model.pt": sha256},
        "key_kinds": dict(state.key_kinds),
        "config": resolved.config.model_dump(mode="json"),
    }


def _input(name: str, feature: Feature, state: TransformState) -> dict[str, Any] | None:
    """Describe one input; a cross has none of its own."""
    if isinstance(feature, CrossFeature):
        return None
    column = feature.column or name
    declared: dict[str, Any] = {"name": name, "kind": feature.type, "column": column}
    if isinstance(feature, (NumberFeature, BucketFeature)):
        return declared | {"dtype": "float64", "tensors": {name: "(rows,)"}, "null": "NaN"}
    declared |= {"dtype": "int64", "null": NULL_KEY}
    if isinstance(feature, DatetimeFeature):
        return declared | {
            "tensors": {name: "(rows,)"},
            "is": "Unix seconds, UTC",
            "format": feature.format,
            "unit": feature.unit,
        }
    declared["key"] = state.key_kinds[name]
    if isinstance(feature, (IdsFeature, SequenceFeature)):
        tensors = {f"{name}.values": "(values,)", f"{name}.lengths": "(rows,)"}
        return declared | {"tensors": tensors, "separator": feature.separator, "max_len": feature.max_len}
    return declared | {"tensors": {name: "(rows,)"}}
