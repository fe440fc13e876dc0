"""What a search within a budget must beat."""

from pathlib import Path
from typing import Any

import pytest

from recsys.search.supernet import table_bytes
from recsys.search.yardstick import is_yardstick, uniforms_within, whole
from tests.search.nets import build_supernet, make_prepared

WHOLE_BYTES = 4 * 8 * (21 + 13)


@pytest.mark.parametrize(
    ("table", "budget", "names"),
    [
        ({}, WHOLE_BYTES // 2, ["whole", "uniform-4-fp32"]),
        ({}, WHOLE_BYTES // 4, ["uniform-4-fp16"]),
        ({}, WHOLE_BYTES // 8, []),
        ({"precision": "fp32"}, WHOLE_BYTES // 2, ["uniform-4-fp32"]),
        ({"precision": "fp16"}, WHOLE_BYTES // 2, ["whole"]),
    ],
)
def test_the_widest_rows_of_each_precision_are_to_beat(
    table: dict[str, Any], budget: int, names: list[str], tmp_path: Path
) -> None:
    loaded = build_supernet(make_prepared(tmp_path, tables={"all": {"features": ["*"], **table}}))
    found = list(uniforms_within(loaded, budget))
    assert [one.name for one in found] == names
    assert all(is_yardstick(one.name) and table_bytes(loaded, one.shapes).serving <= budget for one in found)


def test_tables_that_are_narrower_stay_so_and_those_that_state_a_precision_keep_it(tmp_path: Path) -> None:
    tables = {"users": {"features": ["user"], "dim": 4, "precision": "fp16"}}
    loaded = build_supernet(make_prepared(tmp_path, tables=tables, model={"tower": "mlp", "dim": 16, "mlp": [8]}))
    shapes = {name: (shape.dim, shape.precision) for name, shape in whole(loaded).shapes.items()}
    assert shapes == {"user": (4, "fp16"), "item": (16, "fp16")}
    names = [one.name for one in uniforms_within(loaded, 2 * 4 * 21 + 4 * 8 * 13)]
    assert names == ["whole", "uniform-8-fp16-fp32"]
