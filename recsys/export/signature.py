"""What a bundle takes and gives, in JSON: enough to feed it from any language, and to canonicalise raw files."""

from typing import Any, assert_never

import torch

from recsys import __version__
from recsys.config import ResolvedConfig
from recsys.config.feature_types import FeatureSection
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


def _input(name: str, feature: FeatureSection, state: TransformState) -> dict[str, Any] | None:
    """Describe the input of a feature; None if it is made of other features."""
    declared: dict[str, Any] = {"name": name, "kind": feature.type, "column": feature.column_of(name)}
    match feature.input:
        case "float64":
            declared |= {"dtype": "float64", "tensors": {name: "(rows,)"}, "null": "NaN"}
        case "int64":
            declared |= {"dtype": "int64", "tensors": {name: "(rows,)"}, "null": NULL_KEY}
        case "lists":
            tensors = {f"{name}.values": "(values,)", f"{name}.lengths": "(rows,)"}
            declared |= {"dtype": "int64", "tensors": tensors, "null": NULL_KEY}
        case None:
            return None
        case _:
            assert_never(feature.input)
    if feature.has_keys:
        declared["key"] = state.key_kinds[name]
    return declared | feature.input_facts()
