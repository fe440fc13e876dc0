"""Small configurations with each section of this package, and values at the edge to put into each of their keys."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from recsys.config import json_schema
from recsys.config.calibrations import CALIBRATIONS
from recsys.config.feature_types import FEATURE_TYPES
from recsys.config.lr_schedules import LR_SCHEDULES
from recsys.config.schemes import SCHEMES
from recsys.config.towers import TOWERS

FEATURES: Mapping[str, Mapping[str, Any]] = {
    "sequence": {"of": "a"},
    "bucket": {"quantiles": 4},
    "cross": {"of": ("a", "b")},
}
"""Keys that features of a type must have."""
EVIL: Mapping[str, Any] = {
    "huge": 10**30,
    "beyond int64": 2**63,
    "billion": 10**9,
    "hundreds of digits": 10**400,
    "thousands of digits": 10**5000,
    "negative": -1,
    "zero": 0,
    "huge float": 1e300,
    "tiny float": 5e-324,
    "negative float": -1e300,
    "nan": float("nan"),
    "inf": float("inf"),
    "bool": True,
    "text": "x",
    "empty text": "",
    "glob": "**x",
    "class that is none": "math:pi",
    "abstract class": "recsys.towers:Tower",
    "digits": "9" * 400 + "GB",
    "null": None,
    "empty list": (),
    "list": (10**30, float("nan"), ""),
    "mapping": {"a": 10**30},
}


class Spot(NamedTuple):
    """A section in a configuration that is valid."""

    path: tuple[str, ...]
    values: Mapping[str, Any]
    schema: str
    """Name of the section's class, which is that of its JSON schema."""
    around: Mapping[str, Any] | None = None
    """Keys of the section around it, which then holds a list of such sections."""

    def config(self, **changes: Any) -> dict[str, Any]:
        """Return the configuration, with changes of this section."""
        section: dict[str, Any] = {**self.values, **changes}
        config = {"label": "y", "features": {"a": {"type": "id"}, "b": {"type": "id"}}}
        found: dict[str, Any] = config
        for key in self.path[:-1]:
            found = found.setdefault(key, {})
        found.update(self.around or {})
        found[self.path[-1]] = section if self.around is None else (section,)
        if self.path[-1] == "calibrated":
            found["early_stopping"] = {"metric": "logloss"}
        if section.get("tower") == "din":
            config["features"]["h"] = {"type": "sequence", "of": "a"}  # type: ignore[index]
        return config


def spots() -> Iterator[Spot]:
    """Yield every section of this package."""
    for name, feature in FEATURE_TYPES.items():
        yield Spot(("features", "x"), {"type": name, **FEATURES.get(name, {})}, feature.__name__)
    yield Spot(("features", "b", "kept"), {"file": "b.parquet"}, "KeptFile")
    blocks = {"scheme": "blocks", "features": ("a", "b")}
    yield Spot(("tables", "x", "blocks"), {"dim": 4}, "Block", blocks)
    for name, table in SCHEMES.items():
        keys = {key: value for key, value in table.examples[""].items() if key not in ("features", "lookups")}
        yield Spot(("tables", "x"), {"scheme": name, "features": ("a", "b"), **keys}, table.__name__)
    for name, tower in TOWERS.items():
        yield Spot(("model",), {"tower": name, **tower.examples[""]}, tower.__name__)
    yield Spot(("data",), {}, "DataSection")
    yield Spot(("data", "split"), {}, "FractionSplit")
    yield Spot(("data", "split"), {"by": "time", "column": "t"}, "TimeSplit")
    yield Spot(("train",), {"epochs": 20}, "TrainSection")
    yield Spot(("train", "sparse_optimizer"), {}, "SparseOptimizer")
    yield Spot(("train", "dense_optimizer"), {}, "DenseOptimizer")
    yield Spot(("train", "regularization"), {}, "Regularization")
    yield Spot(("train", "early_stopping"), {}, "EarlyStopping")
    for name, schedule in LR_SCHEDULES.items():
        yield Spot(("train", "lr_schedule"), {"name": name}, schedule.__name__)
    yield Spot(("train", "loss"), {}, "LogLossSection")
    yield Spot(("train", "calibrated"), {"targets": "bins"}, "BinTargets")
    yield Spot(("train", "calibrated"), {"targets": "kernel"}, "KernelTargets")
    for name, calibration in CALIBRATIONS.items():
        yield Spot(("calibration",), {"method": name}, calibration.__name__)
    yield Spot(("search",), {"dims": {"a": (4,)}}, "SearchSection")
    yield Spot(("search", "space", "train.epochs"), {"low": 1, "high": 3}, "NumberRange")


SCHEMA = json_schema()


def keys(spot: Spot) -> list[str]:
    """Return the keys of a section."""
    return list(SCHEMA["$defs"][spot.schema]["properties"])


def numbers(schema: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Yield the schema of each number inside a JSON schema, with the way to it."""
    if isinstance(schema, Mapping):
        if schema.get("type") in ("integer", "number"):
            yield path, schema
        for key, child in schema.items():
            yield from numbers(child, (*path, key))
    elif isinstance(schema, list):
        for index, child in enumerate(schema):
            yield from numbers(child, (*path, str(index)))
