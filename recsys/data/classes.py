"""Whether the rows of a split have both classes, which AUC needs and without which nothing can be learned."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from recsys.config.run import Config
from recsys.data.splits import SplitName
from recsys.data.targets import LABEL, WEIGHT
from recsys.errors import DataError

__all__ = ["ClassCounts", "ClassWeights", "Counted", "check_splits", "missing_classes", "missing_figures"]


class ClassWeights(NamedTuple):
    """The weight of the rows of each class of one task; a label y between 0 and 1 gives y of it to the positives."""

    positive: float
    negative: float


class Counted(Protocol):
    """Rows of which the classes have been counted."""

    @property
    def num_rows(self) -> int:
        """Number of rows."""
        ...

    @property
    def positives(self) -> dict[str, float]:
        """Task -> sum of its labels (the number of positive rows where labels are 0 and 1)."""
        ...

    @property
    def weights(self) -> dict[str, ClassWeights]:
        """Task -> weight of its classes; empty if rows have no weights."""
        ...


class ClassCounts:
    """Counts the classes of prepared rows.

    Attributes:
        num_rows, positives, weights: those of `Counted`, of the rows so far.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.num_rows = 0
        self.positives = {name.removeprefix(LABEL): 0.0 for name in schema.names if name.startswith(LABEL)}
        self.weights = dict.fromkeys(self.positives, ClassWeights(0.0, 0.0)) if WEIGHT in schema.names else {}

    def add(self, batch: pa.RecordBatch) -> None:
        """Add rows, of which labels and weights are looked at; sums are in float64."""
        self.num_rows += batch.num_rows
        weights = batch.column(WEIGHT).cast(pa.float64()) if self.weights else None
        for task in self.positives:
            labels = batch.column(LABEL + task).cast(pa.float64())
            self.positives[task] += pc.sum(labels).as_py() or 0.0
            if weights is not None:
                before, of_class = self.weights[task], (labels, pc.subtract(1.0, labels))
                positive, negative = (pc.sum(pc.multiply(weights, share)).as_py() or 0.0 for share in of_class)
                self.weights[task] = ClassWeights(before.positive + positive, before.negative + negative)


def missing_classes(split: Counted, config: Config) -> Iterator[str]:
    """Yield for each task whose rows have one class, or none, why that is, such as "click is 0 in all 80 rows".

    A row of weight 0 counts for nothing.

    Args:
        split: the rows.
        config: names the columns of labels and weight.
    """
    if split.num_rows == 0:
        yield "has no rows"
        return
    for task, column in config.labels.items():
        if split.positives[task] in (0, split.num_rows):
            value = 1 if split.positives[task] else 0
            yield f"{column} is {value} in all {split.num_rows:,} rows"
        elif task in split.weights and 0 in split.weights[task]:
            positive, negative = split.weights[task]
            if positive == negative == 0:
                yield f"{config.weight} is 0 in all {split.num_rows:,} rows"
                return
            yield f"{config.weight} is 0 in all rows with {column} = {0 if positive else 1}"


def check_splits(splits: Mapping[SplitName, Counted], config: Config) -> None:
    """Refuse data from which nothing can be learned, or on which no epoch is better than another.

    Args:
        splits: those that are known.
        config: names the columns of labels and weight.

    Raises:
        DataError: training or validation rows are of one class, or weigh nothing, or there are no rows to validate on.
    """
    if "valid" in splits and splits["valid"].num_rows == 0:
        raise DataError("data.valid: has no rows, and the best epoch is chosen on them")
    names: tuple[SplitName, ...] = ("train", "valid")
    for name in names:
        for problem in missing_classes(splits[name], config) if name in splits else ():
            raise DataError(f"data.{name}: {problem}; AUC needs both classes")


def missing_figures(splits: Mapping[SplitName, Counted], config: Config) -> list[str]:
    """Say which figures of the test split will be missing, since it lacks rows or a class; training goes on."""
    test = splits.get("test")
    if test is None:
        return []
    if test.num_rows == 0:
        return ["data.test: has no rows, so that there are no figures of it"]
    problems = missing_classes(test, config)
    return [f"data.test: {problem}; figures that need both classes, such as AUC, will be null" for problem in problems]
