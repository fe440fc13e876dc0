"""The page of models that were compared: the verdicts on top, and every run of every model."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.evaluation.summary import evaluate_tasks
from recsys.judging.compare_runs import Comparison, Pair
from recsys.judging.contenders import Contender
from recsys.judging.report import write_report
from recsys.judging.report.from_run import judged_run
from recsys.judging.report.judged import Compared, Judged

if TYPE_CHECKING:
    import polars as pl

__all__ = ["write_comparison"]


def write_comparison(
    folder: Path, comparison: Comparison, *, about: str, slices: "Sequence[pl.DataFrame]" = ()
) -> Path:
    """Write the report of a comparison.

    Args:
        folder: is made if need be; files of a former report in it are replaced.
        comparison: the models and the verdicts on them.
        about: what the rows are, such as "test split".
        slices: the difference of the best model to each other one on each slice, if it was looked at.

    Returns:
        The path of the page.

    Raises:
        DataError: matplotlib is not installed, or a file of a run is damaged.
    """
    runs = [run for contender in comparison.contenders for run in _runs(contender, about)]
    compared = [_compared(pair, comparison.metric) for pair in comparison.pairs]
    for place, frame in enumerate(slices):  # the pairs of the best model come first
        compared[place] = compared[place]._replace(slices=frame)
    means = {one.name: _means(comparison, one.name) for one in comparison.contenders if len(one.seeds) > 1}
    return write_report(folder, runs, compared=compared, means=means)


def _runs(contender: Contender, about: str) -> Iterator[Judged]:
    """Yield the runs of a model, one for each seed."""
    model = contender.name if len(contender.paths) > 1 else ""
    for path, predictions in zip(contender.paths, contender.seeds, strict=True):
        metrics = evaluate_tasks(predictions)
        if path.is_dir():
            yield judged_run(path, predictions, metrics, about=about, model=model)
        else:
            yield Judged(name=str(path), predictions=predictions, metrics=metrics, about=about, model=model)


def _compared(pair: Pair, metric: str) -> Compared:
    others = [verdict for name, verdict in pair.verdicts.items() if name != metric]
    return Compared(pair.first, pair.second, [pair.verdicts[metric], *others])


def _means(comparison: Comparison, model: str) -> dict[str, float]:
    """Return the figures of a model, means over its seeds, with intervals that hold for other seeds too."""
    found: dict[str, float] = {}
    for metric, of in comparison.figures.items():
        mean = of[model].estimate()
        found |= {metric: mean.value, f"{metric}_low": mean.low, f"{metric}_high": mean.high}
    return found
