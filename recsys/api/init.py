"""A first configuration from a look at the data, and data to try it on."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from recsys.api.frames import data_files
from recsys.errors import DataError
from recsys.files import write_atomic
from recsys.progress import OnProgress, no_progress

if TYPE_CHECKING:
    import polars as pl

    from recsys.api.frames import ArrowTable

__all__ = ["demo_data", "init"]


def init(
    data: "ArrowTable | pl.LazyFrame | str | Path",
    label: str,
    *,
    separator: str | None = None,
    header: bool = True,
    format: Literal["parquet", "csv", "tsv", "arrow"] | None = None,
    out: str | Path | None = None,
) -> str:
    """Look at the columns of the data and return the YAML of a configuration, with comments.

    `load_config` and `train` take the text. That of a data frame names no files: pass the frame to `train` as well.

    Args:
        data: a data frame, or the path of a parquet, csv, tsv or Arrow file; its first million rows are read.
        label: column with 0 and 1; in a file without a header, `col_1` is the first column.
        separator: character or characters between the columns of a csv file.
        header: whether the first line of a csv file names its columns.
        format: format of the file, where its name does not tell.
        out: YAML file to write the text to.

    Raises:
        DataError: the data cannot be read, there is no such column, or it does not hold 0 and 1.

    Example:
        ```python
        config = recsys.init(frame, label="click")
        run = recsys.train(config, train=frame)
        ```
    """
    from recsys.suggest.suggest import suggest_for_file

    with data_files(data) as (paths, is_in_memory):
        text = suggest_for_file(
            Path(paths[0]),
            label=label,
            separator=separator,
            header=header,
            form=format,
            paths=[] if is_in_memory else None,
        )
    if out is not None:
        write_atomic(Path(out), text)
    return text


def demo_data(
    folder: str | Path,
    *,
    rows: int = 300_000,
    shape: Literal["shop", "criteo", "dims"] = "shop",
    seed: int = 1,
    num_users: int = 5_000,
    num_items: int = 2_000,
    num_categories: int = 40,
    planted_slice: bool = False,
    on_progress: OnProgress = no_progress,
) -> dict[str, float]:
    """Write a synthetic click log with a config.yaml, and return the best possible AUC of each split.

    Args:
        folder: new folder of the log.
        rows: number of rows in all splits together.
        shape: "shop" has histories, for DIN; "criteo" has 13 numbers and 26 ids; "dims" has ids that need 16, 8, 4 and
            0 dimensions, for searches.
        seed: equal seeds give equal logs.
        num_users: number of users of the shop; the other shapes have none of these.
        num_items: number of items of the shop, at least as large as `num_categories`.
        num_categories: number of categories of the shop.
        planted_slice: add a column `app` to the shop that no feature reads, and of which one value has more clicks than
            any model can know: the slice in which every model is miscalibrated.
        on_progress: called with (stage, rows done, rows in all if known).

    Raises:
        DataError: the folder holds something, there are too few rows, or the shape has no such slice.
    """
    from recsys.data.synthetic import generate, generate_dims, generate_wide

    if planted_slice and shape != "shop":
        raise DataError(f"planted slice: only the shape 'shop' has one, got {shape!r}")
    if shape != "shop":
        write = generate_wide if shape == "criteo" else generate_dims
        return write(Path(folder), rows=rows, seed=seed, on_progress=on_progress).bayes_auc
    sizes = {"num_users": num_users, "num_items": num_items, "num_categories": num_categories}
    shop = generate(Path(folder), rows=rows, seed=seed, planted_slice=planted_slice, on_progress=on_progress, **sizes)
    return shop.bayes_auc
