"""Export the best epoch of a run."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from recsys.bundle_folder import ModelFormat
from recsys.config import DataSection
from recsys.config.schemes.base import ServedPrecision
from recsys.data.prepare import prepare_split
from recsys.data.prepared import PreparedSplit
from recsys.errors import DataError
from recsys.export.bundle import write_bundle
from recsys.export.edges import with_edges
from recsys.export.precisions import EVERY_TABLE, Measured, asked_precisions, choose_precisions, measure
from recsys.files import scratch_folder
from recsys.judging.run_rows import split_of_run
from recsys.kernels.tensors import plain_form
from recsys.progress import OnProgress, no_log, no_progress
from recsys.run_folder import RunFolder
from recsys.training.build import LoadedModel, load_run, score_alone
from recsys.training.strategy import pick_device, table_weights

__all__ = ["export_run"]


@plain_form()
def export_run(
    run: Path,
    out: Path,
    *,
    user_columns: Sequence[str] = (),
    tables: Mapping[str, ServedPrecision] | None = None,
    max_auc_loss: float | None = None,
    model_format: ModelFormat = "torchscript",
    data_dir: Path | None = None,
    cache_dir: Path | None = None,
    on_progress: OnProgress = no_progress,
    log: Callable[[str], None] = no_log,
) -> None:
    """Write the bundle of a run's best epoch; its golden rows are scored here by the trained model.

    Args:
        run: folder of the run.
        out: folder of the bundle.
        user_columns: raw columns that say something of the user, beside histories and the column `group`.
        tables: precision of the rows of a table, by its name, or by "*" for all that are not named. Default: as they
            are configured, or int8 with a tolerance.
        max_auc_loss: the most that the AUC on the validation rows may lose; tables get more bits until it is kept.
            Default: no limit.
        model_format: TorchScript, or "pt2" for a program of torch.export.
        data_dir: folder that the paths in the run's section `data` are relative to. Default: the one of the training.
        cache_dir: folder of prepared data. Default: a temporary one.
        on_progress: called as validation rows are prepared.
        log: called with lines about the bytes and the AUC of tables in fewer bits.

    Raises:
        DataError: the run is not finished, or there is a tolerance and the validation rows are gone.
        ExportError: no feature reads one of `user_columns`, there is no such table, the validation rows have no AUC,
            the model cannot have this format, or it does not score as the trained one.
    """
    metrics = RunFolder(run).read_metrics()  # first: it raises if the run is not finished
    built = load_run(run, device=pick_device("cpu"))
    weights = table_weights(built.model)
    asked = tables or ({} if max_auc_loss is None else {EVERY_TABLE: "int8"})
    precisions = asked_precisions(built.layout, weights, asked)
    described: dict[str, Any] | None = None
    golden = with_edges(pl.read_parquet(RunFolder(run).golden_rows), built.resolved, built.state)
    with scratch_folder() as scratch:
        golden.write_parquet(scratch / "golden.parquet")
        if any(precision != "fp32" for precision in precisions.values()):
            cache = cache_dir or scratch / "cache"
            split = _valid_split(run, data_dir, cache, on_progress, log if max_auc_loss is None else None)
            before, found = choose_precisions(partial(measure, built, split), precisions, max_auc_loss, log)
            precisions, described = found.precisions, _described(built, before, found)
        split_of_golden = prepare_split(
            built.resolved, built.state, [scratch / "golden.parquet"], DataSection(), scratch / "golden"
        )
        expected = score_alone(built, split_of_golden).probabilities
    signature = write_bundle(
        out,
        resolved=built.resolved,
        state=built.state,
        layout=built.layout,
        tower=built.model.module.tower,
        weights=weights,
        golden=golden,
        expected=expected,
        metrics=metrics,
        calibrator=built.calibrator,
        user_columns=user_columns,
        precisions=precisions,
        tables=described,
        model_format=model_format,
    )
    if signature["ranking"]["repeats_users"]:
        log("ranking: users are repeated for each candidate, since this model makes much of rounding errors")
    if described is not None and (difference := signature["tables"]["golden_difference"]) is not None:
        log(f"scores of golden rows differ from those of training by up to {difference:.2g}")


def _valid_split(
    run: Path, data_dir: Path | None, cache_dir: Path, on_progress: OnProgress, log: Callable[[str], None] | None
) -> PreparedSplit | None:
    """Return the validation rows; with a log, None if they are gone, which it is told."""
    try:
        return split_of_run(run, "valid", data_dir=data_dir, cache_dir=cache_dir, on_progress=on_progress)
    except DataError as error:
        if log is None:
            raise
        log(f"the AUC is not measured: {error}")
        return None


def _described(built: LoadedModel, before: Measured, found: Measured) -> dict[str, Any]:
    """Return what the signature says of tables whose rows have fewer bits than in training."""
    tables = {
        name: {
            "scheme": schemes[0].spec.scheme,
            "precision": found.precisions.get(name),
            "bytes": found.table_bytes[name],
            "bytes_as_trained": before.table_bytes[name],
        }
        for name, schemes in built.layout.schemes_by_table.items()
    }
    return {"tables": tables, "valid_auc": dict(found.aucs), "valid_auc_as_trained": dict(before.aucs)}
