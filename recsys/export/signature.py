"""Describe the inputs and outputs of a bundle in JSON, so that any language can feed it."""

from typing import Any, assert_never

import torch

from recsys import __version__
from recsys.bundle_folder import FORMAT
from recsys.config import ResolvedConfig
from recsys.config.feature_types import FeatureSection
from recsys.features.fingerprint import HASH, NULL_KEY
from recsys.features.state import TransformState

__all__ = ["signature"]


def signature(
    resolved: ResolvedConfig, state: TransformState, *, metrics: dict[str, float], sha256: str
) -> dict[str, Any]:
    """Describe a model: its inputs, outputs, and how raw columns become inputs.

    Args:
        resolved: the configuration of the model.
        state: the fitted state, which knows the kind of key of each column.
        metrics: figures of the training, copied.
        sha256: checksum of the scripted model, in hexadecimal.
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
