"""The command `recsys`, also as `python -m recsys`."""

# To import `signal`, with its enumerations, takes long enough to be interrupted.
import _signal as signal  # type: ignore[import-not-found]
import os

__all__ = ["main"]


def main() -> None:
    """Run the command line; Ctrl-C ends it at once while its modules are imported, for nothing is begun then."""
    is_default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_default:
        signal.signal(signal.SIGINT, lambda _number, _frame: os._exit(130))
    from recsys.cli import main as run

    try:
        run()
    finally:
        if is_default:  # the work is done, or undone: what is left is the interpreter's
            signal.signal(signal.SIGINT, signal.SIG_IGN)


if __name__ == "__main__":
    main()
