"""Export the best epoch of a run."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from recsys.config import DataSection
from recsys.data.prepare import prepare_split
from recsys.export.bundle import write_bundle
from recsys.files import scratch_folder
from recsys.run_folder import RunFolder
from recsys.training.build import load_run, score_alone
from recsys.training.strategy import pick_device, table_weights

__all__ = ["export_run"]


def export_run(run: Path, out: Path, *, user_columns: Sequence[str] = ()) -> None:
    """Write the bundle of a run's best epoch; its golden rows are scored here by the trained model.

    Args:
        run: folder of the run.
        out: folder of the bundle.
        user_columns: raw columns that say something of the user, beside histories and the column `group`.

    Raises:
        DataError: the run is not finished.
        ExportError: no feature reads one of `user_columns`, or the exported model does not score as the trained one.
    """
    metrics = RunFolder(run).read_metrics()  # first: it raises if the run is not finished
    built = load_run(run, device=pick_device("cpu"))
    golden = RunFolder(run).golden_rows
    with scratch_folder() as scratch:
        split = prepare_split(built.resolved, built.state, [golden], DataSection(), scratch / "golden")
        expected = score_alone(built, split).probabilities
    write_bundle(
        out,
        resolved=built.resolved,
        state=built.state,
        layout=built.layout,
        tower=built.model.module.tower,
        weights=table_weights(built.model),
        golden=pl.read_parquet(golden),
        expected=expected,
        metrics=metrics,
        calibrator=built.calibrator,
        user_columns=user_columns,
    )
