"""Describe the inputs and outputs of a bundle in JSON, so that any language can feed it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, assert_never

import polars as pl
import torch

from recsys import __version__
from recsys.bundle_folder import FORMAT
from recsys.config import Config, ResolvedConfig
from recsys.config.feature_types import FeatureSection
from recsys.config.kept import kept_file
from recsys.export.sides import user_inputs
from recsys.features.fingerprint import HASH, NULL_KEY, xxhash64_keys
from recsys.features.state import TransformState

__all__ = ["signature"]


HASHED = ("", "Rome", "Žižkov", "a string that is longer than thirty-two bytes")
"""Texts with which a client in another language tests its hash: no bytes, a few, some beyond ASCII, a whole block."""


def signature(
    resolved: ResolvedConfig,
    state: TransformState,
    *,
    metrics: dict[str, float],
    model_file: str,
    sha256: str,
    user_columns: Sequence[str] = (),
) -> dict[str, Any]:
    """Describe a model: its inputs, outputs, and how raw columns become inputs.

    Args:
        resolved: the configuration of the model.
        state: the fitted state, which knows the kind of key of each column.
        metrics: figures of the training, copied.
        model_file: name of the file of the model.
        sha256: checksum of that file, in hexadecimal.
        user_columns: raw columns that say something of the user, beside histories and the column `group`.

    Raises:
        ExportError: no feature reads such a column.
    """
    of_user = user_inputs(resolved, user_columns)
    inputs = [_input(name, feature, state) for name, feature in resolved.features.items()]
    return {
        "format": FORMAT,
        "hash": HASH,
        "hash_tests": [
            {"text": text, "key": str(key)} for text, key in zip(HASHED, xxhash64_keys(pl.Series(HASHED)), strict=True)
        ],
        "inputs": [declared | {"user": declared["name"] in of_user} for declared in inputs if declared],
        "outputs": [{"name": f"score.{task}", "task": task, "dtype": "float64"} for task in resolved.config.labels],
        "versions": {"recsys": __version__, "torch": str(torch.__version__)},
        "metrics": metrics,
        "sha256": {model_file: sha256},
        "key_kinds": dict(state.key_kinds),
        "config": _config(resolved.config),
    }


def _config(config: Config) -> dict[str, Any]:
    """Return a configuration in which files have their names, but no folders of the machine on which it was trained."""
    features = {name: _anywhere(feature) for name, feature in config.features.items()}
    splits = {split: getattr(config.data, split) for split in ("train", "valid", "test")}
    files = {split: _names(paths) for split, paths in splits.items()}
    return config.model_copy(update={"features": features, "data": config.data.model_copy(update=files)}).model_dump(
        mode="json"
    )


def _anywhere(feature: FeatureSection) -> FeatureSection:
    kept = kept_file(feature)
    if kept is None:
        return feature
    return feature.model_copy(update={"kept": kept.model_copy(update={"file": _name(kept.file)})})


def _names(paths: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
    return tuple(map(_name, paths)) if isinstance(paths, tuple) else paths and _name(paths)


def _name(path: str) -> str:
    """Return the name of the file that an absolute path leads to, and any other path as it is."""
    return Path(path).name if Path(path).is_absolute() else path


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
