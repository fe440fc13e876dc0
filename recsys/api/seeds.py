"""Several trainings of one configuration, which differ in their seed: how much of a figure is luck."""

from collections.abc import Callable
from pathlib import Path

from recsys.api.quiet import quiet_packages
from recsys.api.run import Run
from recsys.config import Config
from recsys.config.seeds import with_fixed_split, with_seed
from recsys.errors import ConfigError
from recsys.launch.torchrun import rank_info
from recsys.run_folder import RunFolder

__all__ = ["train_each_seed"]


def train_each_seed(
    config: Config,
    seeds: int,
    train: Callable[..., Run],
    first: Path,
    *,
    data_dir: Path,
    cache_dir: Path,
    log: Callable[[str], None],
) -> list[Run]:
    """Train the seeds train.seed, train.seed + 1, ... on the same data; finished ones are not trained again.

    Args:
        config: the checked configuration.
        seeds: how many.
        train: trains a configuration, given `name`, `runs_dir` and `resume` of `recsys.train`.
        first: what the folders of the runs are called, without "-seed-1", "-seed-2", ...
        data_dir: folder that relative paths of the section `data` start at.
        cache_dir: folder where prepared data is kept.
        log: called with a line for each seed.

    Raises:
        ConfigError: a run of such a name has another configuration.
        DataError: a run of such a name has other data, or something else is there.
    """
    if seeds < 1:
        raise ConfigError(f"seeds: must be at least 1, got {seeds}")
    if rank_info() is not None:
        raise ConfigError("seeds: cannot be trained by processes of torchrun; train on devices=N, or seed by seed")
    shared = with_fixed_split(config)
    runs: list[Run] = []
    for seed in range(config.train.seed, config.train.seed + seeds):
        one = with_seed(shared, seed)
        folder = first.with_name(f"{first.name}-seed-{seed}")
        run = RunFolder(folder)
        log(f"seed {seed} ({len(runs) + 1} of {seeds}): {folder}{_state(run)}")
        if run.metrics.exists():
            _check_same(one, run, data_dir=data_dir, cache_dir=cache_dir)
            runs.append(Run(folder))
        else:
            runs.append(train(one, name=folder.name, runs_dir=folder.parent, resume=folder if run.is_run else None))
    return runs


def _state(run: RunFolder) -> str:
    if run.metrics.exists():
        return " is finished"
    return " goes on" if run.is_run else ""


def _check_same(config: Config, run: RunFolder, *, data_dir: Path, cache_dir: Path) -> None:
    """Refuse a finished run that was made with another configuration or other data."""
    with quiet_packages():
        from recsys.data.prepare import prepare
        from recsys.training.precision import resolve_precision
        from recsys.training.start import check_same_run, recall_start
        from recsys.training.strategy import pick_device

        as_trained = recall_start(resolve_precision(config, pick_device("cpu"), resumed=run), run)
        check_same_run(run, prepare(as_trained, data_dir, cache_dir))
