"""The study of a search: where it is stored, and what it must agree on with others that work on it."""

import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError

from recsys.errors import ConfigError, RecsysError
from recsys.search.optuna.storage_name import storage_name

__all__ = ["close_storage", "open_storage", "open_study", "storage_errors"]

Direction = Literal["maximize", "minimize"]
METRICS = ["validation AUC", "bytes of the tables when served"]
"""Names of the objectives, for dashboards."""
CONNECT_SECONDS = 10
"""Longest time to wait for a database server."""
OPEN_ATTEMPTS = 6
"""Attempts to make the tables of a database while others make them."""


def open_storage(storage: str | None, default: Path) -> BaseStorage:
    """Open where a study is stored, and make it if it is not there.

    Args:
        storage: URL of a database (`sqlite:///FILE`, `postgresql://USER@HOST/NAME`), or the path of a journal file.
        default: journal file that is used when nothing is given.

    Raises:
        RecsysError: it cannot be reached.
    """
    with storage_errors(storage or str(default), ImportError, OSError):
        if storage is None or "://" not in storage:
            path = default if storage is None else Path(storage)
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = JournalFileOpenLock(str(path))
            return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))
        url = storage.replace("postgres://", "postgresql://", 1) if storage.startswith("postgres://") else storage
        return _open_database(url)


def _open_database(url: str) -> RDBStorage:
    """Open a database; of two that make the tables of an empty one at once, the second finds them made."""
    options = _engine_options(url)
    for attempt in range(1, OPEN_ATTEMPTS):
        try:
            return RDBStorage(url, engine_kwargs=dict(options))
        except SQLAlchemyError as error:
            if not _was_made_meanwhile(error):
                raise
        time.sleep(0.2 * attempt)
    return RDBStorage(url, engine_kwargs=dict(options))


def _was_made_meanwhile(error: SQLAlchemyError) -> bool:
    """Return whether an error says that something is there which was not a moment before."""
    return isinstance(error, IntegrityError) or "already exists" in str(getattr(error, "orig", error))


def close_storage(storage: BaseStorage) -> None:
    """Close the connections of a storage."""
    if isinstance(storage, RDBStorage):
        storage.remove_session()
        storage.engine.dispose()


def _engine_options(url: str) -> dict[str, object]:
    """Return the options with which a database is opened: a server is not waited for forever."""
    try:
        kind = make_url(url).get_backend_name()
    except ValueError as error:  # a port that is no number
        raise ArgumentError(str(error)) from error
    if kind == "sqlite":
        return {"connect_args": {"timeout": 60}}  # of a lock that another process holds
    return {"connect_args": {"connect_timeout": CONNECT_SECONDS}, "pool_pre_ping": True}


@contextmanager
def storage_errors(storage: str, *others: type[Exception]) -> Iterator[None]:
    """Turn what goes wrong with a storage in the block into one line that names it without its password.

    Args:
        storage: as the user gave it.
        others: errors that are the storage's too in this block, beside those of databases.
    """
    kinds: tuple[type[Exception], ...] = (SQLAlchemyError, optuna.exceptions.StorageInternalError, *others)
    try:
        yield
    except kinds as error:
        cause = error.__cause__ if isinstance(error, optuna.exceptions.StorageInternalError) else error
        text = " ".join(str(getattr(cause, "orig", None) or cause or error).split())
        raise RecsysError(f"--storage: {storage_name(storage)} cannot be used: {_hide(text, storage)}") from error


def _hide(text: str, storage: str) -> str:
    """Return a message of a driver without secrets of the URL that it may repeat."""
    access, _, options = storage.partition("://")[2].partition("?")
    password = access.rpartition("@")[0].partition(":")[2]
    secrets = [password, *(pair.partition("=")[2] for pair in options.split("&") if "pass" in pair.partition("=")[0])]
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    return text.replace("(Background on this error", "").strip()


def open_study(
    storage: BaseStorage,
    name: str,
    *,
    directions: Sequence[Direction],
    sampler: BaseSampler,
    facts: Mapping[str, str],
) -> optuna.Study:
    """Open a study, or start it.

    Args:
        storage: where it is.
        name: of the study.
        directions: "maximize" or "minimize", for each objective.
        sampler: proposes choices.
        facts: what all that work on the study must have in common, by name; attributes of the study.

    Raises:
        ConfigError: the study of this name is one of another configuration, or of other data.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study = optuna.create_study(
            storage=storage, study_name=name, directions=list(directions), sampler=sampler, load_if_exists=True
        )
        if study.metric_names is None and len(study.directions) == len(directions):
            study.set_metric_names(METRICS[: len(directions)])
    for key, value in facts.items():
        known = study.user_attrs.get(key)
        if known is None:
            study.set_user_attr(key, value)
        elif known != value:
            raise ConfigError(
                f"--storage: its study {name!r} was started with another {key}, so its trials are of no use for this "
                "one; name another search with --name"
            )
    if [direction.name.lower() for direction in study.directions] != list(directions):
        raise ConfigError(f"--storage: its study {name!r} has other objectives; name another search with --name")
    return study
