"""Another bundle in the same place takes over without a lost request, or is refused while the old one goes on."""

import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from recsys.checksums import write_checksums
from recsys.files import replace_folder
from recsys.serving import Scorer
from tests.serving.server.running import ROWS, Running, call, running

pytestmark = pytest.mark.slow

BODY = json.dumps({"rows": ROWS[:5].to_dicts()}).encode()


def put(bundle: Path, folder: Path, change: Callable[[Path], object] = lambda _: None) -> None:
    """Replace the served folder by a copy of a bundle, in one step, as export does."""
    copy = shutil.copytree(bundle, folder.parent / "new")
    change(copy)
    replace_folder(copy, folder)


def wait_until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def reloads(served: Running, result: str) -> float:
    found = served.server.service.metrics.registry.get_sample_value("recsys_bundle_reloads_total", {"result": result})
    return found or 0.0


def version_of(bundle: Path) -> str:
    sha256: str = json.loads((bundle / "signature.json").read_text())["sha256"]["model.pt"]
    return sha256[:12]


@contextmanager
def asking(served: Running, *, callers: int) -> Iterator[list[Any]]:
    """Ask all the time during the block; yields the list of all replies."""
    replies: list[Any] = []
    is_over = threading.Event()

    def ask() -> None:
        while not is_over.is_set():
            replies.append(call(f"{served.url}/score", BODY))

    threads = [threading.Thread(target=ask) for _ in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield replies
    finally:
        is_over.set()
        for thread in threads:
            thread.join(30)


def check_replies(replies: list[Any], *bundles: Path) -> None:
    """Compare each reply with the scores of the bundle that it names."""
    expected = {version_of(bundle): Scorer(bundle).score(ROWS[:5]) for bundle in bundles}
    assert [reply for reply in replies if reply.status != 200] == []
    for reply in replies:
        scores = np.array(list(reply.content["scores"].values())).T
        np.testing.assert_allclose(scores, expected[reply.content["model_version"]], rtol=0, atol=1e-6)


def flip_a_byte(bundle: Path) -> None:
    content = bytearray((bundle / "model.pt").read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / "model.pt").write_bytes(content)


def replace_under_load(
    shop: Path, other: Path, folder: Path, *, rounds: int, callers: int, least: int = 0
) -> tuple[list[Any], float]:
    """Replace a served bundle again and again, in the middle by a damaged one, during so many requests at least."""
    shutil.copytree(shop, folder)
    with running(folder, watch_seconds=0.05) as served:
        start = time.monotonic()
        with asking(served, callers=callers) as replies:
            for number in range(rounds):
                bundle = (other, shop)[number % 2]
                if number == rounds // 2:
                    put(bundle, folder, flip_a_byte)
                    wait_until(lambda: reloads(served, "refused") == 1)
                put(bundle, folder)
                wait_until(lambda bundle=bundle: served.server.service.bundle.version == version_of(bundle))  # type: ignore[misc]
                so_far = len(replies)
                wait_until(lambda so_far=so_far: len(replies) > so_far + 2 * callers)  # type: ignore[misc]
                wanted = least * (number + 1) // rounds
                wait_until(lambda wanted=wanted: len(replies) >= wanted, seconds=600)  # type: ignore[misc]
    return replies, time.monotonic() - start


def test_bundles_are_replaced_under_load_and_a_damaged_one_is_refused(
    shop: Path, other_shop: Path, tmp_path: Path
) -> None:
    replies, _ = replace_under_load(shop, other_shop, tmp_path / "shop", rounds=2, callers=4)
    check_replies(replies, shop, other_shop)
    assert {reply.content["model_version"] for reply in replies} == {version_of(shop), version_of(other_shop)}


@pytest.mark.proof
def test_no_request_is_lost_while_bundles_are_replaced_ten_times(shop: Path, other_shop: Path, tmp_path: Path) -> None:
    replies, seconds = replace_under_load(shop, other_shop, tmp_path / "shop", rounds=10, callers=8, least=10_000)
    check_replies(replies, shop, other_shop)
    print(
        f"{len(replies):,} requests in {seconds:.0f} s while bundles were replaced 10 times and refused once: no loss"
    )


def other_golden_rows(bundle: Path) -> None:
    golden = pl.read_parquet(bundle / "golden.parquet")
    golden.with_columns(pl.col("score.click") + 1e-3).write_parquet(bundle / "golden.parquet")
    write_checksums(bundle, ["model.pt", "signature.json", "golden.parquet", "README.md"])


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "a flipped byte": (flip_a_byte, r"model\.pt: is damaged or was edited"),
    "other scores": (other_golden_rows, r"score\.click of golden row 0 must be 0\.\d+ as in training, got"),
    "no signature": (lambda bundle: (bundle / "signature.json").unlink(), "is not a bundle"),
    "no model": (lambda bundle: (bundle / "model.pt").unlink(), r"model\.pt: cannot be read"),
}


@pytest.mark.parametrize("title", BAD)
def test_a_bundle_that_is_not_right_is_refused_and_the_old_one_goes_on(
    shop: Path, other_shop: Path, tmp_path: Path, title: str, capfd: pytest.CaptureFixture[str]
) -> None:
    change, problem = BAD[title]
    folder = shutil.copytree(shop, tmp_path / "shop")
    with running(folder, watch_seconds=0.05) as served:
        put(other_shop, folder, change)
        wait_until(lambda: reloads(served, "refused") == 1)
        time.sleep(0.2)
        assert reloads(served, "refused") == 1, "it is tried again and again"
        check_replies([call(f"{served.url}/score", BODY)], shop)
        assert served.server.service.bundle.version == version_of(shop)
    [refusal] = [line for line in capfd.readouterr().err.splitlines() if line.startswith("refused: ")]
    assert re.search(problem, refusal)
    assert refusal.endswith(f"; version {version_of(shop)} goes on")
