from pathlib import Path

import pytest

from recsys.judging.report.page import page
from tests.judging.report.browser import measure, open_page, require_browser
from tests.judging.report.judgements import HOSTILE, compared, judged, slices

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def text() -> str:
    require_browser()
    wide = slices(20, value=f"{HOSTILE} {'a value that is long ' * 5}{'x' * 80}")
    return page([judged("runs/a", slices=wide), judged(f"runs/{'b' * 60}", 1.5, slices=wide)], [compared()])


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 800, 1400])
def test_the_page_fits_its_window_light_and_dark_without_a_word_on_the_console(
    text: str, tmp_path: Path, width: int, dark: bool
) -> None:
    seen = measure(text, tmp_path, width=width, dark=dark)
    assert seen.console == []
    assert seen.measured["width"] == width
    assert seen.measured["content"] <= width
    assert seen.measured["paper"] == ("rgb(20, 23, 27)" if dark else "rgb(255, 255, 255)")
    assert len(seen.measured["pictures"]) == 9
    assert all(min(300, width - 60) <= picture <= width for picture in seen.measured["pictures"])
    assert any(seen.measured["boxes"]) or width > 390  # wide tables scroll within their box


def test_an_error_on_the_console_would_be_seen(text: str, tmp_path: Path) -> None:
    broken = text.replace("</body>", "<script>nothing_of_this_name()</script></body>")
    assert "nothing_of_this_name" in open_page(broken, tmp_path)[1][0]


def test_the_page_opens_from_disk(text: str, tmp_path: Path) -> None:
    dom, console = open_page(text, tmp_path, f"--screenshot={tmp_path / 'page.png'}")
    assert console == []
    assert "runs/a is better than" in dom
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")
