"""Arguments that several commands take, and how a command line is written for the user to repeat."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from recsys.api.defaults import DEFAULT_CACHE

__all__ = [
    "CacheDir",
    "ConfigFile",
    "DataDir",
    "Device",
    "GroupColumn",
    "LabelColumn",
    "RunFolder",
    "ScoreColumn",
    "WeightColumn",
    "data_options",
]

ConfigFile = Annotated[Path, typer.Argument(help="A feature config or a run.yaml.", show_default=False)]
RunFolder = Annotated[Path, typer.Argument(help="The folder of a run, such as runs/NAME.", show_default=False)]
DataDir = Annotated[Path, typer.Option(help="Folder that the paths in the section `data` are relative to.")]
CacheDir = Annotated[Path, typer.Option(help="Folder where prepared data is kept between runs.")]
Device = Annotated[
    Literal["cpu", "cuda"] | None, typer.Option(help="Device to compute on; by default cuda where there is one.")
]
LabelColumn = Annotated[str, typer.Option(help="Label column of a file of scores.")]
ScoreColumn = Annotated[str, typer.Option(help="Score column of a file of scores.")]
WeightColumn = Annotated[str, typer.Option(help="Weight column of a file of scores, if there is one.")]
GroupColumn = Annotated[str, typer.Option(help="Group column of a file of scores, such as users, if there is one.")]


def data_options(data_dir: Path, cache_dir: Path) -> list[str]:
    """Return the options that another command needs to find the same data.

    >>> data_options(Path("logs"), DEFAULT_CACHE)
    ['--data-dir', 'logs']
    """
    given = [("--data-dir", data_dir, Path()), ("--cache-dir", cache_dir, DEFAULT_CACHE)]
    return [word for option, path, default in given if path != default for word in (option, str(path))]
