"""A bundle proves in a fresh process that it scores as trained, or is not written."""

import copy
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet
from torch import Tensor

from recsys.errors import ExportError
from recsys.export import bundle as bundle_module
from recsys.export.verify import compare
from recsys.towers import Ranking
from recsys.towers.din import Din
from recsys.towers.ranking import expand
from tests.export.bundles import GOLDEN, write
from tests.export.models import Made, make, slow_scores
from tests.export.rows import clicks, yaml

pytestmark = pytest.mark.slow


def test_a_bundle_is_a_folder_of_five_files_and_nothing_is_left_beside_it(bundle: Path) -> None:
    assert sorted(path.name for path in bundle.iterdir()) == [
        "README.md",
        "checksums.json",
        "golden.parquet",
        "model.pt",
        "signature.json",
    ]
    assert [path.name for path in bundle.parent.iterdir()] == ["shop"]


def test_golden_rows_hold_inputs_and_the_scores_of_training(made: Made, bundle: Path) -> None:
    golden = parquet.read_table(bundle / "golden.parquet")
    assert golden.num_rows == 40
    assert golden["item"][0].as_py() != GOLDEN["item"][0]
    assert golden["users"][0].as_py() == GOLDEN["users"][0].fill_null(-(2**63)).to_list()
    np.testing.assert_array_equal(golden["score.buy"].to_numpy(), slow_scores(made, GOLDEN)[:, 1])


def test_other_scores_than_in_training_are_refused_and_nothing_is_left(made: Made, tmp_path: Path) -> None:
    expected = slow_scores(made, GOLDEN)
    expected[17, 1] += 1e-3
    with pytest.raises(ExportError, match=r"score\.buy: .*difference of 0\.001; worst is golden row 17"):
        write(made, tmp_path / "shop", expected=expected)
    assert list(tmp_path.iterdir()) == []


class Shifted(Din):
    """Ranks with logits that differ from those of plain rows by a little."""

    shift = 0.0

    def rank(self, ranking: Ranking) -> Tensor:
        fields, numbers, behaviours = expand(ranking)
        logits: Tensor = self.forward(fields, numbers, behaviours) + self.shift
        return logits


def shifted(made: Made, shift: float) -> Made:
    tower = copy.deepcopy(made.tower)
    tower.__class__ = Shifted
    tower.shift = shift  # type: ignore[assignment]
    return replace(made, tower=tower)


def test_users_are_repeated_where_candidates_would_differ_by_rounding(made: Made, bundle: Path, tmp_path: Path) -> None:
    write(shifted(made, 2e-5), tmp_path / "shop")
    for folder, repeats in ((tmp_path / "shop", True), (bundle, False)):
        assert json.loads((folder / "signature.json").read_text())["ranking"]["repeats_users"] is repeats
        assert compare(folder)["ranking"]["difference"] < 1e-6


def test_candidates_that_have_other_scores_than_plain_rows_are_refused(made: Made, tmp_path: Path) -> None:
    with pytest.raises(
        ExportError, match=r"score\.\w+: candidates that share a user must have the scores of plain rows"
    ):
        write(shifted(made, 1e-3), tmp_path / "shop")
    assert list(tmp_path.iterdir()) == []


def test_tables_in_fewer_bits_may_not_change_a_score_by_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make(yaml("din").replace("dim: 8", "dim: 24"), clicks(100), tmp_path)
    write(made, tmp_path / "shop", precisions={"things": "int8"})
    golden = parquet.read_table(tmp_path / "shop" / "golden.parquet")["score.label"].to_numpy()
    difference = np.abs(golden - slow_scores(made, GOLDEN)[:, 0]).max()
    assert 1e-5 < difference < 0.05
    monkeypatch.setattr(bundle_module, "LARGEST_LOSS", difference / 2)
    with pytest.raises(ExportError, match=r"tables: in these precisions score\.label of golden row \d+ is 0\.\d{4} "):
        write(made, tmp_path / "other", precisions={"things": "int8"})
    assert not (tmp_path / "other").exists()


def test_expected_scores_must_be_one_row_each(made: Made, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"must have shape \(40, 2\), got \(40, 1\)"):
        write(made, tmp_path / "shop", expected=np.zeros((40, 1)))


def test_a_bundle_is_replaced_and_kept_when_the_new_one_fails(made: Made, bundle: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(bundle, tmp_path / "shop")
    (folder / "README.md").write_text("old")
    with pytest.raises(ExportError):
        write(made, folder, expected=np.zeros((40, 2)))
    assert (folder / "README.md").read_text() == "old"
    write(made, folder)
    assert (folder / "README.md").read_text().startswith("# shop")
    assert [path.name for path in tmp_path.iterdir()] == ["shop"]


def test_a_folder_that_is_not_a_bundle_is_not_touched(made: Made, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ExportError, match=r"is not a bundle \(it holds thesis\.tex\) and is not overwritten"):
        write(made, tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
    with pytest.raises(ExportError, match="must be a folder, but is a file"):
        write(made, tmp_path / "thesis.tex")
