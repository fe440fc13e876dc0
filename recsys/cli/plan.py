"""`recsys plan`: the sharding plan for a machine that need not be here, and what a training step would cost on it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from recsys.cli.dense_flops import tower_with_flops
from recsys.cli.plan_tables import show_sharding_plan
from recsys.cli.progress import progress_reports
from recsys.config import Config, Field, ResolvedConfig, load_config, resolve
from recsys.config.budget import budget_bytes, read_budget
from recsys.data.downsample import describe_rows_left
from recsys.data.lengths import mean_lengths
from recsys.data.prepare import prepare
from recsys.embeddings import FeatureVocabulary
from recsys.embeddings.vocabularies import feature_vocabularies, vocabularies_without_data
from recsys.errors import ConfigError, DataError
from recsys.files import write_atomic
from recsys.model import layout_of
from recsys.sharding import GPUS, Machine, plan_for_machine

__all__ = ["Hardware", "machine_of", "plan_and_show"]

MAX_PER_HOST = 8
"""Devices of a host, if the command line does not give their number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """The machine as the command line describes it; None stands for the preset's value."""

    device: str = "cuda"
    world: int = 1
    per_host: int | None = None
    gpu: str = "h100"
    memory: str | None = None
    host_memory: str | None = None
    intra_bandwidth: str | None = None
    inter_bandwidth: str | None = None


def plan_and_show(
    path: Path, hardware: Hardware, *, out: Path | None, data_dir: Path, cache_dir: Path, argv: str
) -> None:
    """Make the sharding plan of a configuration, and print it with the estimated cost of a step.

    Args:
        path: File of the configuration.
        hardware: Machine to plan for, which need not be this one.
        out: File to write the plan to, as JSON that `recsys train --plan` reads.
        data_dir: Folder that the configuration's paths are relative to.
        cache_dir: Folder of prepared data.
        argv: Configuration and options as they were typed, for the command that trains with the plan.

    Raises:
        ShardingError: The tables do not fit into memory.
        ConfigError: The configuration is not valid, or there is no such machine.
        DataError: Vocabularies are learned from data that is not there.
    """
    machine = machine_of(hardware)
    if out is not None and not out.parent.is_dir():
        raise ConfigError(f"--out: {out.parent} is no folder")
    resolved, vocabularies, lengths, assumed = _table_sizes(load_config(path), data_dir, cache_dir)
    train = resolved.config.train
    with torch.device("meta"):  # the schemes of large vocabularies hold large tensors
        layout = layout_of(resolved, vocabularies)
    is_bf16 = train.precision == "bf16-mixed" or (train.precision == "auto" and hardware.device == "cuda")
    tower, flops = tower_with_flops(resolved, layout, lengths)
    plan = plan_for_machine(machine, layout, tower, train, lengths)
    show_sharding_plan(plan, flops, is_bf16=is_bf16)
    if assumed:
        print(f"without data, rows are assumed to be full: max_len ids of {', '.join(assumed)}")
    if out is not None:
        write_atomic(out, plan.to_json())
        devices = f" --devices {machine.world_size}" if machine.num_hosts == 1 < machine.world_size else ""
        print(f"\n{out}: the sharding plan; train with it: recsys train {argv}{devices} --plan {out}")


def machine_of(hardware: Hardware) -> Machine:
    """Return the machine that the command line describes.

    Raises:
        ConfigError: A size is not valid, or the devices do not fill whole hosts.
    """
    world_size = hardware.world
    local = hardware.per_host or min(world_size, MAX_PER_HOST)
    sizes = {
        "memory": _size(hardware.memory, "--memory"),
        "host_memory": _size(hardware.host_memory, "--host-memory"),
        "intra_bandwidth": _size(hardware.intra_bandwidth, "--intra-bandwidth"),
        "inter_bandwidth": _size(hardware.inter_bandwidth, "--inter-bandwidth"),
    }
    given: dict[str, Any] = {name: size for name, size in sizes.items() if size is not None}
    if hardware.device == "cpu":
        machine = Machine.detect(1, "cpu")
        host = given.get("host_memory") or given.get("memory", 0) * min(world_size, local) or machine.host_memory
        return replace(replace(machine, host_memory=host).with_devices(world_size, local), **given)
    if hardware.gpu not in GPUS:
        raise ConfigError(f"--gpu: must be one of {', '.join(GPUS)}, got {hardware.gpu!r}")
    return replace(GPUS[hardware.gpu].with_devices(world_size, local), **given)


def _size(text: str | None, option: str) -> int | None:
    if text is None:
        return None
    try:
        size = budget_bytes(read_budget(text, where=option), None)
    except ConfigError:
        size = None
    if not size:
        raise ConfigError(f"{option}: must be bytes with a unit, such as 80GiB or 2TiB, got {text}")
    return size


def _table_sizes(
    config: Config, data_dir: Path, cache_dir: Path
) -> tuple[ResolvedConfig, dict[str, FeatureVocabulary], dict[str, float], list[str]]:
    """Return the resolved configuration, its vocabularies, mean lengths, and the fields whose length is assumed."""
    known = _without_data(config)
    if known is not None:
        resolved, vocabularies = known
        full = {field.name: float(_max_len(resolved, field)) for field in _lists(resolved)}
        return resolved, vocabularies, full, list(full)
    try:
        with progress_reports() as on_progress:
            prepared = prepare(config, data_dir, cache_dir, on_progress)
    except DataError as error:
        raise DataError(
            f"{error}\nthe plan needs the data: its vocabularies are learned, so they size the tables"
        ) from error
    train = prepared.splits["train"]
    if train.left_out:
        print(describe_rows_left(config, train.num_rows, train.left_out))
    lengths = mean_lengths(train, prepared.resolved)
    return prepared.resolved, feature_vocabularies(prepared.resolved, prepared.state), lengths, []


def _without_data(config: Config) -> tuple[ResolvedConfig, dict[str, FeatureVocabulary]] | None:
    """Return the resolved configuration and its vocabularies if both are known without data."""
    try:
        resolved = resolve(config, config.data.columns or [])
    except ConfigError:
        return None  # it has globs, which stand for columns of the data
    vocabularies = vocabularies_without_data(resolved)
    return None if vocabularies is None else (resolved, vocabularies)


def _max_len(resolved: ResolvedConfig, field: Field) -> int:
    limit = resolved.features[field.feature].list_limit()
    assert limit is not None, f"{field.name} holds no lists"
    return limit.max_len


def _lists(resolved: ResolvedConfig) -> list[Field]:
    return [field for field in resolved.fields if field.is_list]
