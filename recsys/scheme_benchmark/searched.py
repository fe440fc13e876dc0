"""The tables of a cell whose variant is a search: the supernet once for each method and seed, then the best within it.

searches/METHOD-seed-N/ is shared by the cells of all budgets, of which one process works on it at a time.
"""

import gc
from pathlib import Path

from recsys.config import Config, dump, load_config
from recsys.data.prepare import prepare
from recsys.errors import ConfigError
from recsys.files import write_atomic
from recsys.scheme_benchmark.grid import SearchedTables
from recsys.search.candidate import Measured
from recsys.search.costs import CostClock
from recsys.search.folder import SUPERNET, SearchFolder
from recsys.search.front import best_within
from recsys.search.methods.base import Method, Request, find_method
from recsys.search.scorer import Scorer
from recsys.search.session import Session
from recsys.training.build import load_run
from recsys.training.series import series_lock
from recsys.training.strategy import pick_device
from recsys.units import format_bytes

__all__ = ["find_tables"]

WAIT_SECONDS = 7 * 86_400.0
"""Time to wait for a process that trains the supernet for another budget."""


def find_tables(
    config: Config, spec: SearchedTables, *, folder: Path, target: Path, data_dir: Path, cache_dir: Path
) -> Config:
    """Return the configuration with the best tables that a search finds, and write it to `target`.

    Args:
        config: with full tables, and the seed of the cell.
        spec: the method, and the bytes that it may spend.
        folder: folder of the search of this method with this seed.
        target: YAML file; if it is there, it is what an earlier call has found.
        data_dir: what the paths in `data` are relative to.
        cache_dir: where prepared data is kept.

    Raises:
        ConfigError: the method finds nothing that is so small.
    """
    if not target.exists():
        with series_lock(folder, wait_seconds=WAIT_SECONDS):
            session = _session(config, SearchFolder(folder), data_dir, cache_dir)
            method = find_method(spec.method)()
            session.train(SUPERNET, method.supernet(session.prepared), schedule=type(method).schedule)
            session.write_yaml(_best(session, method, spec.bytes).candidate, target)
    return load_config(target)


def _session(config: Config, place: SearchFolder, data_dir: Path, cache_dir: Path) -> Session:
    """Return the search of a configuration that is in no file of the user's, so that it gets one."""
    write_atomic(place.own_yaml, dump(config))
    own = load_config(place.own_yaml)
    return Session(
        config=own,
        prepared=prepare(own, data_dir, cache_dir),
        folder=place,
        clock=CostClock(place.costs),
        data_dir=data_dir,
        cache_dir=cache_dir,
        log=print,
    )


def _best(session: Session, method: Method, allowed: int) -> Measured:
    """Return the best of the candidates that keep to some bytes, by the validation rows."""
    place = session.folder
    loaded = load_run(place.run(SUPERNET), device=pick_device())
    scorer = Scorer(loaded, session.prepared.splits["valid"], place)
    state = place.state / str(allowed)
    state.mkdir(parents=True, exist_ok=True)
    request = Request(loaded=loaded, prepared=session.prepared, budgets=[allowed], state=state, log=print)
    found = [scorer.measure(candidate) for candidate in method.candidates(request)]
    if not found:
        raise ConfigError(f"{method.name} finds no tables of {format_bytes(allowed)}")
    del loaded, request
    gc.collect()  # reference cycles would keep the tables of the supernet in memory beside those of the cell
    return best_within(found, allowed, where=method.name)
