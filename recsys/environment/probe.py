"""Import the libraries in a process of its own, so that a crash in one of them is a finding and not the end."""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

__all__ = ["STAGES", "Probe", "run_probe"]

STAGES = ("torch", "fbgemm_gpu", "lookup", "torchrec")
"""Stages in the order in which they run; the first that fails ends the process."""

_SCRIPT = """
import json, warnings
warnings.simplefilter("ignore")

def done(stage, **facts):
    print("\\n" + json.dumps({"stage": stage, **facts}), flush=True)

import torch
cuda = torch.cuda.is_available()
devices = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())] if cuda else []
done(
    "torch",
    cuda_build=torch.version.cuda,
    devices=[{"name": d.name, "bytes": d.total_memory} for d in devices],
)
import fbgemm_gpu
done("fbgemm_gpu")
from fbgemm_gpu.split_table_batched_embeddings_ops_training import (
    ComputeDevice, EmbeddingLocation, SplitTableBatchedEmbeddingBagsCodegen,
)
place = (EmbeddingLocation.DEVICE, ComputeDevice.CUDA) if cuda else (EmbeddingLocation.HOST, ComputeDevice.CPU)
device = "cuda" if cuda else "cpu"
bags = SplitTableBatchedEmbeddingBagsCodegen([(4, 4, *place)], learning_rate=1.0)
rows = bags.split_embedding_weights()[0]
rows.data.fill_(1.0)
sums = bags(torch.tensor([1, 2, 2], device=device), torch.tensor([0, 1, 3], device=device))
sums.sum().backward()
assert sums[:, 0].tolist() == [1.0, 2.0], f"sums of rows are {sums[:, 0].tolist()}, expected [1.0, 2.0]"
assert rows[:, 0].tolist() == [1.0, 0.0, -1.0, 1.0], f"updated rows are {rows[:, 0].tolist()}"
done("lookup", device=device)
import torchrec
done("torchrec")
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """The stages that the process passed, and why it ended."""

    stages: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Facts of each stage that passed."""
    failure: str | None = None
    """The last line that the process wrote, or the one that names a library it lacks, with its exit code."""

    @property
    def failed_stage(self) -> str | None:
        """Return the first stage that did not pass."""
        return next((stage for stage in STAGES if stage not in self.stages), None)


def run_probe(*, script: str = _SCRIPT, timeout_s: float = 180.0) -> Probe:
    """Import torch, fbgemm and torchrec in a new process and look some rows up.

    It can take a minute where the libraries are read for the first time.
    """
    command = [sys.executable, "-c", script]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired as error:
        return Probe(stages=_stages(_text(error.stdout)), failure=f"no answer within {timeout_s:.0f} s")
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    absent = [line for line in lines if "cannot open shared object file" in line]  # the cause of the last error
    reason = (absent or lines or ["no message"])[-1]
    failure = None if done.returncode == 0 else f"{reason} (exit code {done.returncode})"
    return Probe(stages=_stages(done.stdout), failure=failure)


def _stages(output: str) -> dict[str, dict[str, Any]]:
    """Return the facts by stage; libraries may print lines of their own."""
    stages = {}
    for line in output.splitlines():
        if line.startswith('{"stage": '):
            facts = json.loads(line)
            stages[facts.pop("stage")] = facts
    return stages


def _text(output: str | bytes | None) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else output or ""
