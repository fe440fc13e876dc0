import numpy as np
import pytest

from recsys.config import load_config, resolve
from recsys.config.changes import with_changes
from recsys.data.prepare import prepare
from recsys.data.prepared import Prepared
from recsys.search.feature_lines import changed_lines, shape_lines
from recsys.search.scorer import DropCost
from recsys.search.shape import TableShape
from tests.search.small_search import write_search

TABLES = {"items": {"features": ["item"], "scheme": "hash", "rows": 10}}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """A log of 21 users and 13 items, whose items have a hashed table."""
    folder = tmp_path_factory.mktemp("log")
    return prepare(load_config(write_search(folder, tables=TABLES)), folder, folder / "cache")


def test_a_line_says_what_was_and_what_is_left(prepared: Prepared) -> None:
    kept = np.arange(21) < 11
    shape = TableShape(vocabulary="user", dim=8, block_sizes=(6, 15), columns=((0, 1, 2, 3), ()), kept=kept)
    cost = DropCost(-0.1, 0.2)
    user, item = shape_lines(prepared, {"user": shape}, {"user": cost})
    assert (user.name, user.num_ids, user.uses, user.before, user.rows, user.drop) == ("user", 21, 1600, "8", 11, cost)
    assert user.after == "4 (6 ids), 0 (5 ids)"
    assert (user.bytes_before, user.bytes_after) == (21 * 8 * 4, shape.serving_bytes)
    assert (item.before, item.after, item.saved, item.is_changed) == ("8 (hash)", "8 (hash)", 0, False)


def test_a_feature_of_which_nothing_is_left_is_dropped(prepared: Prepared) -> None:
    gone = TableShape.prefix("user", num_ids=21, dim=8, width=0)
    line = shape_lines(prepared, {"user": gone}, {})[0]
    assert (line.after, line.bytes_after, line.rows, line.is_dropped) == ("dropped", 0, None, True)


def test_lines_of_changed_tables_show_other_widths_and_schemes(prepared: Prepared) -> None:
    changes = {("tables",): {"all": {"features": ["user", "item"], "scheme": "hash", "rows": 7, "dim": 4}}}
    config = with_changes(prepared.resolved.config, changes)
    after = resolve(config, [])
    lines = {line.name: line for line in changed_lines(prepared.resolved, after, prepared.state, prepared.state)}
    assert (lines["user"].before, lines["user"].after) == ("8", "4 (hash)")
    assert (lines["item"].before, lines["item"].after) == ("8 (hash)", "4 (hash)")
    assert lines["user"].bytes_after + lines["item"].bytes_after == 7 * 4 * 4
