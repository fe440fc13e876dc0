"""The story of one search: baseline, supernet, candidates, front, the best one trained, report."""

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log as ln
from pathlib import Path

from recsys.config import Config
from recsys.data.classes import check_splits
from recsys.data.prepare import prepare
from recsys.errors import ConfigError
from recsys.progress import OnProgress, no_log, no_progress
from recsys.search.budgets import bounds_of, ladder, read_search_budget
from recsys.search.candidate import Candidate, Measured
from recsys.search.costs import CostClock
from recsys.search.feature_lines import shape_lines
from recsys.search.folder import BASELINE, SUPERNET, SearchFolder
from recsys.search.front import best_within, smallest_good
from recsys.search.methods.base import Method, Request, find_method
from recsys.search.outputs import Findings, write_front, write_outputs
from recsys.search.scorer import WHOLE, DropCost, Scorer, is_significantly_worse
from recsys.search.session import Session
from recsys.training.build import load_run
from recsys.training.strategy import pick_device
from recsys.units import format_bytes

__all__ = ["SearchResult", "search"]

CANDIDATES, FEATURES = "candidates", "features"
"""Names of the parts of a search in its costs, beside those of its runs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchResult:
    """The findings of a search, for its caller."""

    folder: Path
    best_yaml: Path
    """The configuration to train."""
    best: Measured
    """The model that was trained from it; the baseline, if nothing can be cut."""
    baseline: Measured
    """The model of the configuration as it was."""
    front: list[Measured]
    """Candidates that no other beats in both bytes and AUC, the smallest first."""


def search(
    config: Config,
    *,
    method: str,
    folder: Path,
    data_dir: Path,
    cache_dir: Path,
    budget: str | float | None = None,
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
    way = find_method(method)()
    prepared = prepare(config, data_dir, cache_dir, on_progress)
    check_splits(prepared.splits, prepared.resolved.config)
    supernet = way.supernet(prepared)
    bounds = bounds_of(prepared)
    allowed = read_search_budget(budget, bounds)
    place = SearchFolder(folder)
    with place.opened(config, method, prepared):
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
        return _Story(session, way, supernet, allowed, ladder(bounds, allowed)).tell(retrain)


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
        chosen = self._choose(front)
        write_front(self.session, front)
        trained = self._train(chosen, front, retrain)
        best = self._best_of(trained) if trained else baseline
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
        write_outputs(self.session, findings)
        return SearchResult(
            folder=self.folder.path, best_yaml=self.folder.best_yaml, best=best, baseline=baseline, front=front
        )

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
            scorer.measure(Candidate(name=WHOLE))
            for number, candidate in enumerate(self.method.candidates(request), 1):
                found = scorer.measure(candidate)
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

    def _best_so_far(self, scorer: Scorer) -> str:
        small = [one for one in scorer.front() if self.allowed is not None and one.serving_bytes <= self.allowed]
        return f"; the best within the budget so far: {small[-1].name}, {small[-1].auc:.4f}" if small else ""

    def _choose(self, points: Sequence[Measured]) -> Measured:
        if self.allowed is not None:
            return best_within(points, self.allowed)
        return smallest_good(points, lambda one, best: is_significantly_worse(self.folder, one, best))

    def _best_of(self, trained: Sequence[Measured]) -> Measured:
        """Return the best of the models that were trained, of which the first is the chosen one."""
        small = [one for one in trained if self.allowed is None or one.serving_bytes <= self.allowed]
        return self._choose(small) if small else trained[0]

    def _train(self, chosen: Measured, front: Sequence[Measured], retrain: int) -> list[Measured]:
        """Train the chosen point, and those of the front that are nearest to it in bytes; the whole is the baseline."""
        others = [one for one in front if one.name not in (chosen.name, WHOLE)]
        others.sort(key=lambda one: abs(ln(max(one.serving_bytes, 1) / max(chosen.serving_bytes, 1))))
        found = []
        for one in [chosen, *others[:retrain]]:
            if one.name == WHOLE:
                continue
            self.session.log(f"{one.name}: training from {self.folder.point_yaml(one.name)}")
            measured = self.session.train_point(one.candidate)
            self.session.log(f"{one.name}: validation AUC {measured.auc:.4f}, {format_bytes(measured.serving_bytes)}")
            found.append(measured)
        return found
