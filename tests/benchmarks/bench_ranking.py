"""Gain of sending a user once: `python -m tests.benchmarks.bench_ranking RUN COLUMN...`, with the user's columns.

A server of its own process is asked over gRPC, by threads in a closed loop, for the scores of candidates of one user
with histories of 50 entries: in ranking form, as plain rows, and as plain rows of a server that is the same but for its
model, which runs in eager PyTorch. CPU is that of the server for one request; each figure is the median of rounds that
take turns, so that a busy machine disturbs all alike. The ratios are those of the CPU time of plain rows to that of the
ranking form.
"""

import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from recsys.api.run import Run
from recsys.bundle_folder import CANDIDATE_LENGTHS
from recsys.export import export_loaded
from recsys.serving import Scorer, scorer
from recsys.serving.bundle import LoadedBundle, open_bundle
from recsys.serving.protocol.messages import message_class
from recsys.serving.server.options import ServeOptions
from recsys.serving.server.run import serve
from recsys.training.build import load_run
from recsys.training.strategy import pick_device
from tests.benchmarks.bench_serving import ask_for, cpu_seconds, grpc_caller

CANDIDATES = (1, 100, 500)
CALLERS = (1, 8, 32)
ROUNDS = 3
HISTORY = 50


def requests_of(bundle: Path, num_candidates: int) -> dict[str, dict[str, np.ndarray]]:
    """Return one user and so many candidates, in ranking form and as plain rows."""
    opened = Scorer(bundle)
    golden = opened.golden_rows()
    assert golden is not None, "the bundle has no golden rows"
    ranking, rows = {CANDIDATE_LENGTHS: np.array([num_candidates])}, {}
    for declared in opened.signature["inputs"]:
        one = _lists if f"{declared['name']}.lengths" in declared["tensors"] else _values
        sent, repeated = one(golden[0], declared["name"], num_candidates, of_user=declared["user"])
        ranking |= sent
        rows |= repeated
    return {"ranking": ranking, "rows": rows}


def _values(
    golden: Mapping[str, np.ndarray], name: str, num_candidates: int, *, of_user: bool
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    values = golden[name][:1] if of_user else np.resize(golden[name], num_candidates)
    return {name: values}, {name: np.resize(values, num_candidates)}


def _lists(
    golden: Mapping[str, np.ndarray], name: str, num_candidates: int, *, of_user: bool
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return a history of 50 entries; lists of candidates have one."""
    length, number = (HISTORY, 1) if of_user else (1, num_candidates)
    sent = {
        f"{name}.values": np.resize(golden[f"{name}.values"], length * number),
        f"{name}.lengths": np.full(number, length),
    }
    repeated = {
        f"{name}.values": np.resize(sent[f"{name}.values"], length * num_candidates),
        f"{name}.lengths": np.full(num_candidates, length),
    }
    return sent, repeated


def message(name: str, inputs: Mapping[str, np.ndarray]) -> bytes:
    request = message_class("ModelInferRequest")(model_name=name)
    for tensor, array in inputs.items():
        request.inputs.add(name=tensor, datatype="FP64" if array.dtype == np.float64 else "INT64", shape=[len(array)])
        request.raw_input_contents.append(array.tobytes())
    content: bytes = request.SerializeToString()
    return content


@contextmanager
def serving(*command: str) -> Iterator[tuple[int, str]]:
    """Start a server; yields its process id and its address for gRPC."""
    with subprocess.Popen([sys.executable, "-m", *command], stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        addresses = (re.search(r"gRPC at (\S+)", line) for line in server.stderr)
        address = next(filter(None, addresses), None)
        assert address, "the server does not say its addresses"
        try:
            yield server.pid, address[1]
        finally:
            server.terminate()


def measure(process: int, address: str, content: bytes, callers: int) -> tuple[float, list[float]]:
    """Return the milliseconds of CPU of one request, and the seconds that each took."""
    before = cpu_seconds(process)
    taken = ask_for([grpc_caller(address, content) for _ in range(callers)])
    return 1000 * (cpu_seconds(process) - before) / len(taken), taken


def compare(bundle: Path, servers: Mapping[str, tuple[int, str]]) -> pl.DataFrame:
    found = []
    for num_candidates in CANDIDATES:
        requests = {form: message(bundle.name, inputs) for form, inputs in requests_of(bundle, num_candidates).items()}
        asked = {"ranking": "TorchScript", "rows": "TorchScript", "eager rows": "eager"}
        for callers in CALLERS:
            cpu: dict[str, list[float]] = {form: [] for form in asked}
            taken: dict[str, list[float]] = {form: [] for form in asked}
            for _ in range(ROUNDS):
                for form, server in asked.items():
                    content = requests[form.removeprefix("eager ")]
                    milliseconds, seconds = measure(*servers[server], content, callers)
                    cpu[form].append(milliseconds)
                    taken[form] += seconds
            medians = {form: statistics.median(values) for form, values in cpu.items()}
            for form in asked:
                found.append(
                    {
                        "candidates": num_candidates,
                        "callers": callers,
                        "form": form,
                        "CPU ms": medians[form],
                        "ratio": medians[form] / medians["ranking"],
                        "p50 ms": 1000 * statistics.median(taken[form]),
                        "p99 ms": 1000 * float(np.quantile(taken[form], 0.99)),
                        "per second": callers / statistics.mean(taken[form]),
                    }
                )
                print(found[-1], flush=True)
    return pl.DataFrame(found)


def serve_eager(run: Path, bundle: Path, columns: list[str]) -> None:
    """Serve a bundle with the model of its run that was never compiled."""
    built = load_run(run, device=pick_device("cpu"))
    model: Any = export_loaded(built, columns)

    def open_eager(folder: Path, *, device: torch.device) -> LoadedBundle:
        return replace(open_bundle(folder, device=device), model=model)

    scorer.open_bundle = open_eager  # type: ignore[attr-defined]
    serve(bundle, ServeOptions(port=0, grpc_port=0, threads=1))


def main() -> None:
    """Measure a run."""
    if sys.argv[1] == "--eager":
        serve_eager(Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
        return
    run, columns = sys.argv[1], sys.argv[2:]
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "bundle"
        Run(run).export(bundle, user=columns)
        compiled = ["recsys", "serve", str(bundle), "--port", "0", "--grpc-port", "0", "--threads", "1"]
        eager = ["tests.benchmarks.bench_ranking", "--eager", run, str(bundle), *columns]
        with serving(*compiled) as one, serving(*eager) as other:
            table = compare(bundle, {"TorchScript": one, "eager": other})
    with pl.Config(tbl_rows=-1, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True, float_precision=2):
        print(table)


if __name__ == "__main__":
    main()
