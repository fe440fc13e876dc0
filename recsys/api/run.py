"""A run folder, opened: its configuration, figures and predictions, and what its best model can do."""

import json
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from recsys.api.frames import data_files
from recsys.errors import DataError

if TYPE_CHECKING:
    import polars as pl

    from recsys.api.bundle import Bundle
    from recsys.api.frames import ArrowTable
    from recsys.config import Config

__all__ = ["Run"]


class Run:
    """The folder that a training has left, or is filling.

    Args:
        path: the folder, such as "runs/NAME".

    Attributes:
        path: the folder.

    Raises:
        DataError: the folder is not that of a run.

    Example:
        ```python
        run = recsys.Run("runs/shop")
        run.metrics["test.auc"]
        run.predictions("test")  # a Polars frame: label, score, ...
        run.evaluate("data/other.parquet")["auc"]
        bundle = run.export("bundle/")
        ```
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not (self.path / "config.yaml").exists():
            raise DataError(f"{self.path}: not a run folder: it has no config.yaml")

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    def __fspath__(self) -> str:
        return str(self.path)

    @cached_property
    def config(self) -> "Config":
        """The configuration that was trained, with all defaults and with its globs expanded."""
        from recsys.config import load_config

        return load_config(self.path / "config.yaml")

    @property
    def is_finished(self) -> bool:
        """Whether the training has come to its end; if not, `recsys.train(..., resume=run)` goes on with it."""
        return (self.path / "metrics.json").exists()

    @property
    def metrics(self) -> dict[str, float]:
        """The final figures of the best epoch: "test.auc", "valid.logloss", "best_epoch", "rows_per_second", ...

        Raises:
            DataError: the run is not finished.
        """
        if not self.is_finished:
            raise DataError(f"{self.path}: has no metrics.json: train it to the end first (resume it)")
        metrics: dict[str, float] = json.loads((self.path / "metrics.json").read_text())
        return metrics

    def history(self) -> "pl.DataFrame":
        """Return a row for each epoch so far: "epoch", "train.loss", "valid.auc", ..."""
        import polars as pl

        path = self.path / "metrics.jsonl"
        return pl.read_ndjson(path) if path.exists() else pl.DataFrame()

    def predictions(self, split: Literal["test", "valid"] = "test") -> "pl.DataFrame":
        """Return label, score, and weight and group if the configuration has them, in the order of the split's rows.

        With several tasks the columns are "label.TASK" and "score.TASK".

        Raises:
            DataError: the run is not finished, or had no such split.
        """
        import polars as pl

        path = self.path / "predictions" / f"{split}.parquet"
        if not path.exists():
            raise DataError(f"{path}: is not there: the run is not finished, or had no {split} rows")
        return pl.read_parquet(path)

    def evaluate(
        self,
        data: "ArrowTable | pl.LazyFrame | str | Path | Sequence[str | Path]",
        *,
        out: str | Path | None = None,
        device: Literal["cpu", "cuda"] | None = None,
        on_progress: Callable[[str, int, int | None], None] | None = None,
    ) -> dict[str, float]:
        """Score other rows with the best epoch and return the metrics: "auc", "logloss", ...

        Args:
            data: rows with the label column: a data frame, or paths or globs of files.
            out: parquet file for label, score, weight and group of each row.
            device: where the model runs; by default cuda where there is one.
            on_progress: called with (stage, rows done, rows in all if known).

        Returns:
            The metrics by name; NaN where they are not defined, such as the AUC of rows with one label.

        Raises:
            DataError: the rows do not hold the columns that the run was trained on, or `out` is one of the files.
        """
        from recsys.serving.output import check_output
        from recsys.sources.source import find_files
        from recsys.training.evaluate import evaluate_files

        with data_files(data) as (paths, is_frame):
            if out is not None:
                check_output(Path(out), find_files(tuple(paths), Path(), "data"))
            target = None if out is None else Path(out)
            return evaluate_files(
                self.path, paths, out=target, device=device, progress=on_progress, are_arrow_files=is_frame
            )

    def export(self, out: str | Path) -> "Bundle":
        """Write TorchScript that takes raw columns, check it in a fresh process, and return it opened.

        Args:
            out: new folder of the bundle.

        Raises:
            DataError: the run is not finished.
            ExportError: the exported model does not score as the trained one.
        """
        from recsys.api.bundle import Bundle
        from recsys.export import export_run

        export_run(self.path, Path(out))
        return Bundle(out)

    def field_attention(self, data: Any) -> Any:
        raise NotImplementedError
