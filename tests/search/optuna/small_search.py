"""A log, a configuration and a search that are small enough to train trials in half a second."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from recsys.config import Config, load_config
from recsys.data.prepare import prepare
from recsys.data.prepared import Prepared
from recsys.progress import no_log
from recsys.search.candidate import Measured
from recsys.search.costs import CostClock
from recsys.search.folder import SearchFolder
from recsys.search.optuna.run import run_trials
from recsys.search.optuna.space import SearchSpace
from recsys.search.session import Session
from tests.training.logs import write_config, write_log

LR: dict[str, Any] = {"train.dense_optimizer.lr": {"low": 1e-3, "high": 1e-1, "log": True}}


class SmallSearch(NamedTuple):
    """A search in a folder of its own."""

    root: Path
    config: Config
    prepared: Prepared

    @property
    def folder(self) -> SearchFolder:
        """The folder of the search."""
        return SearchFolder(self.root / "mine")

    @property
    def space(self) -> SearchSpace:
        """What it may change."""
        return SearchSpace(self.config, self.prepared)

    def run(self, trials: int, **options: Any) -> list[Measured]:
        """Train trials until there are so many."""
        log = options.pop("log", no_log)
        with self.folder.opened(self.config, "optuna", self.prepared, shared=True):
            session = Session(
                config=self.config,
                prepared=self.prepared,
                folder=self.folder,
                clock=CostClock(self.folder.costs),
                data_dir=self.root,
                cache_dir=self.root / "cache",
                log=log,
            )
            return run_trials(session, trials=trials, **options)


def small_search(root: Path, **changes: Any) -> SmallSearch:
    """Make a search: user (21 ids) and item (13 ids) of width 8, in tables of their own."""
    if not (root / "train.parquet").exists():
        write_log(root)
    config = load_config(write_config(root / "run.yaml", **changes))
    return SmallSearch(root, config, prepare(config, root, root / "cache"))


def main(root: str, trials: str, storage: str) -> None:
    """Take part in a search in a process of its own; what was trained is printed."""
    search = small_search(Path(root), search={"space": LR})
    search.run(int(trials), storage=storage or None, log=lambda line: print(line, flush=True))
    print(json.dumps("finished"))


if __name__ == "__main__":
    import sys

    main(*sys.argv[1:])
