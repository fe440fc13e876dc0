import pytest

from recsys.units import format_bytes, format_count, format_duration, parse_bytes


@pytest.mark.parametrize(
    ("text", "num_bytes"),
    [("0 B", 0), ("10MB", 10_000_000), ("1.5 GiB", 3 * 2**29), ("2kib", 2048), (" 3. TB ", 3 * 10**12)],
)
def test_bytes_are_a_number_and_a_unit_in_any_case(text: str, num_bytes: int) -> None:
    assert parse_bytes(text) == num_bytes


@pytest.mark.parametrize("text", ["", "10", "10 M", "-1MB", "1e3 B", "10MBs", "MB"])
def test_a_number_without_one_of_the_units_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a number and one of B, kB, MB, GB, KiB, MiB, GiB"):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [(999, "999 B"), (1000, "1.0 kB"), (999_999, "1000.0 kB"), (12_345_678, "12.3 MB"), (5 * 10**12, "5000.0 GB")],
)
def test_bytes_are_written_with_a_decimal_unit_of_at_most_gb(num_bytes: int, text: str) -> None:
    assert format_bytes(num_bytes) == text


def test_a_count_has_a_noun_in_the_right_number() -> None:
    assert [format_count(n, "row") for n in (0, 1, 1000)] == ["0 rows", "1 row", "1,000 rows"]


def test_a_duration_is_in_hours_and_minutes_or_in_seconds() -> None:
    assert [format_duration(n) for n in (0.4, 59.9, 60, 3599, 86_400)] == [
        "0 s",
        "60 s",
        "1 min",
        "59 min",
        "24 h 0 min",
    ]
