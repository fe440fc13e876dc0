"""Candidates as files."""

from pathlib import Path

import numpy as np
import pytest

from recsys.errors import DataError
from recsys.search.candidate import Candidate, Measured, read_measured, write_measured
from recsys.search.shape import TableShape

KEPT = np.array([True, True, False, True, False])
RANKS = np.array([0, 2, 1, 4, 3])


def measured(**shapes: TableShape) -> Measured:
    changes = {("train", "sparse_optimizer", "lr"): 0.1, ("model", "mlp", 0): 64}
    candidate = Candidate(name="half-3", shapes=shapes, changes=changes)
    return Measured(candidate=candidate, serving_bytes=60, training_bytes=120, auc=0.75, auc_low=0.7, auc_high=0.8)


def test_a_candidate_is_read_as_it_was_written(tmp_path: Path) -> None:
    blocks = TableShape(
        vocabulary="item", dim=8, block_sizes=(2, 3), columns=((0, 1, 4, 5), ()), kept=KEPT, ranks=RANKS
    )
    before = measured(item=blocks, user=TableShape.prefix("user", num_ids=7, dim=8, width=4))
    after = read_measured(write_measured(tmp_path, before))
    assert (after.name, after.serving_bytes, after.auc, after.auc_low, after.source) == (
        "half-3",
        60,
        0.75,
        0.7,
        "supernet",
    )
    assert after.candidate.changes == before.candidate.changes
    assert list(after.candidate.shapes) == ["item", "user"]
    for name, shape in after.candidate.shapes.items():
        assert shape.to_json() == before.candidate.shapes[name].to_json()
    found = after.candidate.shapes["item"]
    assert found.kept is not None
    assert found.ranks is not None
    assert found.kept.tolist() == KEPT.tolist()
    assert found.ranks.tolist() == RANKS.tolist()
    assert after.candidate.shapes["user"].kept is None


def test_a_candidate_without_intervals_and_shapes_is_one_file(tmp_path: Path) -> None:
    path = write_measured(
        tmp_path, Measured(candidate=Candidate(name="plain"), serving_bytes=1, training_bytes=2, auc=0.5)
    )
    assert [found.name for found in tmp_path.iterdir()] == ["plain.json"]
    assert read_measured(path).auc_low is None


def test_a_damaged_candidate_is_refused(tmp_path: Path) -> None:
    path = write_measured(tmp_path, measured())
    path.write_text(path.read_text().replace("0.75", "0.95"))
    with pytest.raises(DataError, match="delete it, and it is measured again"):
        read_measured(path)
