"""A new bundle in the place of the served one is checked, warmed up, and takes over; a bad one is refused."""

import asyncio
from pathlib import Path
from typing import TypeAlias

from recsys.console import log
from recsys.errors import RecsysError
from recsys.reasons import user_message
from recsys.serving.server.served import ServedBundle
from recsys.serving.server.service import Service

__all__ = ["fingerprint", "watch"]

Fingerprint: TypeAlias = tuple[tuple[str, int, int, int], ...]


def fingerprint(folder: Path) -> Fingerprint:
    """Return what tells the files of a folder from others of the same names: inode, size and time of each."""
    found = []
    try:
        for path in sorted(folder.iterdir()):
            status = path.stat()
            found.append((path.name, status.st_ino, status.st_size, status.st_mtime_ns))
    except OSError:  # it is being replaced
        return ()
    return tuple(found)


async def watch(service: Service, known: Fingerprint, *, seconds: float) -> None:
    """Look at the folder of the bundle again and again, and serve what is there; never returns.

    Args:
        service: what serves it.
        known: fingerprint of the folder before the served bundle was read.
        seconds: time between two looks.
    """
    folder = service.bundle.folder
    while True:
        await asyncio.sleep(seconds)
        found = fingerprint(folder)
        if found and found != known:
            known = found
            await _reload(service, folder)


async def _reload(service: Service, folder: Path) -> None:
    try:
        bundle = await asyncio.to_thread(ServedBundle, folder, max_rows=service.limits.max_rows)
    except Exception as error:
        reason = str(error) if isinstance(error, RecsysError) else user_message(error) or repr(error)
        service.metrics.reloads.labels("refused").inc()
        log(f"refused: {reason}; version {service.bundle.version} goes on", style="red")
        return
    service.replace(bundle)
    service.metrics.reloads.labels("served").inc()
    log(f"{folder}: serving version {bundle.version}")
