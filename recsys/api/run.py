"""A run folder, opened: its configuration, figures and predictions, and what its best model can do."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from recsys.api.defaults import DEFAULT_CACHE
from recsys.api.frames import data_files
from recsys.api.quiet import quiet_packages
from recsys.errors import DataError
from recsys.files import scratch_folder
from recsys.progress import OnProgress, no_log, no_progress
from recsys.run_folder import RunFolder

if TYPE_CHECKING:
    import polars as pl

    from recsys.api.bundle import Bundle
    from recsys.api.frames import ArrowTable
    from recsys.bundle_folder import ModelFormat
    from recsys.config import Config
    from recsys.config.schemes.base import ServedPrecision
    from recsys.data.prepared import PreparedSplit
    from recsys.training.build import LoadedModel
    from recsys.training.inspect import FieldAttention, HistoryWeights

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
        bundle = run.export("bundles/shop")
        ```
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._folder = RunFolder(self.path)
        self._folder.require_run()

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    def __fspath__(self) -> str:
        return str(self.path)

    @cached_property
    def config(self) -> "Config":
        """The configuration that was trained, with all defaults and with its globs expanded."""
        from recsys.config import load_run_config

        return load_run_config(self._folder.config)

    @property
    def is_finished(self) -> bool:
        """Whether the training has come to its end; if not, `recsys.train(..., resume=run)` goes on with it."""
        return self._folder.metrics.exists()

    @property
    def metrics(self) -> dict[str, float]:
        """The final figures of the best epoch: "test.auc", "valid.logloss", "best_epoch", "rows_per_second", ...

        Raises:
            DataError: the run is not finished.
        """
        return self._folder.read_metrics()

    def history(self) -> "pl.DataFrame":
        """Return a row for each epoch so far: "epoch", "train.loss", "valid.auc", ..."""
        import polars as pl

        return pl.DataFrame(self._folder.read_epochs(), infer_schema_length=None)

    def predictions(self, split: Literal["test", "valid"] = "test") -> "pl.DataFrame":
        """Return label, score, and weight and group if the configuration has them, in the order of the split's rows.

        The scores of a run that is calibrated are also there as they were before, as "uncalibrated". With several tasks
        the columns are "label.TASK", "score.TASK" and "uncalibrated.TASK".

        Raises:
            DataError: the run is not finished, the file is damaged, or there is no such split.
        """
        import polars as pl

        from recsys.checksums import verify

        if split not in ("test", "valid"):
            raise DataError(f"split: must be 'test' or 'valid', got {split!r}")
        path = self._folder.predictions(split)
        if not path.exists():
            raise DataError(f"{path}: is not there: the run is not finished, or had no {split} rows")
        remedy = "train the run again, or score its data anew with `recsys evaluate --out`"
        try:
            return pl.read_parquet(verify(path, remedy=remedy))
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise DataError(f"{path}: cannot be read as parquet ({error}); {remedy}") from error

    def coverage(self) -> "pl.DataFrame":
        """Return how much of each feature the model knows: a row for each split and feature.

        The columns are "split", "feature" and shares: "unknown" of values that the vocabulary does not hold, "missing"
        of rows without a value, "truncated" of rows whose list was cut, and "matching" of entries of a history that are
        values of the item that it is a history of. A share of nothing is null.

        Raises:
            DataError: the run was made by a release that did not count them.
        """
        from recsys.features.coverage import Coverage
        from recsys.features.coverage_report import coverage_table

        found: dict[str, dict[str, Coverage]] = {}
        for split, features in self._folder.read_coverage().items():
            found[split] = {}
            for name, counts in features.items():
                try:
                    found[split][name] = Coverage(**counts)
                except TypeError as error:
                    where = f"{self._folder.data}: is damaged: splits.{split}.features.{name}"
                    raise DataError(f"{where} must have the counts of a feature, got {', '.join(counts)}") from error
        return coverage_table(found)

    def evaluate(
        self,
        data: "ArrowTable | pl.LazyFrame | Mapping[str, object] | str | Path | Sequence[str | Path] | None" = None,
        *,
        out: str | Path | None = None,
        device: Literal["cpu", "cuda"] | None = None,
        on_progress: OnProgress = no_progress,
        log: Callable[[str], None] | None = None,
    ) -> dict[str, float]:
        """Score other rows with the best epoch and return the metrics: "auc", "logloss", ...

        Args:
            data: rows with the label column: a data frame, a dict of columns, or paths or globs of files. Without, the
                metrics are those of the test split, which was scored at the end of training.
            out: parquet file for label, score, weight and group of each row.
            device: where the model runs; by default cuda where there is one.
            on_progress: called with (stage, rows done, rows in all if known).
            log: called with a line for each feature with many unknown or missing values.

        Returns:
            The metrics by name; NaN where they are not defined, such as the AUC of rows with one label.

        Raises:
            DataError: the rows do not hold the columns that the run was trained on, or `out` is one of the files.
        """
        if data is None:
            from recsys.judging.evaluated import evaluate_split

            return evaluate_split(self.path).metrics
        with quiet_packages(), data_files(data) as (paths, is_in_memory):
            from recsys.config import DataSection
            from recsys.serving.output import check_output
            from recsys.sources.find_files import find_files
            from recsys.training.evaluate import evaluate_files

            if out is not None:
                check_output(Path(out), find_files(tuple(paths), Path(), "data"))
            return evaluate_files(
                self.path,
                paths,
                out=None if out is None else Path(out),
                device=device,
                on_progress=on_progress,
                log=log or no_log,
                section=DataSection() if is_in_memory else None,
            )

    def slices(
        self,
        by: str | Sequence[str],
        data: "ArrowTable | pl.LazyFrame | Mapping[str, object] | str | Path | Sequence[str | Path] | None" = None,
        *,
        split: Literal["test", "valid"] = "test",
        data_dir: str | Path | None = None,
        device: Literal["cpu", "cuda"] | None = None,
        on_progress: OnProgress = no_progress,
    ) -> "pl.DataFrame":
        """Return the figures of the rows that share a value of a column, an hour, a range, ..., the worst slice first.

        Args:
            by: columns, or globs of them, such as "*"; they need not be features.
            data: rows to score, as for `evaluate`. Without, the slices are those of a split, whose columns are read
                from the files that the run was trained on.
            split: the split, if there is no `data`.
            data_dir: folder of the raw files of the split; by default the folder that they lay in when it was trained.
            device: where the model runs; by default cuda where there is one.
            on_progress: called with (stage, rows done, rows in all if known).

        Returns:
            A row for each slice: "column", "by", "slice", "rows", "positives", "auc", "auc_low", "auc_high",
            "auc_difference" (to all rows), "logloss", "calibration", ..., "miscalibration": by how much the calibration
            is off at least. With several tasks the first column is "task".

        Raises:
            DataError: there is no such column, or the files are gone or have changed since the run was trained.
        """
        names = [by] if isinstance(by, str) else list(by)
        with quiet_packages():
            from recsys.judging.evaluated import evaluate_run_files, evaluate_split

            if data is None:
                folder = None if data_dir is None else Path(data_dir)
                found = evaluate_split(self.path, split=split, by=names, data_dir=folder, on_progress=on_progress)
            else:
                with data_files(data) as (paths, is_in_memory):
                    from recsys.config import DataSection

                    section = DataSection() if is_in_memory else None
                    found = evaluate_run_files(
                        self.path, paths, by=names, device=device, section=section, on_progress=on_progress
                    )
        assert found.slices is not None
        return found.slices

    def importance(
        self,
        data: "ArrowTable | pl.LazyFrame | Mapping[str, object] | str | Path | Sequence[str | Path] | None" = None,
        *,
        split: Literal["test", "valid"] = "test",
        features: Sequence[str] | None = None,
        method: Literal["permute", "drop"] = "permute",
        rows: int = 100_000,
        repeats: int = 5,
        seed: int | None = None,
        data_dir: str | Path | None = None,
        cache_dir: str | Path = DEFAULT_CACHE,
        device: Literal["cpu", "cuda"] | None = None,
        on_progress: OnProgress = no_progress,
    ) -> "pl.DataFrame":
        """Return how much AUC and logloss lose where a feature tells the best epoch nothing: a row for each feature.

        Features that read one column, and the sequences of one behaviour, are looked at as one; crosses change with
        what they are made of. Of two features that say the same, neither seems to be worth much.

        Args:
            data: rows with the label column: a data frame, a dict of columns, or paths or globs of files. By default
                the rows that the run was evaluated on.
            split: which of them, where `data` is not given.
            features: names of features, "a+b" for those to be looked at as one; by default all.
            method: "permute" gives each row what another row has of a feature, as many times as `repeats` says; "drop"
                gives every row the mean of all and an empty history, once.
            rows: most rows; of more, a random sample is looked at.
            repeats: permutations of each feature.
            seed: seed of the sample and of the permutations; by default `train.seed`.
            data_dir: folder that relative paths of the run's section `data` start at; by default that of the training.
            cache_dir: folder of prepared data.
            device: where the model runs; by default cuda where there is one.
            on_progress: called with (stage, rows done, rows in all if known).

        Returns:
            The most important one first: "feature", "auc_loss" and "logloss_gain" with the ends of their 95 %
            intervals, "verdict" ("carries", "nothing", "unclear"), "can_be_left_out", ...; the manual says what they
            mean (recsys/judging/README.md).

        Raises:
            ConfigError: there is no such feature.
            DataError: the rows are gone, do not hold the columns that the run was trained on, or are all of one class.
        """
        if split not in ("test", "valid"):
            raise DataError(f"split: must be 'test' or 'valid', got {split!r}")
        with quiet_packages(), nullcontext((None, False)) if data is None else data_files(data) as (paths, in_memory):
            from recsys.config import DataSection
            from recsys.judging.importance import importance

            return importance(
                self.path,
                paths,
                split=split,
                features=features,
                method=method,
                rows=rows,
                repeats=repeats,
                seed=seed,
                data_dir=None if data_dir is None else Path(data_dir),
                cache_dir=Path(cache_dir),
                section=DataSection() if in_memory else None,
                device=device,
                on_progress=on_progress,
            )

    def report(
        self,
        folder: str | Path,
        *,
        split: Literal["test", "valid"] = "test",
        by: str | Sequence[str] = (),
        data_dir: str | Path | None = None,
        importance: "pl.DataFrame | None" = None,
        on_progress: OnProgress = no_progress,
    ) -> Path:
        """Write report.html, one page with the figures and curves of a split, metrics.json and slices.csv.

        The page needs no network: it opens from disk, and can be sent to others. `recsys.compare(...).report(...)`
        writes that of several runs.

        Args:
            folder: is made if need be; files of a former report in it are replaced.
            split: the split.
            by: columns of the raw files to slice by, or globs of them; they need not be features.
            data_dir: folder of the raw files; by default the folder that they lay in when the run was trained.
            importance: what `Run.importance` returned, to be shown as well.
            on_progress: called with (stage, rows done, rows in all if known).

        Returns:
            The path of the page.

        Raises:
            DataError: the run has no such predictions, there is no such column, or matplotlib is not installed.
        """
        from recsys.judging.evaluated import evaluate_split
        from recsys.judging.report import write_report
        from recsys.judging.report.from_run import judged_target

        names = [by] if isinstance(by, str) else list(by)
        raw = None if data_dir is None else Path(data_dir)
        found = evaluate_split(self.path, split=split, by=names, data_dir=raw, on_progress=on_progress)
        return write_report(Path(folder), [judged_target(self.path, found, importance=importance)])

    def export(
        self,
        out: str | Path,
        *,
        user: Sequence[str] = (),
        tables: "ServedPrecision | Mapping[str, ServedPrecision] | None" = None,
        max_auc_loss: float | None = None,
        model_format: "ModelFormat" = "torchscript",
        data_dir: str | Path | None = None,
        cache_dir: str | Path = DEFAULT_CACHE,
        on_progress: OnProgress = no_progress,
        log: Callable[[str], None] = no_log,
    ) -> "Bundle":
        """Write TorchScript that takes raw columns, check it in a fresh process, and return it opened.

        Args:
            out: folder of the bundle; a bundle that is there is replaced.
            user: raw columns that say something of the user, for those who ask the bundle for scores; histories and the
                column `group` do without being named.
            tables: precision of the rows of all tables ("fp32", "fp16" or "int8"), or by the name of a table, where "*"
                stands for all that are not named; by default as they are configured.
            max_auc_loss: the most that the AUC on the validation rows may lose; tables get more bits until it is kept.
                `tables` says with which bits to begin, by default int8.
            model_format: "torchscript", or "pt2" for a program of torch.export.
            data_dir: folder that relative paths of the run's section `data` start at; by default that of the training.
            cache_dir: folder of prepared data, for the AUC of tables with fewer bits.
            on_progress: called with (stage, rows done, rows in all if known).
            log: called with lines about the bytes and the AUC of tables with fewer bits.

        Raises:
            DataError: the run is not finished, or the validation rows that `max_auc_loss` needs are gone.
            ExportError: no feature reads one of the columns, there is no such table, or the exported model does not
                score as the trained one.
        """
        with quiet_packages():
            from recsys.api.bundle import Bundle
            from recsys.export import export_run

            export_run(
                self.path,
                Path(out),
                user_columns=user,
                tables={"*": tables} if isinstance(tables, str) else tables,
                max_auc_loss=max_auc_loss,
                model_format=model_format,
                data_dir=None if data_dir is None else Path(data_dir),
                cache_dir=Path(cache_dir),
                on_progress=on_progress,
                log=log,
            )
            return Bundle(out)

    def field_attention(
        self, data: "ArrowTable | pl.LazyFrame | str | Path | Sequence[str | Path]"
    ) -> "FieldAttention":
        """Return what the fields of an AutoInt model attend to, averaged over rows.

        Args:
            data: a data frame, or paths or globs of files.

        Raises:
            ConfigError: the model has another tower.
            DataError: there are no rows, or they do not hold the columns that the run was trained on.
        """
        with self._encoded(data) as (model, split):
            from recsys.training.inspect import field_attention

            return field_attention(model, split)

    def history_weights(
        self, data: "ArrowTable | pl.LazyFrame | str | Path | Sequence[str | Path]", *, behaviour: str | None = None
    ) -> "HistoryWeights":
        """Return the weights that a DIN model gives to the entries of each row's history.

        Args:
            data: a data frame, or paths or globs of files.
            behaviour: the histories to look at; may be left out if the model has one behaviour.

        Raises:
            ConfigError: the model has another tower, or no history.
            DataError: there are no rows, or they do not hold the columns that the run was trained on.
        """
        with self._encoded(data) as (model, split):
            from recsys.training.inspect import history_weights

            return history_weights(model, split, behaviour)

    @contextmanager
    def _encoded(self, data: Any) -> "Iterator[tuple[LoadedModel, PreparedSplit]]":
        """Yield the model of the best epoch on the CPU, and raw rows as it reads them."""
        with (
            quiet_packages(),
            data_files(data) as (paths, is_in_memory),
            scratch_folder() as scratch,
        ):
            from recsys.config import DataSection
            from recsys.data.prepare import prepare_split
            from recsys.sources.find_files import find_files
            from recsys.training.build import load_run
            from recsys.training.strategy import pick_device

            model = load_run(self.path, device=pick_device("cpu"))
            files = find_files(tuple(paths), Path(), "data")
            section = DataSection() if is_in_memory else model.resolved.config.data
            yield model, prepare_split(model.resolved, model.state, files, section, scratch / "rows")
