"""The command `recsys`, also as `python -m recsys`."""

# To import `signal`, with its enumerations, takes long enough to be interrupted.
import _signal as signal  # type: ignore[import-not-found]
import os
import sys

__all__ = ["main"]

_CONTINUED_LATER = {"train", "compare-schemes"}
"""Commands that SIGTERM ends with 75, the code of `recsys.errors.Preempted`: the same command, later, may succeed."""


def main() -> None:
    """Run the command line; signals end it at once while its modules are imported, for nothing is begun then."""
    codes = {}
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        codes[signal.SIGINT] = 130
    if _is_continued_later() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        codes[signal.SIGTERM] = 75
    for number in codes:
        signal.signal(number, lambda number, _frame: os._exit(codes[number]))
    from recsys.cli import main as run

    try:
        run()
    finally:
        for number in codes:  # the work is done, or undone: what is left is the interpreter's
            signal.signal(number, signal.SIG_IGN)


def _is_continued_later() -> bool:
    """Say whether this is such a command, and not one of the processes that it has started, for which it speaks."""
    return not _CONTINUED_LATER.isdisjoint(sys.argv[1:2]) and "RANK" not in os.environ


if __name__ == "__main__":
    main()
