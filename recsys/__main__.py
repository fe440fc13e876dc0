"""The command `recsys`, also as `python -m recsys`."""

# To import `signal`, with its enumerations, takes long enough to be interrupted.
import _signal as signal  # type: ignore[import-not-found]
import os
import sys
from typing import NoReturn

__all__ = ["main"]

_CONTINUED_LATER = {"train", "compare-schemes"}
"""Commands that SIGTERM ends with 75, the code of `recsys.errors.Preempted`: the same command, later, may succeed."""


def main() -> NoReturn:
    """Run the command line, and end the process; signals end it at once while its modules are imported.

    Nothing is begun then.
    """
    codes = {}
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        codes[signal.SIGINT] = 130
    if _is_continued_later() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        codes[signal.SIGTERM] = 75
    for number in codes:
        signal.signal(number, lambda number, _frame: os._exit(codes[number]))
    from recsys.cli import main as run
    from recsys.process_end import end_process

    code = 0
    try:
        run()
    except SystemExit as stop:
        if isinstance(stop.code, str):
            raise  # the interpreter prints it
        code = stop.code or 0
    finally:
        for number in codes:  # the work is done, or undone: what is left is the interpreter's
            signal.signal(number, signal.SIG_IGN)
    end_process(code)


def _is_continued_later() -> bool:
    """Say whether this is such a command, and not one of the processes that it has started, for which it speaks."""
    return not _CONTINUED_LATER.isdisjoint(sys.argv[1:2]) and "RANK" not in os.environ


if __name__ == "__main__":
    main()
