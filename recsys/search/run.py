"""The story of a search: baseline, supernet, candidates, front, the best one trained, report."""

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from recsys.config import Config
from recsys.config.problems import KeyPath
from recsys.data.classes import check_splits
from recsys.data.prepare import prepare
from recsys.errors import ConfigError
from recsys.progress import OnProgress, no_log, no_progress
from recsys.search.budgets import bounds_of, ladder, read_search_budget
from recsys.search.by_trials import search_by_trials, trials_bounds
from recsys.search.candidate import Candidate, Measured
from recsys.search.choice import choose, choose_trained, nearest
from recsys.search.costs import CostClock
from recsys.search.feature_lines import shape_lines
from recsys.search.folder import BASELINE, SUPERNET, SearchFolder
from recsys.search.methods import BY_TRIALS
from recsys.search.methods.base import Method, Request, find_method
from recsys.search.outputs import Findings, SearchResult, write_front, write_outputs
from recsys.search.scorer import DropCost, Scorer
from recsys.search.session import Session
from recsys.search.yardstick import is_yardstick, uniform_within, whole
from recsys.training.build import load_run
from recsys.training.strategy import pick_device
from recsys.units import format_bytes

__all__ = ["search"]

CANDIDATES, FEATURES = "candidates", "features"
"""Names of the parts of a search in its costs, beside those of its runs."""


def search(
    config: Config,
    *,
    method: str,
    folder: Path,
    data_dir: Path,
    cache_dir: Path,
    budget: str | float | None = None,
    trials: int | None = None,
    storage: str | None = None,
    retrain: int = 0,
    device: str | None = None,
    command: str = "",
    on_progress: OnProgress = no_progress,
    log: Callable[[str], None] = no_log,
) -> SearchResult:
    """Search for the tables of a configuration that are worth their bytes, or go on with the search of the folder.

    Args:
        config: the checked configuration.
        method: name of the method, or the import path of one of your own.
        folder: folder of the search.
        data_dir: what the paths in `data` are relative to.
        cache_dir: where prepared data is kept.
        budget: most bytes of the tables when served, or a fraction of what they are. Default: the smallest candidate
            that is not significantly worse than the best one is chosen.
        trials: number of configurations that `optuna` tries.
        storage: database or journal file in which `optuna` keeps its trials, for several machines. Default: a journal
            file in the folder.
        retrain: number of further points of the front to train.
        device: "cpu" or "cuda". Default: CUDA where there is a device.
        command: the command line, for the report.
        on_progress: called during long work.
        log: called with lines for the user.

    Raises:
        ConfigError: there is no such method, nothing to search, or no such budget; or the folder holds something else.
        DataError: the data does not fit the configuration, or has changed since the search was started.
        LockedError: another process works on it.
    """
    way = None if method == BY_TRIALS else find_method(method)()
    _check_options(method, trials=trials, storage=storage)
    if way is not None:
        config = config.replaced(search=None)  # it speaks of the tables as they are
    prepared = prepare(config, data_dir, cache_dir, on_progress)
    check_splits(prepared.splits, prepared.resolved.config)
    supernet = None if way is None else way.supernet(prepared)
    bounds = trials_bounds(config, prepared) if way is None else bounds_of(prepared)
    allowed = read_search_budget(budget, bounds)
    place = SearchFolder(folder)
    with place.opened(config, method, prepared, shared=way is None):
        session = Session(
            config=config,
            prepared=prepared,
            folder=place,
            clock=CostClock(place.costs),
            data_dir=data_dir,
            cache_dir=cache_dir,
            device=device,
            command=command,
            on_progress=on_progress,
            log=log,
        )
        if way is None or supernet is None:
            return search_by_trials(session, trials=trials, storage=storage, allowed=allowed, retrain=retrain)
        return _Story(session, way, supernet, allowed, ladder(bounds, allowed)).tell(retrain)


def _check_options(method: str, **options: object) -> None:
    """Refuse options that have no effect with a method."""
    for name, value in options.items():
        if value is not None and method != BY_TRIALS:
            raise ConfigError(f"--{name}: is for the method {BY_TRIALS}, got the method {method}")


class _Story:
    """The parts of a search, in their order."""

    def __init__(
        self, session: Session, method: Method, supernet: Config, allowed: int | None, budgets: Sequence[int]
    ) -> None:
        self.session = session
        self.method = method
        self.supernet = supernet
        self.allowed = allowed
        self.budgets = budgets
        self.folder = session.folder

    def tell(self, retrain: int) -> SearchResult:
        """Go through all parts; what an earlier call has done is not done again."""
        log = self.session.log
        log(f"{BASELINE}: the configuration as it is")
        baseline = self.session.train_baseline()
        log(f"{BASELINE}: validation AUC {baseline.auc:.4f}, {format_bytes(baseline.serving_bytes)}")
        log(f"{SUPERNET}: {self.method.title}")
        self.session.train(SUPERNET, self.supernet, schedule=type(self.method).schedule)
        measured, front, drops = self._score()
        chosen = choose(self.folder, front, self.allowed)
        to_train = self._to_train(chosen, measured, front, retrain)
        write_front(self.session, [*front, *(one for one in to_train if one not in front)])
        trained = [self._train(one) for one in to_train]
        known = trained if self._is_cut(chosen) else [baseline, *trained]
        best = choose_trained(self.folder, known, self.allowed) if trained else baseline
        findings = Findings(
            method=f"{self.method.name}: {self.method.title}",
            baseline=baseline,
            best=best,
            trained=trained,
            measured=measured,
            front=front,
            budget=self.allowed,
            lines=shape_lines(self.session.prepared, best.candidate.shapes, drops),
            parts=(SUPERNET, CANDIDATES, FEATURES),
        )
        return write_outputs(self.session, findings)

    def _score(self) -> tuple[list[Measured], list[Measured], dict[str, DropCost]]:
        """Return all candidates, those on the front, and what dropping each feature would cost."""
        session, clock = self.session, self.session.clock
        state = self.folder.state
        state.mkdir(exist_ok=True)
        with clock.measuring(CANDIDATES, session.on_progress) as on_progress:
            loaded = load_run(self.folder.run(SUPERNET), device=pick_device(session.device))
            scorer = Scorer(loaded, session.prepared.splits["valid"], self.folder)
            request = Request(
                loaded=loaded, prepared=session.prepared, budgets=self.budgets, state=state, log=session.log
            )
            everything = whole(loaded)
            scorer.measure(everything)
            for number, candidate in enumerate(self._candidates(request), 1):
                complete = replace(candidate, shapes={**everything.shapes, **candidate.shapes})
                found = scorer.measure(session.sayable(complete))
                session.log(
                    f"candidate {number}, {found.name}: validation AUC {found.auc:.4f}, "
                    f"{format_bytes(found.serving_bytes)}{self._best_so_far(scorer)}"
                )
                on_progress(CANDIDATES, number, None)
        with clock.measuring(FEATURES, session.on_progress) as on_progress:
            drops = scorer.drop_costs(on_progress)
        front = scorer.front()
        if not front:
            raise ConfigError(f"{self.folder.path}: no candidate has an AUC: training of the supernet diverged")
        del loaded, request
        gc.collect()  # reference cycles would keep the tables of the supernet in memory beside the next ones
        return list(scorer.measured.values()), front, drops

    def _candidates(self, request: Request) -> Iterator[Candidate]:
        """Yield what the method proposes, and within a budget what that must beat."""
        yield from self.method.candidates(request)
        uniform = None if self.allowed is None else uniform_within(request.loaded, self.allowed)
        if uniform is not None:
            yield uniform

    def _best_so_far(self, scorer: Scorer) -> str:
        small = [one for one in scorer.front() if self.allowed is not None and one.serving_bytes <= self.allowed]
        return f"; the best within the budget so far: {small[-1].name}, {small[-1].auc:.4f}" if small else ""

    def _to_train(
        self, chosen: Measured, measured: Sequence[Measured], front: Sequence[Measured], retrain: int
    ) -> list[Measured]:
        """Return the chosen point, what it must beat, and the points of the front that are nearest to it in bytes."""
        cut = [one for one in front if self._is_cut(one)]
        first = [chosen] if chosen in cut else []
        small = [one for one in measured if one.serving_bytes <= (self.allowed or 0)]
        uniform = [one for one in small if is_yardstick(one.name) and self._is_cut(one)]
        widest = max(uniform, key=lambda one: one.serving_bytes, default=None)  # others are of earlier calls, for less
        yardstick = [widest] if widest and all(self._changes(widest) != self._changes(one) for one in first) else []
        others = nearest([one for one in cut if one not in yardstick], chosen, retrain)
        return [*first, *yardstick, *others]

    def _is_cut(self, one: Measured) -> bool:
        """Return whether a candidate is another model than the user's."""
        return bool(self._changes(one))

    def _changes(self, one: Measured) -> dict[KeyPath, Any]:
        return self.session.changes(one.candidate)

    def _train(self, one: Measured) -> Measured:
        """Train a point from its file."""
        self.session.log(f"{one.name}: training from {self.folder.point_yaml(one.name)}")
        found = self.session.train_point(one.candidate)
        self.session.log(f"{one.name}: validation AUC {found.auc:.4f}, {format_bytes(found.serving_bytes)}")
        return found
