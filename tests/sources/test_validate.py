import gzip
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from recsys.config import DataSection
from recsys.errors import DataError
from recsys.sources.source import open_source
from recsys.suggest.suggest import suggest_for_file
from tests.sources.damaged import FORMS, write_file, write_stream
from tests.sources.files import read


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_no_flipped_byte_ends_the_process(form: str) -> None:
    command = [sys.executable, "-m", "tests.sources.damaged", form, "150"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr[-2000:]


@pytest.fixture(params=["f.arrow", "f.arrows", "f.parquet"])
def write(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    def written(**columns: Any) -> Path:
        path, table = tmp_path / request.param, pa.table(columns)
        writer = {".arrow": write_file, ".arrows": write_stream}.get(path.suffix, pyarrow.parquet.write_table)
        writer(table, path)
        return path

    return written


TIMES = {
    "ms": (pa.array([0, None, -(2**61)], pa.timestamp("ms")), f"{-(2**61)} ms since 1970 are outside the years"),
    "us": (pa.array([0, 1, 2**63 - 1], pa.timestamp("us", "UTC")), f"{2**63 - 1} us since 1970 are outside the years"),
    "date": (pa.array([0, 1, 2**30], pa.date32()), f"{2**30} days since 1970 are outside the years -262143 to 262142"),
    "list": (pa.array([[0], None, [0, 2**60]], pa.list_(pa.timestamp("ms"))), f"{2**60} ms since 1970 are outside"),
}


@pytest.mark.parametrize("case", TIMES)
def test_a_time_that_the_libraries_panic_over_is_named(write: Any, case: str) -> None:
    times, message = TIMES[case]
    path = write(x=pa.array([1, 2, 3]), t=times)
    assert read(path, columns=["x"])["x"].to_list() == [1, 2, 3]
    with pytest.raises(DataError, match=f"{path.name}: column t: {message}.* .row 3.$"):
        read(path, rows=2)


def test_the_first_and_the_last_day_are_read(write: Any) -> None:
    days = pa.array([-96_465_292, 95_026_236], pa.date32())
    frame = read(write(d=days, t=days.cast(pa.timestamp("ms"))))
    assert [year for column in frame for year in column.dt.year()] == [-262_143, 262_142] * 2


FOREIGN = [
    pa.array([(1, 2, 3), None], pa.month_day_nano_interval()),
    pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["a", "b"])]),
    pa.RunEndEncodedArray.from_arrays([1, 2], ["a", "b"]),
    pa.array([1, None], pa.decimal256(76, 38)),
]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[1], None, [], [2, 3]], pa.list_view(pa.int64())),
        pa.array([[1], None, [], [2, 3]], pa.list_view(pa.int64()))[1:],
        pa.array([Decimal(1), None, Decimal(2) ** 63], pa.decimal256(60, 2)),
        pa.array(["[1]", None]).cast(pa.json_()),
    ],
    ids=lambda column: str(column.type),
)
def test_a_type_that_holds_the_values_of_one_that_polars_knows_is_read_as_it(tmp_path: Path, column: Any) -> None:
    write_file(pa.table({"odd": column}), tmp_path / "f.arrow")
    assert read(tmp_path / "f.arrow")["odd"].to_list() == column.to_pylist()


def test_a_decimal_that_no_type_of_polars_holds_is_refused(tmp_path: Path) -> None:
    write_file(pa.table({"odd": pa.array([Decimal(10) ** 40], pa.decimal256(60, 2))}), tmp_path / "f.arrow")
    with pytest.raises(DataError, match=r"f.arrow: cannot be read as arrow: Decimal value does not fit"):
        read(tmp_path / "f.arrow")


@pytest.mark.parametrize("column", FOREIGN, ids=lambda column: str(column.type))
@pytest.mark.parametrize("writer", [write_file, write_stream])
def test_a_column_of_a_type_that_polars_does_not_know_costs_only_itself(
    tmp_path: Path, column: Any, writer: Any
) -> None:
    path = tmp_path / "f.arrow"
    writer(pa.table({"click": [0, 1], "odd": column, "user": ["a", "b"]}), path)
    assert read(path, columns=["user", "click"]).rows() == [("a", 0), ("b", 1)]
    with pytest.raises(DataError, match=r"f.arrow: column odd: .* is not read; store it as another type"):
        read(path)
    text = suggest_for_file(path, label="click")
    assert "\n  user: {type: id}" in text
    assert "\n  # odd " in text


def test_an_offset_from_utc_is_read_as_utc(write: Any) -> None:
    path = write(
        t=pa.array([0], pa.timestamp("us", "+05:30")), l=pa.array([[0]], pa.list_(pa.timestamp("ms", "+05:30")))
    )
    assert read(path)["t"].dt.epoch("us").to_list() == [0]
    assert str(read(path).schema["l"].inner) == "Datetime(time_unit='ms', time_zone='UTC')"  # type: ignore[attr-defined]


def test_dates_in_milliseconds_may_have_a_time_of_day(tmp_path: Path) -> None:
    write_file(pa.table({"d": pa.array([1], pa.int64()).view(pa.date64())}), tmp_path / "f.arrow")
    assert read(tmp_path / "f.arrow")["d"].dt.epoch("ms").to_list() == [1]


def test_text_that_is_not_utf8_has_a_row_and_a_value(tmp_path: Path) -> None:
    bad = pa.array([b"a", None, b"caf\xe9"]).view(pa.string())
    write_file(pa.table({"x": [1, 2, 3], "city": bad}), tmp_path / "f.arrow")
    with pytest.raises(DataError, match=r"f.arrow: column city: expected UTF-8 text, got b'caf.xe9' \(row 3\)"):
        read(tmp_path / "f.arrow")


def test_offsets_out_of_bounds_are_refused_with_the_column(tmp_path: Path) -> None:
    path = tmp_path / "f.arrow"
    write_file(pa.table({"t": ["abc", "def"], "x": [1, 2]}), path)
    offsets = pa.array([0, 3, 6], pa.int32()).buffers()[1].to_pybytes()
    content = path.read_bytes()
    assert content.count(offsets) == 1
    path.write_bytes(content.replace(offsets, pa.array([0, 3, 2**30], pa.int32()).buffers()[1].to_pybytes()))
    assert read(path, columns=["x"])["x"].to_list() == [1, 2]
    with pytest.raises(DataError, match=r"f.arrow: column t: the file is damaged in rows 1 to 2: "):
        read(path)


def test_a_stream_is_read_and_does_not_tell_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "f.arrow"
    write_stream(pa.table({"x": range(120)}), path)
    source = open_source([path], DataSection())
    assert source.num_rows() is None
    assert [len(frame) for frame in source.frames(["x"], 70)] == [70, 50]


def test_what_only_looks_like_an_arrow_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "f.feather"
    for content, message in [(b"FEA1 and so on", "Feather file of version 1"), (gzip.compress(b"x"), "packed by gzip")]:
        path.write_bytes(content)
        with pytest.raises(DataError, match=f"f.feather: cannot be read as arrow: it is .*{message}"):
            read(path)


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    write_file(pa.table([[1], [2]], names=["a", "a"]), tmp_path / "f.arrow")
    with pytest.raises(DataError, match=r"f.arrow: two columns are called 'a'"):
        read(tmp_path / "f.arrow")
