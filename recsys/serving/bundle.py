"""Open a bundle: its description is read and checked before its model is loaded.

A bundle is a program, TorchScript or one of torch.export, which torch runs. Whoever made it decides what it does.
"""

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from recsys.bundle_folder import FORMAT, MODEL_FILES, BundleFolder, ModelFormat
from recsys.checksums import read_checksums, read_json, sha256_of, verify_all
from recsys.config import Config, ResolvedConfig, resolve
from recsys.data.model_inputs import Inputs
from recsys.errors import DataError
from recsys.features.fingerprint import HASH
from recsys.features.state import TransformState
from recsys.run_folder import RunFolder
from recsys.serving.program import Program

__all__ = ["EXPORT_AGAIN", "LoadedBundle", "open_bundle"]

_FORMATS = {name: model_format for model_format, name in MODEL_FILES.items()}

EXPORT_AGAIN = "export the run again with this release"


@dataclass(frozen=True, slots=True)
class LoadedBundle:
    """A bundle that is ready to score."""

    model: torch.jit.ScriptModule | Program
    resolved: ResolvedConfig
    state: TransformState
    """Only `key_kinds`: everything else that was fitted is inside the model."""
    tasks: list[str]
    signature: dict[str, Any]
    golden_rows: Path


def open_bundle(folder: Path, *, device: torch.device) -> LoadedBundle:
    """Read and check a bundle.

    Raises:
        DataError: it is not a bundle, is damaged, or was made by a release with another format or hash.
    """
    files = BundleFolder(folder)
    signature = _signature(files.signature)
    _check_versions(files.signature, signature)
    try:
        config = Config.model_validate_json(json.dumps(_without_plugins(signature["config"])))
        key_kinds, ((name, sha256),) = signature["key_kinds"], signature["sha256"].items()
        model_format: ModelFormat = _FORMATS[name]
        tasks = [output["task"] for output in signature["outputs"]]
    except ValidationError as error:
        rule = f"config: {'.'.join(map(str, error.errors()[0]['loc']))}: {error.errors()[0]['msg']}"
        raise DataError(f"{files.signature}: {rule}; if an earlier release made it, {EXPORT_AGAIN}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{files.signature}: is damaged ({error!r}); {EXPORT_AGAIN}") from error
    resolved = resolve(config, [])
    path = files.model(model_format)
    _verify_files(path, sha256)
    model: torch.jit.ScriptModule | Program
    if model_format == "pt2":
        if device.type != "cpu":
            raise DataError(f"{path}: is a program for the CPU; export TorchScript for {device}")
        model = Program(path, Inputs(resolved.features, resolved.aligned()), signature["inputs"])
    else:
        model = _scripted(path, device)
    return LoadedBundle(model, resolved, TransformState(key_kinds=key_kinds), tasks, signature, files.golden_rows)


def _signature(path: Path) -> dict[str, Any]:
    try:
        found = read_json(path, remedy=EXPORT_AGAIN)
    except OSError as error:
        is_run = RunFolder(path.parent).has_checkpoints
        remedy = f"; it is the folder of a run: recsys export {path.parent} --out BUNDLE" if is_run else ""
        raise DataError(
            f"{path.parent}: is not a bundle: {path.name} cannot be read ({error.strerror}){remedy}"
        ) from error
    if not isinstance(found, dict):
        raise DataError(f"{path}: must hold a JSON object, got {type(found).__name__}")
    return found


def _without_plugins(config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration without schemes, towers and losses.

    They are inside the model, and those of a user's own need not be installed where it scores. Tables stay, since
    features with an open vocabulary need one.
    """
    kept = {key: value for key, value in config.items() if key not in ("tables", "model", "train")}
    tables = {name: table["features"] for name, table in config.get("tables", {}).items()}
    kept["tables"] = {name: {"features": names, "scheme": "hash", "rows": 1} for name, names in tables.items()}
    return kept


def _check_versions(path: Path, signature: dict[str, Any]) -> None:
    for name, expected in [("format", FORMAT), ("hash", HASH)]:
        if signature.get(name) != expected:
            raise DataError(f"{path}: {name} must be {expected}, got {signature.get(name)}: {EXPORT_AGAIN}")


def _verify_files(path: Path, sha256: str) -> None:
    """Compare the model, and what lies beside it, with what was written."""
    try:
        path.stat()
        verify_all(path.parent, remedy=EXPORT_AGAIN)
        is_verified = path.name in read_checksums(path.parent)
        if not is_verified and (found := sha256_of(path)) != sha256:  # of a former version
            raise DataError(f"{path}: is not the file that was exported: sha256 must be {sha256}, got {found}")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def _scripted(path: Path, device: torch.device) -> torch.jit.ScriptModule:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`torch.jit", category=DeprecationWarning)
        model: torch.jit.ScriptModule = torch.jit.load(path, map_location=device)  # type: ignore[no-untyped-call]
    return model.eval()
