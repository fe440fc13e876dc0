"""Models compared from Python: runs, or files of predictions."""

from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from recsys.evaluation.verdict import Verdict
    from recsys.judging.compare_runs import Comparison

__all__ = ["ModelComparison", "compare"]


class ModelComparison:
    """The figures of several models and the verdict on them; printed, it says so in words.

    Args:
        found: the figures and verdicts.
        rows: what the rows are, in words.

    Attributes:
        found: the figures and verdicts.
    """

    def __init__(self, found: "Comparison", rows: str) -> None:
        self.found = found
        self._rows = rows

    def __str__(self) -> str:
        from recsys.judging.compare_text import describe

        return describe(self.found, self._rows)

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

    def report(self, folder: str | PathLike[str]) -> Path:
        """Write report.html, one page with the verdicts, the figures and the curves of all runs, and metrics.json.

        The page needs no network: it opens from disk, and can be sent to others.

        Args:
            folder: is made if need be; files of a former report in it are replaced.

        Returns:
            The path of the page.

        Raises:
            DataError: matplotlib is not installed, or a file of a run is damaged.
        """
        from recsys.judging.report.from_comparison import write_comparison

        return write_comparison(Path(folder), self.found, about=self._rows.removeprefix("of the "))

    def facts(self) -> dict[str, Any]:
        """Return all figures, differences and verdicts, as `recsys compare --json` prints them."""
        from recsys.judging.compare_text import as_facts

        return as_facts(self.found)


def compare(
    *models: str | PathLike[str],
    metric: str = "auc",
    split: Literal["test", "valid"] = "test",
    label: str = "label",
    score: str = "score",
    weight: str = "weight",
    group: str = "group",
) -> ModelComparison:
    """Say which of several models is better on the same rows, and how surely.

    Args:
        models: at least two: runs, their folders, or parquet files of predictions; a pattern such as "runs/a-seed-*" is
            one model with a run for each seed.
        metric: name of the metric that decides.
        split: the rows of runs that are compared.
        label: column of files with the labels.
        score: column of files with the predictions.
        weight: column of files with row weights, if there is one.
        group: column of files with groups, such as users, if there is one.

    Raises:
        ConfigError: models cannot be compared by this metric.
        DataError: a model is not there or has no predictions, or labels, weights, groups or numbers of rows differ.

    Example:
        ```python
        found = recsys.compare("runs/new", "runs/old")
        print(found)  # the verdict in the first line
        found.verdict.word  # better, or undecided
        ```
    """
    from recsys.judging.compare_runs import compare_contenders
    from recsys.judging.contenders import Columns, read_contenders

    names = [fspath(model) for model in models]
    contenders = read_contenders(names, split=split, columns=Columns(label, score, weight, group))
    is_runs = all(path.is_dir() for one in contenders for path in one.paths)
    rows = f"of the {split} split" if is_runs else "of the files"
    return ModelComparison(compare_contenders(contenders, metric=metric), rows)
