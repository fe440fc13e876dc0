"""The contract of a search method: a gate to learn, a schedule that learns it, and candidates from what was learnt."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from recsys.config import Config
from recsys.data.prepared import Prepared
from recsys.errors import ConfigError
from recsys.progress import no_log
from recsys.registry import did_you_mean, load_class
from recsys.search.candidate import Candidate
from recsys.search.methods import BY_TRIALS, METHODS
from recsys.search.supernet import supernet_config
from recsys.training.build import LoadedModel
from recsys.training.schedule import ScheduleFactory
from recsys.training.stages import StagedSchedule

__all__ = ["Method", "Request", "find_method"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """The supernet of a search, and the budgets that it wants candidates for."""

    loaded: LoadedModel
    """The trained supernet."""
    prepared: Prepared
    """The data, of which a method reads the splits for training and validation only."""
    budgets: Sequence[int]
    """Bytes of all tables when served; candidates between and beside them are welcome."""
    state: Path
    """Folder in which a method may keep what it has done, so that a kill costs it little."""
    log: Callable[[str], None] = no_log
    """Called with lines for the user."""

    @property
    def seed(self) -> int:
        """Seed of everything that the method draws."""
        return self.loaded.resolved.config.train.seed


class Method(ABC):
    """A way to find out which parts of the tables are worth their bytes.

    The supernet is trained as an ordinary run: `train(method.supernet(prepared), schedule=method.schedule)`.
    """

    name: ClassVar[str]
    """Name on the command line."""
    title: ClassVar[str]
    """Clause that says what it does, with its paper, for a list of methods."""
    schedule: ClassVar[ScheduleFactory] = StagedSchedule
    """Makes the schedule of the supernet."""

    @abstractmethod
    def gate(self) -> Mapping[str, Any]:
        """Return the section of the gates of the supernet."""

    def supernet(self, prepared: Prepared) -> Config:
        """Return the configuration of the supernet.

        Raises:
            ConfigError: There is no table to search.
        """
        return supernet_config(prepared, self.gate())

    @abstractmethod
    def candidates(self, request: Request) -> Iterator[Candidate]:
        """Yield candidates for each of the budgets that can be reached, the largest first."""


def find_method(name: str) -> type[Method]:
    """Return the class of a method: of this package, by its name, or of the user's own, by its import path.

    Raises:
        ConfigError: there is none.
    """
    path = name if ":" in name else METHODS.get(name)
    if path is None:
        known = [*METHODS, BY_TRIALS]
        raise ConfigError(f"--method: no method {name!r}{did_you_mean(name, known)}; known are {', '.join(known)}")
    return load_class(path, Method, where="--method")  # type: ignore[type-abstract]
