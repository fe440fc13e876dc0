"""`recsys plan`: who would hold what on other machines than this one, why, and what a step would cost."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from recsys.cli.dense_cost import tower_of
from recsys.cli.plan_cost import say, show_cost
from recsys.cli.progress import progress_reports
from recsys.config import Config, Field, ResolvedConfig, load_config, resolve
from recsys.config.budget import budget_bytes, read_budget
from recsys.data.lengths import mean_lengths
from recsys.data.prepare import prepare
from recsys.embeddings import FeatureVocabulary
from recsys.embeddings.vocabularies import feature_vocabularies, vocabularies_without_data
from recsys.errors import ConfigError, DataError
from recsys.files import write_atomic
from recsys.model import layout_of
from recsys.sharding import GPUS, Machine
from recsys.training.sharding import place_on

__all__ = ["Hardware", "machine_of", "show_placement"]

PER_HOST = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """The machine as the command line describes it; None: as the preset has it."""

    device: str = "cuda"
    world: int = 1
    per_host: int | None = None
    gpu: str = "h100"
    memory: str | None = None
    host_memory: str | None = None
    intra_bandwidth: str | None = None
    inter_bandwidth: str | None = None


def show_placement(
    path: Path, hardware: Hardware, *, out: Path | None, data_dir: Path, cache_dir: Path, words: str
) -> None:
    """Print who would hold what, and what a step is estimated to cost.

    Args:
        path: of the config.
        hardware: to plan for; none of it need be here.
        out: write the plan here, as JSON that `recsys train --plan` carries out.
        data_dir: what the config's paths are relative to.
        cache_dir: where prepared data is kept.
        words: config and options as they were typed, for the command that carries the plan out.

    Raises:
        ShardingError: the tables do not fit.
        ConfigError: the config or the hardware cannot be.
        DataError: vocabularies are learnt from data, and the data is not there.
    """
    machine = machine_of(hardware)
    if out is not None and not out.parent.is_dir():
        raise ConfigError(f"--out: {out.parent} is no folder")
    resolved, vocabularies, lengths, assumed = _sizes(load_config(path), data_dir, cache_dir)
    train = resolved.config.train
    with torch.device("meta"):  # the schemes of large vocabularies hold large tensors
        layout = layout_of(resolved, vocabularies)
    tower, flops = tower_of(resolved, layout, lengths)
    placement = place_on(machine, layout, tower, train, lengths)
    show_cost(placement, flops, is_bf16=train.precision == "bf16-mixed")
    if assumed:
        say(f"without data, rows are taken to be full: max_len ids of {', '.join(assumed)}")
    if out is not None:
        write_atomic(out, placement.to_json())
        devices = f" --devices {machine.world}" if machine.num_hosts == 1 < machine.world else ""
        say(f"\n{out}: the plan; carry it out with recsys train {words}{devices} --plan {out}")


def machine_of(hardware: Hardware) -> Machine:
    """Return the machine that the command line describes.

    Raises:
        ConfigError: a size cannot be read, or the devices do not fill whole hosts.
    """
    world = hardware.world
    per_host = hardware.per_host or min(world, PER_HOST)
    sizes = {
        "memory": _size(hardware.memory, "--memory"),
        "host_memory": _size(hardware.host_memory, "--host-memory"),
        "intra": _size(hardware.intra_bandwidth, "--intra-bandwidth"),
        "inter": _size(hardware.inter_bandwidth, "--inter-bandwidth"),
    }
    given: dict[str, Any] = {name: size for name, size in sizes.items() if size is not None}
    if hardware.device == "cpu":
        machine = Machine.here(1, "cpu")
        host = given.get("host_memory") or given.get("memory", 0) * min(world, per_host) or machine.host_memory
        return replace(replace(machine, host_memory=host).of(world, per_host), **given)
    if hardware.gpu not in GPUS:
        raise ConfigError(f"--gpu: must be one of {', '.join(GPUS)}, got {hardware.gpu!r}")
    return replace(GPUS[hardware.gpu].of(world, per_host), **given)


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


def _sizes(
    config: Config, data_dir: Path, cache_dir: Path
) -> tuple[ResolvedConfig, dict[str, FeatureVocabulary], dict[str, float], list[str]]:
    """Return the plan, its vocabularies, mean ids of rows, and the fields for which these are only assumed."""
    known = _known(config)
    if known is not None:
        resolved, vocabularies = known
        full = {field.name: float(_max_len(resolved, field)) for field in _lists(resolved)}
        return resolved, vocabularies, full, list(full)
    try:
        with progress_reports() as on_progress:
            prepared = prepare(config, data_dir, cache_dir, on_progress)
    except DataError as error:
        raise DataError(
            f"{error}\nthe plan needs the data: its vocabularies are learnt, so they size the tables"
        ) from error
    lengths = mean_lengths(prepared.splits["train"], prepared.resolved)
    return prepared.resolved, feature_vocabularies(prepared.resolved, prepared.state), lengths, []


def _known(config: Config) -> tuple[ResolvedConfig, dict[str, FeatureVocabulary]] | None:
    """Return plan and vocabularies if the config alone tells them."""
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
