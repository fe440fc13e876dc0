"""Commands in processes that are forked from one that has imported what they need: a tenth of a second each, not five.

`python -m tests.forked` reads a line of JSON for each command and answers with one; see `Forks`.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Ended", "Forks", "forks"]

SECONDS = 240.0
"""Time that a command may take."""


class Ended(NamedTuple):
    code: int
    """As in `subprocess`: -9 after SIGKILL."""
    out: str
    err: str


class Forks:
    """Runs one command after another."""

    def __init__(self, server: "subprocess.Popen[str]") -> None:
        self._server = server

    def run(self, *argv: object, folder: Path, while_running: Callable[[int], None] | None = None, **env: str) -> Ended:
        """Run `recsys ARGV` in a folder.

        Args:
            argv: arguments.
            folder: the current folder of the command.
            while_running: called in another thread with the id of the process.
            env: further variables of the environment.
        """
        with tempfile.TemporaryDirectory() as name:
            streams = [str(Path(name) / stream) for stream in ("out", "err")]
            self._say({"argv": [str(word) for word in argv], "folder": str(folder), "streams": streams, "env": env})
            pid = self._hear()
            thread = threading.Thread(target=while_running or (lambda _: None), args=(pid,))
            killer = threading.Timer(SECONDS, lambda: os.kill(pid, signal.SIGKILL))
            killer.start()
            thread.start()
            code = self._hear()
            killer.cancel()
            thread.join()
            return Ended(code, *(Path(stream).read_text(errors="replace") for stream in streams))

    def _say(self, request: Mapping[str, Any]) -> None:
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()

    def _hear(self) -> int:
        assert self._server.stdout is not None
        return int(self._server.stdout.readline())


@contextmanager
def forks() -> Iterator[Forks]:
    """Start the process that commands are forked from."""
    command = [sys.executable, "-m", "tests.forked"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield Forks(server)
        finally:
            server.kill()


def serve() -> None:
    for name in (
        "lightning.pytorch",
        "torch.utils.tensorboard",
        "torch.distributed.checkpoint",
        "recsys.api.bundle",
        "recsys.api.init",
        "recsys.checkpoint.tools",
        "recsys.data.synthetic",
        "recsys.export",
        "recsys.scheme_benchmark.run",
        "recsys.training.run",
    ):
        import_module(name)
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            answers.close()
            _become(request)
        print(pid, file=answers, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), file=answers, flush=True)


def _become(request: dict[str, Any]) -> None:
    os.chdir(request["folder"])
    os.environ.update(request["env"])
    tempfile.tempdir = request["env"].get("TMPDIR")
    for descriptor, path in zip((1, 2), request["streams"], strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = ["recsys", *request["argv"]]
    try:
        from recsys.__main__ import main

        main()
    except BaseException:
        traceback.print_exc()
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(1)


if __name__ == "__main__":
    serve()
