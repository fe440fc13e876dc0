"""Layouts of three tables and machines to plan for, for the tests of this folder."""

from dataclasses import replace
from typing import Any

from recsys.config import Config, SparseOptimizer, resolve
from recsys.embeddings import FeatureVocabulary, Layout
from recsys.sharding import Machine, ShardingPlan, make_sharding_plan
from recsys.units import GB

BIG = {"user": 40_000_000, "item": 3_000_000, "tags": 3}
SMALL = {"user": 40, "item": 17, "tags": 5}
LENGTHS = {"tags": 2.5, "clicks": 20.0}
FEATURES = {
    "user": {"type": "id"},
    "item": {"type": "id"},
    "tags": {"type": "ids"},
    "clicks": {"type": "sequence", "of": "item"},
}


def make_layout(
    num_ids: dict[str, int],
    spec: dict[str, Any],
    *,
    dim: int = 16,
    jagged: bool = False,
    changes: dict[str, dict[str, Any]] | None = None,
) -> Layout:
    """Return the layout of a table for each of three vocabularies.

    Args:
        num_ids: Sizes of the vocabularies.
        spec: Keys of all tables.
        dim: Width of their rows.
        jagged: Whether the sequence is read entry by entry.
        changes: Other keys of some tables.
    """
    tables = {f"t_{name}": {"features": [name], **spec, **(changes or {}).get(f"t_{name}", {})} for name in num_ids}
    values = {
        "label": "y",
        "features": FEATURES,
        "tables": tables,
        "model": {"tower": "mlp", "dim": dim},
        "train": {"sparse_optimizer": {"name": "adagrad"}},
    }
    vocabularies = {name: FeatureVocabulary(name, size) for name, size in num_ids.items()}
    resolved = resolve(Config.model_validate(values, strict=False), [])
    return Layout(resolved, vocabularies, jagged=jagged, regularized=False)


def sparse_optimizer(name: str) -> SparseOptimizer:
    """Return the section of a sparse optimizer."""
    return SparseOptimizer.model_validate({"name": name})


def make_plan(layout: Layout, machine: Machine, *, optimizer: str = "adagrad", **changes: Any) -> ShardingPlan:
    """Return the plan for a batch of 65,536 rows."""
    arguments: dict[str, Any] = {
        "machine": machine,
        "batch_size": 65_536,
        "optimizer": sparse_optimizer(optimizer),
        "lengths": LENGTHS,
        "dense_gradient_bytes": 20_000_000,
        **changes,
    }
    return make_sharding_plan(layout, **arguments)


def cpus(world_size: int, local_world_size: int | None = None, memory: int = 16 * GB) -> Machine:
    """Return processes on CPUs with so much memory each."""
    local = local_world_size or world_size
    machine = Machine.detect(1, "cpu").with_devices(world_size, local)
    return replace(machine, memory=memory, host_memory=memory * local)
