"""`recsys doctor`."""

import sys

__all__ = ["doctor"]


def doctor() -> None:
    """Check torch, torchrec and fbgemm, show devices, and say what to install if something does not fit.

    Example: `recsys doctor`
    """
    from recsys.cli.doctor import show_findings

    if not show_findings():
        sys.exit(1)
