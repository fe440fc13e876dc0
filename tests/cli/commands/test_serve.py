"""The command as a process: it says where it listens, and what was asked before SIGTERM is answered."""

import http.client
import json
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias

import grpc
import pytest

from recsys.serving import Scorer
from recsys.serving.protocol.messages import SERVICE
from tests.benchmarks.bench_ranking import message
from tests.benchmarks.bench_serving import cpu_seconds, rss_mib
from tests.export.rows import HISTORIES
from tests.serving.bundles import ROWS, bundle, made

__all__ = ["bundle", "made"]

pytestmark = pytest.mark.slow

OF_USER = HISTORIES
USER = ROWS[:1].select(OF_USER).to_dicts()[0]
Ask: TypeAlias = Callable[[], object]
BODY = json.dumps({"rows": ROWS[:20].to_dicts()}).encode()


@contextmanager
def serving(folder: Path) -> Iterator[tuple["subprocess.Popen[str]", str, str]]:
    """Start the command on free ports; yields the process, its URL and its address for gRPC, and ends it by its id."""
    command = [sys.executable, "-m", "recsys", "serve", str(folder), "--port", "0", "--grpc-port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            address = re.search(r"version [0-9a-f]{12}: (http://127\.0\.0\.1:\d+), gRPC at (127\.0\.0\.1:\d+)$", line)
            assert address, line
            yield process, address[1], address[2]
        finally:
            if process.poll() is None:
                process.kill()


class Callers:
    """Threads that ask all the time, each over a connection of its own, until nobody listens."""

    def __init__(self, url: str, number: int) -> None:
        self.url = url
        self.ends: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask) for _ in range(number)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        end = "answered"
        while end == "answered":
            end = self._ask_once()
            with self._lock:
                self.ends[end] += 1

    def _ask_once(self) -> str:
        try:
            with urllib.request.urlopen(f"{self.url}/score", BODY, timeout=30) as reply:
                assert len(json.loads(reply.read())["scores"]["score.label"]) == 20
        except urllib.error.HTTPError as error:
            return f"status {error.code}"
        except (urllib.error.URLError, ConnectionError) as error:
            return "not taken" if "refused" in str(error) or "reset" in str(error) else repr(error)
        return "answered"

    def wait(self) -> None:
        """Wait until all have met a server that does not listen."""
        for thread in self._threads:
            thread.join(60)


def stop_under_load(folder: Path, *, callers: int) -> Counter[str]:
    """Stop a server that many ask, and compare what it says it answered with what they got."""
    with serving(folder) as (process, url, _):
        asking = Callers(url, callers)
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        asking.wait()
        assert process.wait(60) == 0
        assert process.stderr is not None
        said = process.stderr.read()
    found = re.search(r"ended, ([\d,]+) requests for scores were answered", said)
    assert found, said
    assert int(found[1].replace(",", "")) == asking.ends["answered"]
    assert set(asking.ends) <= {"answered", "not taken"}, asking.ends
    return asking.ends


def test_what_was_asked_before_sigterm_is_answered(bundle: Path) -> None:
    assert stop_under_load(bundle, callers=8)["answered"] > 8


@pytest.mark.proof
def test_no_request_that_was_taken_is_lost_in_twenty_stops(bundle: Path) -> None:
    ends: Counter[str] = Counter()
    for _ in range(20):
        ends += stop_under_load(bundle, callers=32)
    print(f"20 stops under 32 callers: {dict(ends)}")


@contextmanager
def plain_json(folder: Path, address: str) -> Iterator[list[Ask]]:
    """Yield functions that send rows and rankings of many sizes as plain JSON, over a connection of their own."""
    del folder
    candidates = ROWS.drop(OF_USER).to_dicts()
    bodies = [("/score", {"rows": ROWS[:size].to_dicts()}) for size in (1, 3, 7)]
    bodies += [("/rank", {"user": USER, "candidates": candidates[:size]}) for size in (1, 5, 20)]

    def ask(connection: http.client.HTTPConnection, path: str, body: bytes) -> None:
        connection.request("POST", path, body)
        reply = connection.getresponse()
        assert (reply.status, bool(reply.read())) == (200, True)

    with closing(http.client.HTTPConnection(address, timeout=60)) as connection:
        yield [partial(ask, connection, path, json.dumps(body).encode()) for path, body in bodies]


@contextmanager
def messages(folder: Path, address: str) -> Iterator[list[Ask]]:
    """Yield functions that send the same over gRPC."""
    scorer = Scorer(folder)
    inputs = [scorer.inputs(ROWS[:size]) for size in (1, 3, 7)]
    inputs += [scorer.ranking_inputs(ROWS[:1], ROWS[:size], [size]) for size in (1, 5, 20)]
    with grpc.insecure_channel(address) as channel:
        call = channel.unary_unary(f"/{SERVICE}/ModelInfer")
        yield [partial(call, message(folder.name, one), timeout=60) for one in inputs]


@pytest.mark.proof
@pytest.mark.parametrize("form", [plain_json, messages])
def test_memory_stays_flat_over_a_hundred_thousand_requests(
    form: Callable[[Path, str], AbstractContextManager[list[Ask]]], bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(bundle) as (process, url, grpc_address), ExitStack() as opened:
        address = url.removeprefix("http://") if form is plain_json else grpc_address
        callers = [opened.enter_context(form(bundle, address)) for _ in range(4)]

        def ask(asked: list[Ask]) -> None:
            for i in range(2500):
                asked[i % len(asked)]()

        found, before = [], cpu_seconds(process.pid)
        for _ in range(10):
            with ThreadPoolExecutor(4) as threads:
                list(threads.map(ask, callers))
            found.append(rss_mib(process.pid))
        cpu = (cpu_seconds(process.pid) - before) / 100
    with capsys.disabled():
        shown = ", ".join(f"{one:.1f}" for one in found)
        print(f"\n{form.__name__}: MiB after each 10,000 of 100,000 requests: {shown}; {cpu:.1f} ms of CPU each")
    assert found[-1] < found[0] + 8


def test_ctrl_c_ends_with_its_code_and_a_second_signal_at_once(bundle: Path) -> None:
    with serving(bundle) as (process, _, _):
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    with serving(bundle) as (process, _, _):
        process.send_signal(signal.SIGTERM)
        assert "no longer ready" in process.stderr.readline()  # type: ignore[union-attr]
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 143
