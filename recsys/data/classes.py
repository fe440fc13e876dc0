"""Whether the rows of a split have both classes, which AUC needs and without which nothing can be learned."""

from collections.abc import Iterator

from recsys.config.run import Config
from recsys.data.prepared import PreparedSplit

__all__ = ["missing_classes"]


def missing_classes(split: PreparedSplit, config: Config) -> Iterator[str]:
    """Yield for each task whose rows have one class, or none, why that is, such as "click is 0 in all 80 rows".

    A row of weight 0 counts for nothing.

    Args:
        split: the prepared rows.
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
