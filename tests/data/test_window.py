import torch

from recsys.data.window import Columns, load_window
from tests.data.numbered_rows import PLAN


def test_a_window_of_no_rows_has_the_types_of_any_other() -> None:
    """Of several ranks, one may have no rows in a window."""
    window = load_window([], Columns.of(PLAN))
    assert {name: values.dtype for name, (values, _) in window.lists.items()} == {
        "tags": torch.int32,
        "seen": torch.int64,
    }
    rows = window.rows(slice(0, 0), batch_rows=8)
    assert (rows.num_rows, rows.batch_rows) == (0, 8)
    assert [rows.single[name].dtype for name in ("row", "ad")] == [torch.int32, torch.int64]
