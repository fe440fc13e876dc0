"""The command as a process: it says where it listens, and what was asked before SIGTERM is answered."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.serving.bundles import ROWS, bundle, made

__all__ = ["bundle", "made"]

pytestmark = pytest.mark.slow

OF_USER = ["items", "shops", "users"]
BODY = json.dumps({"rows": ROWS[:20].to_dicts()}).encode()


@contextmanager
def serving(folder: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Start the command on free ports; yields the process and its URL, and ends it by its id."""
    command = [sys.executable, "-m", "recsys", "serve", str(folder), "--port", "0", "--grpc-port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            address = re.search(r"version [0-9a-f]{12}: (http://127\.0\.0\.1:\d+), gRPC at 127\.0\.0\.1:\d+$", line)
            assert address, line
            yield process, address[1]
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
    with serving(folder) as (process, url):
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


def rss_mib(process: int) -> float:
    pages = Path(f"/proc/{process}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.proof
def test_memory_stays_flat_over_a_hundred_thousand_requests(bundle: Path) -> None:
    """Rows and rankings of many sizes take turns, over four connections."""
    user = ROWS[:1].select(OF_USER).to_dicts()[0]
    candidates = ROWS.drop(OF_USER).to_dicts()
    bodies = [("/score", {"rows": ROWS[:size].to_dicts()}) for size in (1, 3, 7)]
    bodies += [("/rank", {"user": user, "candidates": candidates[:size]}) for size in (1, 5, 20)]
    asked = [(path, json.dumps(body).encode()) for path, body in bodies]

    def ask(address: str, number: int) -> None:
        connection = http.client.HTTPConnection(address, timeout=60)
        for i in range(number):
            connection.request("POST", *asked[i % len(asked)])
            reply = connection.getresponse()
            assert (reply.status, bool(reply.read())) == (200, True)

    with serving(bundle) as (process, url):
        found = []
        for _ in range(10):
            with ThreadPoolExecutor(4) as callers:
                list(callers.map(ask, [url.removeprefix("http://")] * 4, [2500] * 4))
            found.append(rss_mib(process.pid))
    print(f"MiB after each 10,000 of 100,000 requests: {', '.join(f'{one:.1f}' for one in found)}")
    assert found[-1] < found[0] + 8


def test_ctrl_c_ends_with_its_code_and_a_second_signal_at_once(bundle: Path) -> None:
    with serving(bundle) as (process, _):
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    with serving(bundle) as (process, _):
        process.send_signal(signal.SIGTERM)
        assert "no longer ready" in process.stderr.readline()  # type: ignore[union-attr]
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 143
