"""CPU time and latency of `recsys serve`: `python -m tests.benchmarks.bench_serving BUNDLE`.

A server of its own process is asked for the scores of golden rows, in each form, by threads in a closed loop. CPU is
that of the server for one request, which a busy machine changes least; p50 and p99 are what clients wait. Then the
memory before and after, and how many requests one call of the model scored.
"""

import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import polars as pl

from recsys.serving import Scorer
from recsys.serving.protocol.messages import SERVICE, message_class

SECONDS = 2.0
ROWS = (1, 100, 500)
CALLERS = (1, 8, 32)
Ask = Callable[[], object]


def requests_of(bundle: Path, num_rows: int) -> dict[str, tuple[str, bytes, dict[str, str]]]:
    """Return path, body and headers of the same rows in each form."""
    golden = Scorer(bundle).golden_rows()
    assert golden is not None, "the bundle has no golden rows"
    inputs = {name: _first(golden[0], name, num_rows) for name in golden[0]}
    header, raw, message = [], [], message_class("ModelInferRequest")(model_name=bundle.name)
    for name, array in inputs.items():
        datatype = "FP64" if array.dtype == np.float64 else "INT64"
        header.append({"name": name, "datatype": datatype, "shape": [len(array)]})
        raw.append(array.tobytes())
        message.inputs.add(name=name, datatype=datatype, shape=[len(array)])
    message.raw_input_contents.extend(raw)
    shown = [
        {**one, "data": [None if value != value else value for value in array.tolist()]}
        for one, array in zip(header, inputs.values(), strict=True)
    ]
    sized = [{**one, "parameters": {"binary_data_size": len(part)}} for one, part in zip(header, raw, strict=True)]
    head = json.dumps({"inputs": sized, "parameters": {"binary_data_output": True}}).encode()
    infer = f"/v2/models/{bundle.name}/infer"
    return {
        "JSON": (infer, json.dumps({"inputs": shown}).encode(), {}),
        "binary": (infer, head + b"".join(raw), {"Inference-Header-Content-Length": str(len(head))}),
        "gRPC": ("", message.SerializeToString(), {}),
    }


def _first(inputs: dict[str, np.ndarray], name: str, num_rows: int) -> np.ndarray:
    """Return the first rows of an input, begun again where there are not enough."""
    lengths = inputs.get(f"{name.removesuffix('.values')}.lengths") if name.endswith(".values") else None
    if lengths is None:
        return np.resize(inputs[name], num_rows)
    lists = np.split(inputs[name], np.cumsum(lengths)[:-1])
    return np.concatenate([lists[row % len(lists)] for row in range(num_rows)])


def http_caller(address: str, path: str, body: bytes, headers: dict[str, str]) -> Ask:
    connection = http.client.HTTPConnection(address, timeout=60)

    def ask() -> None:
        connection.request("POST", path, body, headers)
        reply = connection.getresponse()
        assert (reply.status, bool(reply.read())) == (200, True)

    return ask


def grpc_caller(address: str, body: bytes) -> Ask:
    call = grpc.insecure_channel(address).unary_unary(f"/{SERVICE}/ModelInfer")
    return lambda: call(body, timeout=60)


def cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mib(process: int) -> float:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def ask_for(callers: list[Ask]) -> list[float]:
    """Let all ask for a while, and return the seconds that each request took."""
    taken: list[float] = []
    end = time.perf_counter() + SECONDS

    def loop(ask: Ask) -> None:
        while (start := time.perf_counter()) < end:
            ask()
            taken.append(time.perf_counter() - start)

    threads = [threading.Thread(target=loop, args=[ask]) for ask in callers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return taken


def measure(bundle: Path, process: int, rest: str, grpc_address: str) -> pl.DataFrame:
    found = []
    for num_rows in ROWS:
        for form, (path, body, headers) in requests_of(bundle, num_rows).items():
            for number in CALLERS:
                callers = [
                    grpc_caller(grpc_address, body) if form == "gRPC" else http_caller(rest, path, body, headers)
                    for _ in range(number)
                ]
                before = cpu_seconds(process)
                taken = ask_for(callers)
                found.append(
                    {
                        "rows": num_rows,
                        "form": form,
                        "callers": number,
                        "per second": len(taken) / SECONDS,
                        "CPU ms": 1000 * (cpu_seconds(process) - before) / len(taken),
                        "p50 ms": 1000 * statistics.median(taken),
                        "p99 ms": 1000 * float(np.quantile(taken, 0.99)),
                    }
                )
    return pl.DataFrame(found)


def main() -> None:
    """Measure one bundle."""
    bundle = Path(sys.argv[1]).resolve()
    command = [sys.executable, "-m", "recsys", "serve", str(bundle), "--port", "0", "--grpc-port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        address = re.search(r"http://(\S+), gRPC at (\S+)", server.stderr.readline())
        assert address, "the server does not say its addresses"
        before = rss_mib(server.pid)
        with pl.Config(tbl_rows=-1, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True, float_precision=1):
            print(measure(bundle, server.pid, address[1], address[2]))
        with urllib.request.urlopen(f"http://{address[1]}/metrics", timeout=20) as reply:
            figures = dict(line.rsplit(" ", 1) for line in reply.read().decode().splitlines() if line[0] != "#")
        num_requests, num_calls = (
            float(figures[f"recsys_{name}"]) for name in ("request_rows_count", "model_calls_total")
        )
        memory = f"{before:.0f} MiB before, {rss_mib(server.pid):.0f} after"
        print(f"{num_requests:,.0f} requests in {num_calls:,.0f} calls; {memory}")
        server.terminate()


if __name__ == "__main__":
    main()
