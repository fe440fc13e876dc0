"""Checksums: every change of a file is found, and files without one are read."""

import json
import random
from pathlib import Path

import numpy as np
import pytest

from recsys.checksums import (
    checksum,
    inside,
    read_checksums,
    read_verified,
    recording,
    verify,
    verify_all,
    write_checksums,
)
from recsys.errors import DataError

SIZES = [0, 1, 7, 4095, 4096, 4097, 3 * 4096 + 5, 2**16, 2**16 + 1, 2**20, 2**20 + 4096 + 1, 3 * 2**20 + 17]
REMEDY = "make it again"


@pytest.mark.parametrize("size", SIZES)
def test_any_changed_byte_changes_the_checksum(size: int) -> None:
    draw = random.Random(size)
    content = bytearray(draw.randbytes(size))
    before = checksum(content)
    for place in {draw.randrange(size) for _ in range(50)} if size else ():
        content[place] ^= 1 << draw.randrange(8)
        assert checksum(content) != before, place
        content[:] = content[:place] + bytes([content[place]]) + content[place + 1 :]
        before = checksum(content)


@pytest.mark.parametrize("size", SIZES[1:])
def test_content_that_is_cut_off_or_padded_has_another_checksum(size: int) -> None:
    content = bytes(size)
    assert len({checksum(content[:length]) for length in {0, size // 2, size - 1, size}}) > 1
    assert checksum(content) not in {checksum(content[:-1]), checksum(content + b"\0"), checksum(content + bytes(4096))}


@pytest.mark.parametrize(
    ("num_words", "places"),
    [
        (1000, [(0, 1), (0, 8), (0, 512), (511, 512), (1, 999)]),
        (3 * 2**17, [(0, 512), (511, 512), (5, 2**17 + 5), (1, 3 * 2**17 - 1)]),
    ],
)
def test_values_that_change_places_are_found(num_words: int, places: list[tuple[int, int]]) -> None:
    """Within a page of a large file they are not."""
    words = np.arange(num_words, dtype=np.int64) + 10**12
    before = checksum(words.data.cast("B"))
    for one, other in places:
        moved = words.copy()
        moved[[one, other]] = moved[[other, one]]
        assert checksum(moved.data.cast("B")) != before, (one, other)


def test_pages_that_change_places_are_found() -> None:
    pages = np.random.default_rng(1).integers(0, 2**60, (600, 512))
    before = checksum(pages.data.cast("B"))
    for one, other in [(0, 1), (3, 299), (255, 256), (0, 599)]:
        moved = pages.copy()
        moved[[one, other]] = moved[[other, one]]
        assert checksum(moved.data.cast("B")) != before, (one, other)


@pytest.mark.parametrize("size", SIZES)
def test_a_file_has_the_checksum_of_its_content(size: int, tmp_path: Path) -> None:
    content = random.Random(size).randbytes(size)
    (tmp_path / "a").write_bytes(content)
    write_checksums(tmp_path, ["a"])
    assert read_checksums(tmp_path) == {"a": checksum(content)}
    assert verify(tmp_path / "a", remedy=REMEDY) == tmp_path / "a"
    assert read_verified(tmp_path / "a", remedy=REMEDY) == content


def test_a_damaged_file_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"clicked")
    write_checksums(tmp_path, ["a"])
    (tmp_path / "a").write_bytes(b"clacked")
    expected = rf"/a: is damaged or was edited: .*; {REMEDY} \(to read it as it is, delete .*/checksums\.json\)"
    for read in (read_verified, verify):
        with pytest.raises(DataError, match=expected):
            read(tmp_path / "a", remedy=REMEDY)
    with pytest.raises(DataError, match=expected):
        verify_all(tmp_path, remedy=REMEDY)
    (tmp_path / "checksums.json").unlink()
    assert read_verified(tmp_path / "a", remedy=REMEDY) == b"clacked"


def test_files_without_a_checksum_are_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    write_checksums(tmp_path, ["a"])
    assert read_verified(tmp_path / "b", remedy=REMEDY) == b"b"
    assert verify(tmp_path / "b", remedy=REMEDY) == tmp_path / "b"
    (tmp_path / "a").unlink()
    verify_all(tmp_path, remedy=REMEDY)


def test_a_file_is_recorded_beside_others_and_forgotten_while_it_is_written(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with recording(tmp_path / name):
            (tmp_path / name).write_text(name)
    with pytest.raises(KeyboardInterrupt), recording(tmp_path / "a"):  # noqa: PT012 - the block is what is tested
        (tmp_path / "a").write_text("half")
        raise KeyboardInterrupt
    assert read_checksums(tmp_path) == {"b": checksum(b"b")}
    assert read_verified(tmp_path / "a", remedy=REMEDY) == b"half"


def test_damaged_checksums_are_named_themselves(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    write_checksums(tmp_path, ["a"])
    path = tmp_path / "checksums.json"
    whole = path.read_bytes()
    damages = [
        whole[: len(whole) // 2],
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 10**5,
        b'{"files": {"a": 1}, "checksum": ""}',
    ]
    for place in range(len(whole)):
        damages.append(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    for damage in damages:
        path.write_bytes(damage)
        try:  # a blank may become another one
            assert json.loads(damage) == json.loads(whole)
        except (ValueError, AssertionError, RecursionError):
            with pytest.raises(DataError, match=r"checksums\.json: is damaged .*if it is deleted"):
                read_verified(tmp_path / "a", remedy=REMEDY)


def test_names_that_a_file_gives_lie_in_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "there").write_text("mine")
    (folder / "link").symlink_to("there")
    (folder / "out").symlink_to(tmp_path)
    assert [inside(folder, name).name for name in ("there", "link", "absent", "..a")] == [
        "there",
        "link",
        "absent",
        "..a",
    ]
    for name in ("", ".", "..", "../x", "/etc/passwd", "a/b", "./../x", "a\0b"):
        with pytest.raises(DataError, match="folder: names a file that does not lie in it"):
            inside(folder, name)
    with pytest.raises(DataError, match=r"out: is a link to .*, out of its folder"):
        inside(folder, "out")
