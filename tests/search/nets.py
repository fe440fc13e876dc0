"""A small click log, and supernets on it that were made but not trained."""

from pathlib import Path
from typing import Any

import torch

from recsys.config import Config, resolve
from recsys.config.schemes.blocks import BlocksTable
from recsys.data.prepare import prepare
from recsys.data.prepared import Prepared
from recsys.search.shape import TableShape
from recsys.search.supernet import supernet_config
from recsys.training.build import LoadedModel, build
from tests.training.logs import make_config, write_log


def make_prepared(folder: Path, **changes: Any) -> Prepared:
    """Prepare the log of the tests of runs, `user` with 21 ids and `item`, which `seen` shares, with 13."""
    return prepare(make_config(folder, **changes), write_log(folder / "data"), folder / "cache")


def build_model(config: Config, prepared: Prepared) -> LoadedModel:
    """Build the model of a configuration that the rows were prepared for."""
    return build(resolve(config, []), prepared.state, device=torch.device("cpu"))


def build_supernet(prepared: Prepared, gate: str = "nested", **options: Any) -> LoadedModel:
    """Build a supernet, whose rows are as they were drawn."""
    return build_model(supernet_config(prepared, {"kind": gate}, **options), prepared)


def padded_blocks(shape: TableShape) -> BlocksTable:
    """Return the section that a shape becomes, padded to its full width."""
    return BlocksTable.model_validate({"features": (shape.vocabulary,), **shape.section()})
