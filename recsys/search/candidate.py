"""A candidate: tables as a search proposes them, and what was measured of them. Knows no torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from recsys.checksums import read_json, with_checksum, without_checksum
from recsys.config.problems import KeyPath
from recsys.files import atomic_path, write_json
from recsys.search.shape import TableShape

__all__ = ["Candidate", "Measured", "Source", "read_measured", "write_measured"]

Source = Literal["supernet", "trained"]
_REMEDY = "delete it, and it is measured again"


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """Tables that a search proposes; everything else is as in the user's configuration but for `changes`."""

    name: str
    """Unique in its search, and fit for the name of a file."""
    shapes: Mapping[str, TableShape] = field(default_factory=dict)
    """Shapes by vocabulary. Those that a method does not name keep all rows and columns."""
    changes: Mapping[KeyPath, Any] = field(default_factory=dict)
    """Other keys of the configuration that it sets, by their paths."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """A candidate with its bytes and its AUC on the validation split."""

    candidate: Candidate
    serving_bytes: int
    """Bytes of all tables as they are served, what a budget is compared with."""
    training_bytes: int
    """Bytes of all tables with the optimizer's state."""
    auc: float
    auc_low: float | None = None
    """Lower end of the 95 % interval; None where the rows are too few for one."""
    auc_high: float | None = None
    seconds: float = 0.0
    """Time it took to measure."""
    source: Source = "supernet"
    """supernet: scored by masks on a frozen supernet; trained: a model of its own was trained."""

    @property
    def name(self) -> str:
        """Name of the candidate."""
        return self.candidate.name


def write_measured(folder: Path, measured: Measured) -> Path:
    """Write NAME.json and, if a shape has entries for each id, NAME.npz before it; each whole or not at all.

    Returns:
        The path of the JSON file, whose presence says that the candidate is measured.
    """
    candidate = measured.candidate
    by_id = {
        f"{what}/{name}": entries
        for name, shape in candidate.shapes.items()
        for what, entries in (("kept", shape.kept), ("ranks", shape.ranks))
        if entries is not None
    }
    if by_id:
        with atomic_path(folder / f"{candidate.name}.npz") as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **by_id)  # type: ignore[arg-type]  # numpy's stub takes them for allow_pickle
    path = folder / f"{candidate.name}.json"
    write_json(path, with_checksum(_facts(measured)))
    return path


def read_measured(path: Path) -> Measured:
    """Read what `write_measured` has written to NAME.json.

    Raises:
        DataError: the file is damaged.
        OSError: it is not there.
    """
    facts = without_checksum(read_json(path, remedy=_REMEDY), path, remedy=_REMEDY)
    by_id = _by_id(path.with_suffix(".npz"))
    shapes = {
        name: TableShape.from_json(shape, kept=by_id.get(f"kept/{name}"), ranks=by_id.get(f"ranks/{name}"))
        for name, shape in facts.pop("shapes").items()
    }
    changes = {tuple(keys): value for keys, value in facts.pop("changes")}
    return Measured(candidate=Candidate(name=facts.pop("name"), shapes=shapes, changes=changes), **facts)


def _facts(measured: Measured) -> dict[str, Any]:
    candidate = measured.candidate
    return {
        "name": candidate.name,
        "shapes": {name: shape.to_json() for name, shape in candidate.shapes.items()},
        "changes": [[list(path), value] for path, value in candidate.changes.items()],
        **{
            key: getattr(measured, key)
            for key in ("serving_bytes", "training_bytes", "auc", "auc_low", "auc_high", "seconds", "source")
        },
    }


def _by_id(path: Path) -> dict[str, NDArray[Any]]:
    if not path.exists():
        return {}
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)
