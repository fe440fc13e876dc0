"""A PostgreSQL server for the time of a test; it runs as a user that is not root, and listens on this host alone."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

USERS = ("postgres", "nobody")
"""Users as which a server may run, where the tests run as root."""


def _program(name: str) -> str:
    """Return the path of a program of PostgreSQL, also where Debian keeps them."""
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    found = next((str(place) for place in places), None) or shutil.which(name)
    if found is None:
        pytest.skip(f"PostgreSQL is not installed: there is no {name}")
    return found


def _user() -> str | None:
    """Return the user as which the server runs; None for that of the tests."""
    if os.getuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    found = next((name for name in USERS if name in names), None)
    if found is None:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres or nobody")
    return found


@contextmanager
def postgres_server() -> Iterator[str]:
    """Yield the URL of an empty database."""
    initdb, server, user = _program("initdb"), _program("postgres"), _user()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    try:
        if user is not None:
            shutil.chown(folder, user)
        data = folder / "data"
        subprocess.run(
            [initdb, "-D", data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync"],
            check=True, capture_output=True, user=user, cwd=folder,
        )  # fmt: skip
        options = ["-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", folder, "-F"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([server, *options], stdout=log, stderr=log, user=user, cwd=folder)
        try:
            _wait_for(port, process, folder / "log")
            yield f"postgresql://tester@127.0.0.1:{port}/postgres"
        finally:
            process.send_signal(signal.SIGINT)  # a shutdown that waits for no client
            process.wait(timeout=60)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if "ready to accept connections" in log.read_text(errors="replace"):
            return
        time.sleep(0.1)
    raise AssertionError(f"the server does not answer on port {port}: {log.read_text(errors='replace')}")
