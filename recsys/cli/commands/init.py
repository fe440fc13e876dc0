"""`recsys init`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

__all__ = ["init"]


def init(
    data: Annotated[Path, typer.Argument(help="A parquet, csv, tsv or Arrow file of training rows.")],
    label: Annotated[str, typer.Option(help="Column with 0 and 1; without a header, col_1 is the first column.")],
    separator: Annotated[str | None, typer.Option(help="Character(s) between the columns of a csv file.")] = None,
    header: Annotated[bool, typer.Option(help="Whether the first line of a csv file names its columns.")] = True,
    format: Annotated[
        Literal["parquet", "csv", "tsv", "arrow"] | None,
        typer.Option(help="Format of the file, where its name does not tell."),
    ] = None,
) -> None:
    """Look at the columns of a file and print a commented config.

    Example: `recsys init data/train.parquet --label click > feature_configs/mine.yaml`
    """
    from recsys.api.init import init as suggest

    print(suggest(data, label=label, separator=separator, header=header, format=format), end="")
