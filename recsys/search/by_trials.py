"""The story of a search by trials, in which every candidate is trained: trials, front, the best one, report."""

from importlib.util import find_spec

from recsys.config import Config, load_config
from recsys.data.prepare import prepare
from recsys.data.prepared import Prepared
from recsys.errors import ConfigError
from recsys.search.budgets import Bounds, serving_bytes
from recsys.search.candidate import Measured
from recsys.search.choice import choose, nearest
from recsys.search.feature_lines import FeatureLine, changed_lines
from recsys.search.folder import BASELINE, OTHERS_WAIT_SECONDS
from recsys.search.front import pareto_front
from recsys.search.outputs import Findings, SearchResult, write_front, write_outputs
from recsys.search.session import Session

__all__ = ["DEFAULT_TRIALS", "search_by_trials", "trials_bounds"]

DEFAULT_TRIALS = 30


def trials_bounds(config: Config, prepared: Prepared) -> Bounds:
    """Return the bytes between which a search by trials can end.

    Raises:
        ConfigError: optuna is not installed, or there is nothing to search.
    """
    missing = [name for name in ("optuna", "scipy", "sqlalchemy") if find_spec(name) is None]
    if missing:
        raise ConfigError(f"--method: optuna needs {missing[0]}: pip install 'recsys[search]'")
    from recsys.search.optuna.space import SearchSpace  # an extra of the package

    full = sum(serving_bytes(prepared.resolved, prepared.state).values())
    return Bounds(full, whole=full, fixed=0, least=SearchSpace(config, prepared).least_bytes())


def search_by_trials(
    session: Session, *, trials: int | None, storage: str | None, allowed: int | None, retrain: int
) -> SearchResult:
    """Train trials until there are enough of them, beside other processes that do the same, and write what was found.

    Args:
        session: the search; others may work on it too.
        trials: number of trials of all processes together.
        storage: database or journal file of the study. Default: a journal file in the folder.
        allowed: most bytes of the tables.
        retrain: number of further points of the front that are compared in the report; they are trained already.

    Raises:
        ConfigError: there is nothing to search, or no trial keeps to the budget.
        RecsysError: the storage cannot be used.
    """
    from recsys.search.optuna.run import TRIALS, run_trials  # an extra of the package

    baseline, *others = run_trials(session, trials=trials or DEFAULT_TRIALS, budget=allowed, storage=storage)
    front = pareto_front([baseline, *others])
    best = choose(session.folder, front, allowed)
    with session.folder.changing(wait_seconds=OTHERS_WAIT_SECONDS):
        write_front(session, front)
        chosen = [one for one in (best, *nearest(front, best, retrain)) if one.name != BASELINE]
        for one in chosen:
            session.train_point(one.candidate)  # for it may have been trained on another machine
        findings = Findings(
            method="optuna: trials of widths, schemes and other keys, each of them trained (Akiba et al. 2019)",
            baseline=baseline,
            best=best,
            trained=chosen,
            measured=others,
            front=front,
            budget=allowed,
            lines=_lines(session, best),
            parts=(TRIALS,),
        )
        return write_outputs(session, findings)


def _lines(session: Session, best: Measured) -> list[FeatureLine]:
    """Return what the best trial stores otherwise than the user's configuration."""
    config = load_config(session.folder.point_yaml(best.name))
    prepared = prepare(config, session.data_dir, session.cache_dir, session.on_progress)
    before = session.prepared
    return changed_lines(before.resolved, prepared.resolved, before.state, prepared.state)
