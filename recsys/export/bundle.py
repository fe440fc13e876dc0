"""Write a bundle: a model that torch alone can run, a description of it, and proof that it scores as trained."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import torch
from pyarrow import parquet
from torch import Tensor, nn

from recsys.bundle_folder import CANDIDATE_LENGTHS, BundleFolder, ModelFormat
from recsys.calibration import Calibrator
from recsys.checksums import sha256_of, write_checksums
from recsys.config import ResolvedConfig
from recsys.config.schemes.base import ServedPrecision
from recsys.embeddings import Layout
from recsys.errors import ExportError
from recsys.export import verify
from recsys.export.example import example
from recsys.export.graph import Graph
from recsys.export.program import export_program, save_program
from recsys.export.readme import readme
from recsys.export.sides import user_inputs
from recsys.export.signature import signature
from recsys.export.torchscript import export_module, save, script
from recsys.features.ranking import golden_ranking
from recsys.features.state import TransformState
from recsys.features.transform import canonical_inputs, canonicalize
from recsys.files import atomic_folder, write_atomic, write_json
from recsys.towers import Tower

__all__ = ["TOLERANCE", "write_bundle"]

TOLERANCE = 1e-6
"""Largest difference of a probability that rounding may cause (sums in another order, in float32)."""
LARGEST_ROUNDING = 1e-4
"""The same for models that amplify rounding errors much; beyond it, the formula of `Tower.rank` is another one."""
LARGEST_LOSS = 0.05
"""Largest difference of a golden row's probability that tables in fewer bits may cause, whatever the AUC says."""


def write_bundle(
    folder: Path,
    *,
    resolved: ResolvedConfig,
    state: TransformState,
    layout: Layout,
    tower: Tower,
    weights: dict[str, Tensor],
    golden: pl.DataFrame,
    expected: np.ndarray,
    metrics: dict[str, float],
    calibrator: Calibrator | None = None,
    user_columns: Sequence[str] = (),
    precisions: Mapping[str, ServedPrecision] | None = None,
    tables: Mapping[str, Any] | None = None,
    model_format: ModelFormat = "torchscript",
) -> dict[str, Any]:
    """Write a bundle, score its golden rows in a fresh process, and only then give it its name.

    Args:
        folder: folder of the bundle; a former bundle is replaced.
        resolved: fields and tables.
        state: the fitted vocabularies, buckets and number scales.
        layout: its schemes hold their trained parameters.
        tower: the trained one.
        weights: physical table -> (rows, dim).
        golden: raw rows as read from a data file, a few hundred.
        expected: (rows, tasks) probabilities that the trained model gave them.
        metrics: figures of the training, kept in the signature.
        calibrator: what was fitted on the validation rows, if anything was.
        user_columns: raw columns of the user, as `signature` takes them.
        precisions: table -> precision of its rows. Where one has fewer bits than it is configured with, the golden rows
            are given the scores of the exported model, once it has scored as trained without that.
        tables: what the signature says of the tables.
        model_format: the form of the model.

    Returns:
        The signature.

    Raises:
        ExportError: no feature reads one of `user_columns`, `folder` holds something else, the bundle scores the
            golden rows differently, or one of them by more than `LARGEST_LOSS` for the precisions. Nothing is left.
    """
    _check_golden(golden.height, expected, len(resolved.config.labels))
    _check_target(folder)
    canonical = canonicalize(golden, resolved, state)
    outputs = [f"score.{task}" for task in resolved.config.labels]
    graph = export_module(resolved, state, layout, tower, weights, calibrator, user_columns)
    difference: float | None = None
    if any(precision != "fp32" for precision in (precisions or {}).values()):
        as_trained = _score(graph, canonical)
        _check_scores(as_trained, expected, outputs)
        graph = export_module(resolved, state, layout, tower, weights, calibrator, user_columns, precisions)
        expected = _score(graph, canonical)
        difference = _check_fewer_bits(expected, as_trained, outputs)
    graph.repeats_users = _must_repeat_users(graph, canonical, sorted(user_inputs(resolved, user_columns)), outputs)
    with atomic_folder(folder) as draft:
        files = BundleFolder(draft)
        model = files.model(model_format)
        if model_format == "pt2":
            save_program(export_program(graph, list(canonical_inputs(canonical))), model)
        else:
            save(script(graph), model)
        described = signature(
            resolved,
            state,
            metrics=metrics,
            model_file=model.name,
            sha256=sha256_of(model),
            user_columns=user_columns,
        )
        described["ranking"] = {"lengths": CANDIDATE_LENGTHS, "repeats_users": graph.repeats_users}
        if tables is not None:
            described["tables"] = {**tables, "golden_difference": difference}
        described["example"] = example(golden, expected, described, resolved, state, partial(_score, graph))
        _write_golden(files.golden_rows, canonical.to_arrow(), expected, described)
        write_json(files.signature, described)
        write_atomic(files.readme, readme(folder.name, described))
        write_checksums(draft, [path.name for path in (model, files.signature, files.golden_rows, files.readme)])
        _verify(draft)
    return described


def _score(graph: nn.Module, canonical: pl.DataFrame) -> np.ndarray:
    """Return the probabilities of canonical rows, (rows, tasks) float64."""
    return _run(graph, canonical_inputs(canonical))


def _run(graph: nn.Module, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    with torch.inference_mode():
        return np.asarray(graph({name: torch.tensor(array) for name, array in inputs.items()}))


def _worst(got: np.ndarray, expected: np.ndarray, outputs: list[str]) -> dict[str, Any]:
    return verify.worst(torch.as_tensor(got), torch.as_tensor(expected), outputs)


def _must_repeat_users(graph: Graph, canonical: pl.DataFrame, of_user: list[str], outputs: list[str]) -> bool:
    """Return whether the sums of `Tower.rank`, which are in another order, differ too much for this model.

    Raises:
        ExportError: they differ by more than rounding explains.
    """
    ranking, rows, _ = golden_ranking(canonical, of_user)
    found = _worst(_run(graph, ranking), _run(graph, rows), outputs)
    if found["difference"] > LARGEST_ROUNDING:
        raise _other_ranking(found)
    return bool(found["difference"] > TOLERANCE / 2)


def _other_ranking(found: Mapping[str, Any]) -> ExportError:
    """Return the error to raise for candidates that have other scores than the same as plain rows."""
    return ExportError(
        f"{found['output']}: candidates that share a user must have the scores of plain rows to within {TOLERANCE:g}, "
        f"got a difference of {found['difference']:.3g}: {found['got']:.7f} instead of {found['expected']:.7f}; "
        "see `rank` of the tower"
    )


def _check_scores(got: np.ndarray, expected: np.ndarray, outputs: list[str]) -> None:
    found = _worst(got, expected, outputs)
    if found["difference"] > TOLERANCE:
        raise _other_scores(found)


def _check_fewer_bits(got: np.ndarray, as_trained: np.ndarray, outputs: list[str]) -> float:
    """Return the largest difference that tables in fewer bits cause."""
    found = _worst(got, as_trained, outputs)
    if found["difference"] > LARGEST_LOSS:
        raise ExportError(
            f"tables: in these precisions {found['output']} of golden row {found['row']} is {found['got']:.4f} instead "
            f"of {found['expected']:.4f}, and scores may differ by {LARGEST_LOSS:g}; give tables more bits (--tables)"
        )
    return float(found["difference"])


def _other_scores(found: Mapping[str, Any]) -> ExportError:
    """Return the error to raise for scores that differ, of which `verify.compare` tells the worst."""
    return ExportError(
        f"{found['output']}: the exported model must score as the trained one to within {TOLERANCE:g}, got a "
        f"difference of {found['difference']:.3g}; worst is golden row {found['row']}: "
        f"{found['got']:.7f} instead of {found['expected']:.7f}"
    )


def _check_golden(num_rows: int, expected: np.ndarray, num_tasks: int) -> None:
    if num_rows == 0:
        raise ExportError("golden rows: at least one is needed to compare the exported model with the trained one")
    if expected.shape != (num_rows, num_tasks):
        raise ExportError(f"golden rows: expected scores must have shape {(num_rows, num_tasks)}, got {expected.shape}")


def _check_target(folder: Path) -> None:
    """Refuse to replace anything but a bundle or an empty folder."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ExportError(f"{folder}: must be a folder, but is a file")
    others = BundleFolder(folder).other_files()
    if others:
        raise ExportError(f"{folder}: is not a bundle (it holds {others[0]}) and is not overwritten")


def _write_golden(path: Path, inputs: pa.Table, expected: np.ndarray, described: dict[str, Any]) -> None:
    """Write the canonical inputs in the signature's order, then the scores."""
    columns = {declared["name"]: inputs[declared["name"]] for declared in described["inputs"]}
    columns |= {out["name"]: expected[:, t].astype(np.float64) for t, out in enumerate(described["outputs"])}
    parquet.write_table(pa.table(columns), path)


def _verify(folder: Path) -> None:
    """Score the golden rows in a process that has nothing but torch."""
    command = [sys.executable, "-I", verify.__file__, str(folder)]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode != 0:
        reason = process.stderr.strip().splitlines()[-1:] or ["no message"]
        raise ExportError(f"{folder}: the exported model fails in a fresh process: {reason[0]}")
    found = json.loads(process.stdout)
    if not found["difference"] <= TOLERANCE:
        raise _other_scores(found)
    if "ranking" in found and not found["ranking"]["difference"] <= TOLERANCE:
        raise _other_ranking(found["ranking"])
