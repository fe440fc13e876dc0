"""The load of a table: ids that are read and vectors that are returned for a row of the data."""

from recsys.config import SparseOptimizer
from recsys.sharding.table_load import table_loads
from tests.sharding.plans import SMALL, make_layout


def test_bags_of_one_id_are_counted_with_their_padding() -> None:
    layout = make_layout(SMALL, {}, jagged=True)
    loads = table_loads(layout, SparseOptimizer(), {"clicks": 20.0})
    (load,) = [load for load in loads if load.collection == "unpooled"]
    assert (load.name, load.ids_per_row, load.bags_per_row) == ("t_item_table", 21.0, 21.0)
