"""The bundle: a folder with a model that torch alone can run, a description of it, and proof that it scores as trained.

model.pt: TorchScript, raw inputs -> probabilities.
signature.json: inputs, outputs, hash version, versions, training metrics, the configuration.
golden.parquet: some rows as canonical inputs, with the scores training gave them.
README.md: how to load and score in plain torch.
"""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet
from torch import Tensor, nn

from recsys.config import ResolvedConfig
from recsys.embeddings import Layout
from recsys.errors import ExportError
from recsys.export import verify
from recsys.export.readme import readme
from recsys.export.signature import signature
from recsys.export.torchscript import export_module, save, script
from recsys.features.state import TransformState
from recsys.features.transform import canonicalize
from recsys.files import atomic_folder, write_atomic, write_json

if TYPE_CHECKING:
    import polars as pl

__all__ = ["FILES", "TOLERANCE", "write_bundle"]

FILES = ("model.pt", "signature.json", "golden.parquet", "README.md")
TOLERANCE = 1e-6
"""Largest difference of a probability that rounding may cause (sums in another order, in float32)."""


def write_bundle(
    folder: Path,
    *,
    resolved: ResolvedConfig,
    state: TransformState,
    layout: Layout,
    tower: nn.Module,
    weights: dict[str, Tensor],
    golden: "pl.DataFrame",
    expected: np.ndarray,
    metrics: dict[str, float],
) -> None:
    """Write a bundle, score its golden rows in a fresh process, and only then give it its name.

    Args:
        folder: where to; a bundle that is there is replaced.
        resolved: fields and tables.
        state: the fitted vocabularies, buckets and number scales.
        layout: its schemes hold their trained parameters.
        tower: as trained.
        weights: physical table -> (rows, dim).
        golden: raw rows as read from a data file, a few hundred.
        expected: (rows, tasks) probabilities that the trained model gave them.
        metrics: of training, kept in the signature.

    Raises:
        ExportError: `folder` holds something else, or the bundle scores the golden rows differently. Nothing is left.
    """
    _check_golden(golden.height, expected, len(resolved.config.labels))
    _check_target(folder)
    with atomic_folder(folder) as draft:
        save(script(export_module(resolved, state, layout, tower, weights)), draft / "model.pt")
        described = signature(resolved, state, metrics=metrics, sha256=_sha256(draft / "model.pt"))
        _write_golden(draft / "golden.parquet", canonicalize(golden, resolved, state).to_arrow(), expected, described)
        write_json(draft / "signature.json", described)
        write_atomic(draft / "README.md", readme(folder.name, described))
        _verify(draft)


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
    others = sorted({path.name for path in folder.iterdir()} - set(FILES))
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
        raise ExportError(
            f"{found['output']}: the exported model must score as the trained one to within {TOLERANCE:g}, got a "
            f"difference of {found['difference']:.3g}; worst is golden row {found['row']}: "
            f"{found['got']:.7f} instead of {found['expected']:.7f}"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
