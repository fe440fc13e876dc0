"""The machine that a sharding plan is made for: number of devices, memory and bandwidths, all from published figures.

Bandwidths are in bytes per second and per direction; vendors of GPUs print the sum of both directions for NVLink.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from recsys.environment.machine import read_machine
from recsys.errors import ConfigError
from recsys.units import GB, GIB

__all__ = ["GPUS", "RESERVED_FRACTION", "Machine"]

RESERVED_FRACTION = 0.15
"""Fraction of a device's memory that is reserved for activations, buffers of libraries and fragmentation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Identical devices that train together, spread evenly over identical hosts."""

    name: str
    """Human-readable name of one device."""
    device: Literal["cpu", "cuda"]
    world_size: int = 1
    """Number of devices; on CPUs, of processes."""
    local_world_size: int = 1
    """Number of devices on each host."""
    memory: int
    """Memory of one device in bytes; on CPUs, the share of one process."""
    host_memory: int
    """Memory of one host in bytes."""
    intra_bandwidth: float
    """Bytes per second that a device sends to other devices of its host."""
    inter_bandwidth: float
    """Bytes per second that a device sends to other hosts."""
    memory_bandwidth: float
    """Bytes per second between a device and its own memory."""
    host_memory_bandwidth: float
    """Bytes per second between a host's processors and its memory."""
    host_link_bandwidth: float
    """Bytes per second between a device and its host's memory."""
    flops: float
    """Peak FLOP/s of one device in fp32 without tensor cores, which PyTorch uses only when asked to."""
    flops_bf16: float
    """Peak FLOP/s of one device in bfloat16, dense."""

    @property
    def num_hosts(self) -> int:
        """Number of hosts, each with `local_world_size` devices."""
        return self.world_size // self.local_world_size

    @property
    def usable(self) -> int:
        """Bytes of a device's memory that a plan may use."""
        return int(self.memory * (1 - RESERVED_FRACTION))

    @property
    def usable_host(self) -> int:
        """Bytes of its host's memory that a plan may use for one device."""
        return int(self.host_memory * (1 - RESERVED_FRACTION)) // self.local_world_size

    def with_devices(self, world_size: int, local_world_size: int | None = None) -> "Machine":
        """Return a machine with another number of the same devices.

        Args:
            world_size: Number of devices.
            local_world_size: Number of devices on each host; unchanged by default, or all if there are fewer.

        Raises:
            ConfigError: The devices do not fill whole hosts.
        """
        local = min(world_size, local_world_size or self.local_world_size)
        if world_size < 1 or local < 1 or world_size % local:
            raise ConfigError(f"--world: must be a multiple of the {local} devices of a host, got {world_size}")
        memory = self.memory if self.device == "cuda" else self.host_memory // local
        return replace(self, world_size=world_size, local_world_size=local, memory=memory)

    @classmethod
    def detect(cls, world_size: int, device: str, local_world_size: int | None = None) -> "Machine":
        """Return a description of this machine, or of `world_size` processes on hosts like it.

        Args:
            world_size: Number of processes.
            device: "cpu" or "cuda".
            local_world_size: Number of processes on each host; all of them by default.
        """
        found = read_machine(Path())
        host_memory = found.memory_bytes or 16 * GIB
        local = local_world_size or world_size
        if device == "cpu":
            return replace(_cpu(found.cores), host_memory=host_memory).with_devices(world_size, local)
        properties = torch.cuda.get_device_properties(0)
        preset = next((gpu for key, gpu in GPUS.items() if _is_preset_of(key, properties.name)), GPUS["a100-80"])
        detected = replace(preset, name=properties.name, memory=properties.total_memory, host_memory=host_memory)
        return detected.with_devices(world_size, local)


def _is_preset_of(key: str, name: str) -> bool:
    """Return whether a preset describes the GPU that the driver calls `name`; only some names include the memory."""
    family, _, form = key.partition("-")
    return family.upper() in name.upper() and (not form or form.upper() in name.upper())


def _cpu(cores: int) -> Machine:
    """Return one process on a CPU host; bandwidths are those of a common server, since they cannot be detected."""
    return Machine(
        name="cpu",
        device="cpu",
        memory=0,  # set by with_devices
        host_memory=0,
        intra_bandwidth=2 * GB,  # gloo over loopback
        inter_bandwidth=3.1 * GB,  # 25 Gb/s Ethernet
        memory_bandwidth=51 * GB,  # two channels of DDR4-3200
        host_memory_bandwidth=51 * GB,
        host_link_bandwidth=51 * GB,
        flops=cores * 50 * GB,
        flops_bf16=cores * 50 * GB,
    )


def _gpu(
    name: str,
    *,
    memory: int,
    speed: float,
    intra: float,
    inter: float,
    host: int,
    link: float,
    tera: float,
    bf16: float,
) -> Machine:
    return Machine(
        name=name,
        device="cuda",
        memory=memory,
        host_memory=host,
        intra_bandwidth=intra * GB,
        inter_bandwidth=inter * GB,
        memory_bandwidth=speed * GB,
        host_memory_bandwidth=200 * GB,
        host_link_bandwidth=link * GB,
        flops=tera * 1e12,
        flops_bf16=bf16 * 1e12,
    )


_A100 = {"intra": 300, "inter": 25, "link": 32, "tera": 19.5, "bf16": 312}
_H100 = {"intra": 450, "inter": 50, "host": 2048 * GIB, "link": 64, "tera": 67, "bf16": 989}

GPUS: dict[str, Machine] = {
    "a100-40": _gpu("A100 SXM 40 GB", memory=40 * GIB, speed=1555, host=1024 * GIB, **_A100),
    "a100-80": _gpu("A100 SXM 80 GB", memory=80 * GIB, speed=2039, host=2048 * GIB, **_A100),
    "h100-pcie": _gpu(
        "H100 PCIe", memory=80 * GIB, speed=2000, intra=64, inter=25, host=1024 * GIB, link=64, tera=51, bf16=756
    ),
    "h100": _gpu("H100 SXM", memory=80 * GIB, speed=3350, **_H100),
    "h200": _gpu("H200 SXM", memory=141 * GB, speed=4800, **_H100),
    "b200": _gpu(
        "B200", memory=180 * GB, speed=8000, intra=900, inter=50, host=2048 * GIB, link=64, tera=75, bf16=2250
    ),
}
"""Presets by the name that `--gpu` takes, as in NVIDIA's DGX: NVLink (or PCIe) within, InfiniBand between hosts."""
