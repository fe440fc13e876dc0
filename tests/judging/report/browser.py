"""A browser without a window, for the tests of the page."""

import json
import re
import shutil
import subprocess
from html import escape, unescape
from pathlib import Path
from typing import Any, NamedTuple

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
_MEASURE = """
<script>
  const measured = {
    width: innerWidth,
    content: document.documentElement.scrollWidth,
    paper: getComputedStyle(document.body).backgroundColor,
    pictures: [...document.querySelectorAll("figure svg")].map(one => one.getBoundingClientRect().width),
    boxes: [...document.querySelectorAll(".scroll")].map(one => one.scrollWidth > one.clientWidth),
  };
  parent.document.body.dataset.measured = JSON.stringify(measured);
</script>
"""


class Seen(NamedTuple):
    """What the browser made of a page."""

    measured: dict[str, Any]
    console: list[str]


def require_browser() -> str:
    """Return the path of a browser, or skip the test."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"needs a browser: none of {', '.join(NAMES)} is installed")
    return found


def measure(text: str, folder: Path, *, width: int, dark: bool = False) -> Seen:
    """Open a page in a frame, since a window is at least 500 wide, and measure it with a script that is added to it."""
    page = escape(text.replace("</body>", f"{_MEASURE}</body>"))
    frame = f'<iframe width="{width}" height="2000" style="border: 0" srcdoc="{page}"></iframe>'
    dom, console = open_page(f"<!doctype html><body>{frame}</body>", folder, "--force-dark-mode" if dark else "")
    measured = re.search('data-measured="(.*?)"', dom)
    assert measured is not None, dom[:2000]
    return Seen(json.loads(unescape(measured[1])), console)


def open_page(text: str, folder: Path, *options: str) -> tuple[str, list[str]]:
    """Open a page from disk; return the document as the browser has it, and the lines of the console."""
    path = folder / "page.html"
    path.write_text(text, encoding="utf-8")
    general = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr"]
    general += ["--window-size=1500,2100", f"--user-data-dir={folder / 'profile'}", *filter(None, options)]
    command = [require_browser(), *general, "--dump-dom", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]
