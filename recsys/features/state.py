"""The fitted state: all that is needed, besides the configuration, to prepare further rows or to export a model."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from recsys.checksums import inside, read_json, verify, write_checksums
from recsys.config.feature_types import Field
from recsys.errors import DataError, RecsysError
from recsys.features.fingerprint import HASH_VERSION, KeyKind
from recsys.features.moments import Numbers, NumberState
from recsys.features.vocabulary import Vocabulary

__all__ = ["TransformState"]

_VERSION = 1
_STATE = "state.json"
_REMEDY = "delete it if it is prepared data; in the folder of a run, restore it from a copy, or train again"


@dataclass(frozen=True, eq=False)
class TransformState:
    """The fitted transform.

    Attributes:
        key_kinds: feature (id, ids, sequence) -> how its values become keys.
        vocabularies: field that owns a vocabulary (learnt or listed) -> keys, ids and counts.
        numbers: number feature -> scaling.
        boundaries: bucket feature -> (K,) float64, strictly increasing.
        fixed_sizes: field whose number of ids follows from the configuration, such as a datetime part -> that number.
        extras: feature -> whatever JSON can hold and the user's own type of the feature has learned.
        num_rows: rows of the training split.
        hash_version: version of the functions in `recsys.features.fingerprint`.
    """

    key_kinds: dict[str, KeyKind] = field(default_factory=dict)
    vocabularies: dict[str, Vocabulary] = field(default_factory=dict)
    numbers: dict[str, NumberState] = field(default_factory=dict)
    boundaries: dict[str, Numbers] = field(default_factory=dict)
    fixed_sizes: dict[str, int] = field(default_factory=dict)
    extras: dict[str, Any] = field(default_factory=dict)
    num_rows: int = 0
    hash_version: int = HASH_VERSION

    def num_ids(self, of: Field) -> int | None:
        """Return how many ids the field can have, id 0 included; None if its ids are 64-bit keys."""
        if of.open:
            return None
        owner = of.vocabulary
        assert owner is not None, f"{of.name} is a number"
        if owner in self.vocabularies:
            return self.vocabularies[owner].size
        if owner in self.boundaries:
            return len(self.boundaries[owner]) + 2
        return self.fixed_sizes[owner]

    def save(self, folder: Path) -> None:
        """Write state.json and one .npy file for each array; the same state gives the same bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        facts: dict[str, Any] = {
            "version": _VERSION,
            "hash_version": self.hash_version,
            "num_rows": self.num_rows,
            "key_kinds": self.key_kinds,
            "numbers": {name: number._asdict() for name, number in self.numbers.items()},
            "fixed_sizes": self.fixed_sizes,
            "vocabularies": {name: f"vocabulary-{i}" for i, name in enumerate(self.vocabularies)},
            "boundaries": {name: f"boundaries-{i}" for i, name in enumerate(self.boundaries)},
        }
        if self.extras:
            facts["extras"] = self.extras
        for i, vocabulary in enumerate(self.vocabularies.values()):
            np.save(folder / f"vocabulary-{i}-keys.npy", vocabulary.keys)
            np.save(folder / f"vocabulary-{i}-ids.npy", vocabulary.ids)
            np.save(folder / f"vocabulary-{i}-counts.npy", vocabulary.counts)
        for i, boundaries in enumerate(self.boundaries.values()):
            np.save(folder / f"boundaries-{i}.npy", boundaries)
        (folder / _STATE).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        write_checksums(folder, [*sorted(path.name for path in folder.glob("*.npy")), _STATE])

    @classmethod
    def load(cls, folder: Path) -> "TransformState":
        """Read what `save` wrote.

        Raises:
            DataError: the folder has no state, or one of another version, or a damaged one.
        """
        facts = _facts(folder / _STATE)
        try:
            return cls(
                key_kinds=facts["key_kinds"],
                vocabularies={name: _vocabulary(folder, stem) for name, stem in facts["vocabularies"].items()},
                numbers={name: NumberState(**number) for name, number in facts["numbers"].items()},
                boundaries={name: _array(folder, stem) for name, stem in facts["boundaries"].items()},
                fixed_sizes=facts["fixed_sizes"],
                extras=facts.get("extras", {}),
                num_rows=facts["num_rows"],
                hash_version=facts["hash_version"],
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{folder / _STATE}: the fitted transform is damaged ({error!r}); {_REMEDY}") from error


def _facts(path: Path) -> dict[str, Any]:
    try:
        facts = read_json(path, remedy=_REMEDY)
    except OSError as error:
        raise DataError(f"{path}: no fitted transform can be read here ({error})") from error
    for name, expected in [("version", _VERSION), ("hash_version", HASH_VERSION)]:
        found = facts.get(name) if isinstance(facts, dict) else None
        if found != expected:
            raise DataError(f"{path}: {name} must be {expected}, got {found}: prepare the data and train again")
    result: dict[str, Any] = facts
    return result


def _vocabulary(folder: Path, stem: str) -> Vocabulary:
    return Vocabulary(*(_array(folder, f"{stem}-{part}") for part in ("keys", "ids", "counts")))


def _array(folder: Path, stem: str) -> Any:  # the dtype is in the file
    path = inside(folder, f"{stem}.npy")
    try:
        return np.load(verify(path, remedy=_REMEDY), allow_pickle=False)
    except RecsysError:
        raise
    except Exception as error:  # whatever a damaged header raises
        raise DataError(f"{path}: the fitted transform is damaged ({error}); {_REMEDY}") from error
