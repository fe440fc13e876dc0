"""What tables are placed on: devices, their memory, and how fast bytes move. All figures are published ones.

Bandwidths are in bytes a second and per direction: makers of GPUs print the sum of both directions for NVLink.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from recsys.environment.machine import read_machine
from recsys.errors import ConfigError
from recsys.units import GB, GIB

__all__ = ["GPUS", "KEPT_FREE", "Machine"]

KEPT_FREE = 0.15
"""Share of a memory that no table may take: activations, the libraries' own buffers, what allocators cannot join."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Devices that train together, all alike."""

    name: str
    """Of one device, for people."""
    device: Literal["cpu", "cuda"]
    world: int = 1
    """Devices, or processes on CPUs."""
    per_host: int = 1
    memory: int
    """Bytes of one device; on CPUs, of one process."""
    host_memory: int
    """Bytes of one host."""
    intra: float
    """Bytes a second that a device sends to others of its host."""
    inter: float
    """Bytes a second that a device sends to other hosts."""
    memory_speed: float
    """Bytes a second between a device and its own memory."""
    host_speed: float
    """Bytes a second between a host's processors and its memory."""
    link: float
    """Bytes a second between a device and the host's memory."""
    flops: float
    """Of one device in 32-bit floats, without tensor cores: torch uses them only when told to."""
    flops_bf16: float
    """Of one device in bfloat16, dense."""

    @property
    def num_hosts(self) -> int:
        """Hosts, all with as many devices."""
        return self.world // self.per_host

    @property
    def usable(self) -> int:
        """Bytes of a device's memory that may be planned for."""
        return int(self.memory * (1 - KEPT_FREE))

    @property
    def usable_host(self) -> int:
        """Bytes of a device's share of its host's memory that may be planned for."""
        return int(self.host_memory * (1 - KEPT_FREE)) // self.per_host

    def of(self, world: int, per_host: int | None = None) -> "Machine":
        """Return the same devices in another number; hosts are as full as they were when `per_host` is not given.

        Raises:
            ConfigError: the devices do not fill whole hosts.
        """
        each = min(world, per_host or self.per_host)
        if world < 1 or each < 1 or world % each:
            raise ConfigError(f"--world: must be a multiple of the {each} devices of a host, got {world}")
        memory = self.memory if self.device == "cuda" else self.host_memory // each
        return replace(self, world=world, per_host=each, memory=memory)

    @classmethod
    def here(cls, world: int, device: str, per_host: int | None = None) -> "Machine":
        """Return this machine, or `world` processes on machines like it.

        Args:
            world: processes.
            device: "cpu" or "cuda".
            per_host: processes on each host; all of them when not given.
        """
        found = read_machine(Path())
        host_memory = found.memory_bytes or 16 * GIB
        if device == "cpu":
            return replace(_cpu(found.cores), host_memory=host_memory).of(world, per_host or world)
        properties = torch.cuda.get_device_properties(0)
        alike = next((spec for key, spec in GPUS.items() if _is(key, properties.name)), GPUS["a100-80"])
        here = replace(alike, name=properties.name, memory=properties.total_memory, host_memory=host_memory)
        return here.of(world, per_host or world)


def _is(key: str, name: str) -> bool:
    """Tell whether a preset is the GPU that the driver calls `name`; sizes are in some names only."""
    family, _, form = key.partition("-")
    return family.upper() in name.upper() and (not form or form.upper() in name.upper())


def _cpu(cores: int) -> Machine:
    """Return processes on one machine; speeds are those of a common server, since nothing tells them."""
    return Machine(
        name="cpu",
        device="cpu",
        memory=0,  # a part of the host's
        host_memory=0,
        intra=2 * GB,  # gloo over loopback
        inter=3.1 * GB,  # 25 Gb/s Ethernet
        memory_speed=51 * GB,  # two channels of DDR4-3200
        host_speed=51 * GB,
        link=51 * GB,
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
        intra=intra * GB,
        inter=inter * GB,
        memory_speed=speed * GB,
        host_speed=200 * GB,
        link=link * GB,
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
"""As in NVIDIA's DGX of each: NVLink (or PCIe) inside a host, one InfiniBand port for each GPU between hosts."""
