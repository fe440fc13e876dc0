"""`recsys tables`."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from recsys.api.defaults import DEFAULT_CACHE
from recsys.cli.options import CacheDir, ConfigFile, DataDir, data_options

__all__ = ["tables"]


def tables(
    config: ConfigFile,
    what_if: Annotated[
        str | None,
        typer.Option(help="Show every scheme at this size: a fraction of the full tables (0.1), or bytes (10MB)."),
    ] = None,
    data_dir: DataDir = Path(),
    cache_dir: CacheDir = DEFAULT_CACHE,
) -> None:
    """Show what the embedding tables cost before anything is trained: bytes, and collisions of ids.

    Sizes need whole vocabularies, so the data is prepared first; `recsys train` then finds it prepared.

    Example: `recsys tables feature_configs/mine.yaml`, then
    `recsys tables feature_configs/mine.yaml --what-if 0.1`
    """
    from recsys.cli.tables import show_tables, show_what_if

    argv = shlex.join([str(config), *data_options(data_dir, cache_dir)])
    if what_if is None:
        show_tables(config, data_dir=data_dir, cache_dir=cache_dir, argv=argv)
    else:
        show_what_if(config, what_if, data_dir=data_dir, cache_dir=cache_dir, argv=argv)
