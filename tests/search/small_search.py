"""A search that takes seconds, by a method that learns nothing: it proposes narrow tables."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from recsys.config import load_config
from recsys.search.candidate import Candidate
from recsys.search.methods.base import Method, Request
from recsys.search.outputs import SearchResult
from recsys.search.run import search
from recsys.search.supernet import gated_tables, prefix_shape
from tests.training.logs import QUICK, write_config, write_log

__all__ = ["FEATURES", "METHOD", "Halves", "Narrow", "run", "write_search"]

METHOD = "tests.search.small_search:Narrow"
FEATURES = {"user": {"type": "id"}, "item": {"type": "id"}, "price": {"type": "number"}}


class Narrow(Method):
    """Proposes to halve all tables, to halve that of the users, and to drop the users."""

    name = "narrow"
    title = "halves tables without a look at them"

    def gate(self) -> Mapping[str, Any]:
        return {"kind": "nested"}

    def candidates(self, request: Request) -> Iterator[Candidate]:
        tables = gated_tables(request.loaded)
        for name, widths in {"users": {"user": 4}, "halves": {"user": 4, "item": 4}, "no_users": {"user": 0}}.items():
            shapes = {owner: prefix_shape(tables[owner], width) for owner, width in widths.items()}
            yield Candidate(name=name, shapes=shapes)


class Halves(Narrow):
    """Proposes to halve all tables, and nothing else."""

    def candidates(self, request: Request) -> Iterator[Candidate]:
        yield from (one for one in super().candidates(request) if one.name == "halves")


def write_search(folder: Path, **changes: Any) -> Path:
    """Write a log and its configuration with two full tables of dim 8, served in 32 bits; return the configuration."""
    write_log(folder)
    model = {"tower": "mlp", "dim": 8, "mlp": [16]}
    tables = {"all": {"features": ["*"], "serving_precision": "fp32"}}
    options = {"features": FEATURES, "model": model, "tables": tables, "train": QUICK | {"epochs": 2}} | changes
    return write_config(folder / "config.yaml", **options)


def run(config: Path, folder: Path, **options: Any) -> SearchResult:
    given: dict[str, Any] = {"method": METHOD, "device": "cpu", "command": "recsys search config.yaml"} | options
    place = config.parent
    return search(load_config(config), folder=folder, data_dir=place, cache_dir=place / "cache", **given)
