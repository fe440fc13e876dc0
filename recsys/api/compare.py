"""Models compared from Python: runs, or files of predictions."""

from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from recsys.progress import OnProgress, no_progress

if TYPE_CHECKING:
    import polars as pl

    from recsys.evaluation.verdict import Verdict
    from recsys.judging.compare_runs import Comparison

__all__ = ["ModelComparison", "compare"]


class ModelComparison:
    """The figures of several models and the verdict on them; printed, it says so in words.

    Args:
        found: the figures and verdicts.
        about: what the rows are, in words.
        slices: the difference of the best model to each other one on slices.

    Attributes:
        found: the figures and verdicts.
        slices: a frame for each other model, in their order: the difference of the best one to it on each slice.
    """

    def __init__(self, found: "Comparison", about: str, slices: "Sequence[pl.DataFrame]" = ()) -> None:
        self.found = found
        self.slices = slices
        self._about = about

    def __str__(self) -> str:
        from recsys.judging.compare_slices import describe_slices
        from recsys.judging.compare_text import describe

        best, *others = self.found.contenders
        tables = zip(others, self.slices, strict=False)
        parts = [describe_slices(best.name, other.name, table, self.found.metric) for other, table in tables]
        return "\n\n".join([describe(self.found, f"of the {self._about}"), *parts])

    def __repr__(self) -> str:
        return f"<ModelComparison: {self.headline}>"

    @property
    def headline(self) -> str:
        """The verdict in one line."""
        from recsys.judging.compare_text import headline

        return headline(self.found)

    @property
    def best(self) -> str:
        """The model with the best figure, whether or not that is chance."""
        return self.found.best.name

    @property
    def verdict(self) -> "Verdict":
        """The verdict on the best model and the next one."""
        return self.found.verdict

    def facts(self) -> dict[str, Any]:
        """Return all figures, differences and verdicts, as `recsys compare --json` prints them."""
        from recsys.judging.compare_text import as_facts

        best, *others = self.found.contenders
        slices = [
            {"first": best.name, "second": other.name, **row}
            for other, table in zip(others, self.slices, strict=False)
            for row in table.iter_rows(named=True)
        ]
        return as_facts(self.found) | ({"slices": slices} if self.slices else {})

    def report(self, folder: str | PathLike[str]) -> Path:
        """Write report.html, one page with the verdicts, the figures and the curves of all runs, and metrics.json.

        The page needs no network: it opens from disk, and can be sent to others.

        Args:
            folder: is made if need be; files of a former report in it are replaced.

        Returns:
            The path of the page.

        Raises:
            DataError: matplotlib is not installed, the folder is a file, or a file of a run is damaged.
        """
        from recsys.judging.report.from_comparison import write_comparison

        return write_comparison(Path(folder), self.found, about=self._about, slices=self.slices)


def compare(
    *models: str | PathLike[str],
    by: Sequence[str] = (),
    metric: str = "auc",
    split: Literal["test", "valid"] = "test",
    label: str = "label",
    score: str = "score",
    weight: str = "weight",
    group: str = "group",
    data_dir: str | PathLike[str] | None = None,
    on_progress: OnProgress = no_progress,
) -> ModelComparison:
    """Say which of several models is better on the same rows, and how surely.

    Args:
        models: at least two: runs, their folders, or parquet files of predictions; a pattern such as "runs/a-seed-*" is
            one model with a run for each seed.
        by: columns of the raw files, or globs of them, by whose slices the models are compared too.
        metric: name of the metric that decides.
        split: the rows of runs that are compared.
        label: column of files with the labels.
        score: column of files with the predictions.
        weight: column of files with row weights, if there is one.
        group: column of files with groups, such as users, if there is one.
        data_dir: folder of the raw files that `by` reads; by default where they lay in training.
        on_progress: called as they are read.

    Raises:
        ConfigError: models cannot be compared by this metric.
        DataError: a model is not there or has no predictions, or labels, weights, groups or numbers of rows differ; or
            there is no such column.

    Example:
        ```python
        found = recsys.compare("runs/new", "runs/old", by=["item"])
        print(found)  # the verdict in the first line
        found.verdict.word  # better, or undecided
        found.report("out")
        ```
    """
    from recsys.evaluation.predictions import ScoreColumns
    from recsys.judging.compare_runs import compare_contenders
    from recsys.judging.compare_slices import slices_of_comparison
    from recsys.judging.contenders import read_contenders

    columns = ScoreColumns(label, score, weight, group)
    contenders = read_contenders([fspath(model) for model in models], split=split, columns=columns)
    found = compare_contenders(contenders, metric=metric)
    folder = None if data_dir is None else Path(data_dir)
    slices = (
        slices_of_comparison(found, by, split=split, columns=columns, data_dir=folder, on_progress=on_progress)
        if by
        else []
    )
    is_of_runs = all(path.is_dir() for one in contenders for path in one.paths)
    return ModelComparison(found, f"{split} split" if is_of_runs else "files", slices)
