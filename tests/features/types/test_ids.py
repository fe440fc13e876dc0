import pytest

from tests.suggest.columns import column, spec


@pytest.mark.parametrize(
    ("sample", "separator"),
    [
        (("a|b", "b", "c|a"), "|"),
        (("Science Fiction|Drama", "Drama|War"), "|"),
        (("1,2,3", "7,8"), ","),
        (("1 2 3", "7 8"), " "),
        (("Paris, Texas", "Rome, Georgia"), None),
        (("new york", "san jose"), None),
        (("a|b", "b", "c"), None),
        (("paris", "rome"), None),
    ],
)
def test_text_with_a_separator_holds_several_ids(sample: tuple[str, ...], separator: str | None) -> None:
    one = column("tags", "String", sample)
    assert one.separator == separator
    assert spec(one) == ({"type": "id"} if separator is None else {"type": "ids", "separator": separator})


def test_lists_keep_95_percent_of_the_rows_whole() -> None:
    genres = column("genres", "List(String)", ("a",), mean_length=2.5, p95_length=6)
    assert spec(genres) == {"type": "ids", "max_len": 6}
