"""Columns of csv files as people write them: two values, by turns, with gaps."""

from collections.abc import Sequence
from typing import NamedTuple

ROWS = 60


class Look(NamedTuple):
    """Two values of a column called `name`, and what `recsys init` makes of it; "" if it leaves the column out."""

    name: str
    first: str
    second: str
    type: str

    def cells(self) -> list[str]:
        return ["" if row % 7 == 3 else (self.first, self.second)[row * row % 5 % 2] for row in range(ROWS)]


LOOKS = [
    Look("item", "3", "7", "id"),
    Look("item_id", "12.0", "13.0", "id"),
    Look("code", "007", "5", "id"),
    Look("gain", "-3", "70", "id"),
    Look("large", "1e5", "2.5e-3", "number"),
    Look("share", "0.5", "1.25", "number"),
    Look("holes", "nan", "1.5", "number"),
    Look("huge", "123456789012345678901234567890", "5", "id"),
    Look("flag", "true", "false", "id"),
    Look("word", "red", "deep blue", "id"),
    Look("percent", "3%", "4%", "id"),
    Look("clock", "13:00", "14:30", "id"),
    Look("price", "12,50", "3,9", ""),
    Look("nothing", "", "", ""),
    Look("when", "2017-11-25", "2017-11-26", "datetime"),
    Look("seen", "2017-11-25 13:00:00", "2017-11-26 00:00:00.25", "datetime"),
    Look("zoned", "2017-11-25T13:00:00Z", "2017-11-26T13:00:00Z", "datetime"),
    Look("day", "20171125", "20171126", "datetime"),
    Look("hour", "2017112513", "2017112623", "datetime"),
    Look("local", "25.11.2017", "26.11.2017", "datetime"),
    Look("unix_time", "1511568000", "1511654400", "datetime"),
    Look("ms_time", "1511568000000", "1511654400000", "datetime"),
    Look("us_time", "1511568000000000", "1511654400000000", "datetime"),
    Look("ns_time", "1511568000000000000", "1511654400000000000", "datetime"),
    Look("tags", "red|blue", "blue", "ids"),
    Look("blanks", "red | blue|", "blue|", "ids"),
    Look("digits", "3 7", "7 9 3", "ids"),
    Look("commas", "3,7,9", "7,3,8", "ids"),
    Look("json", "[3, 7]", "[]", "ids"),
    Look("quoted", '["red", "blue"]', '["a, b"]', "ids"),
    Look("python", "['red', 'blue']", "['blue']", "ids"),
    Look("numpy", "[3 7]", "[ 3 10]", "ids"),
    Look("java", "[red, blue]", "[blue]", "ids"),
    Look("vector", "[0.5, 0.25]", "[1.5, 2.0]", ""),
    Look("object", '{"a": 1}', "{}", "id"),
    Look("cut", "[1 2 ... 3]", "[1 2]", "id"),
]


def csv_text(looks: Sequence[Look]) -> str:
    """Return a file with a label `click` and these columns; every field is quoted."""
    columns = [["click", *(str(row // 2 % 2) for row in range(ROWS))]]
    columns += [[look.name, *look.cells()] for look in looks]
    return "".join(",".join(map(_quoted, row)) + "\n" for row in zip(*columns, strict=True))


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if cell else ""
