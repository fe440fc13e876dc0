"""`recsys check`."""

from pathlib import Path

from recsys.api.defaults import DEFAULT_CACHE
from recsys.cli.options import CacheDir, ConfigFile, DataDir

__all__ = ["check"]


def check(
    config: ConfigFile,
    data_dir: DataDir = Path(),
    cache_dir: CacheDir = DEFAULT_CACHE,
) -> None:
    """Report every problem of a config at once, or show what it makes of each column.

    Example: `recsys check feature_configs/mine.yaml`
    """
    from recsys.api.config import load_config

    loaded = load_config(config)
    from recsys.cli.check import show_plan  # after the config, most of whose mistakes are found without polars

    show_plan(loaded, data_dir=data_dir, cache_dir=cache_dir)
