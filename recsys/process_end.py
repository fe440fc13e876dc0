"""Ending a process when its work is done."""

import atexit
import os
import sys
import threading
from contextlib import suppress
from typing import NoReturn

__all__ = ["end_process"]


def end_process(code: int) -> NoReturn:
    """End this process as the interpreter would, without taking the interpreter apart.

    Threads of torch in native code, such as those of a gloo group, may need the interpreter for the tensors that they
    give up. One that asks for it while it is taken apart ends the process with SIGABRT, and a command whose work is
    done would seem to have failed. So threads are waited for and exit handlers run, as at any end, and nothing after.

    Args:
        code: the exit code.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with suppress(OSError, ValueError):  # nobody reads any more, or it is closed
                stream.flush()
    os._exit(code)
