import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from recsys.config import load_config, resolve
from recsys.data.synthetic import SyntheticLog, generate, generate_wide
from recsys.data.synthetic.log import Sample, make_chunk
from recsys.data.synthetic.shop import Settings, Shop
from recsys.data.synthetic.wide import Wide
from recsys.errors import DataError
from tests.data.synthetic.samples import ROWS, column, read


@pytest.mark.slow
def test_splits_are_the_rows_of_the_recipe_in_order_of_time(shop_log: SyntheticLog, shop: Shop) -> None:
    files = [path.name for path in sorted((shop_log.folder / "train").iterdir())]
    assert files == [f"part-0000{i}.parquet" for i in range(4)]
    splits = [read(shop_log, split) for split in ("train", "valid", "test")]
    assert [len(split) for split in splits] == [ROWS - 2 * (ROWS // 10), ROWS // 10, ROWS // 10]
    whole = pa.concat_tables(splits)
    assert whole.equals(pa.concat_tables([make_chunk(shop, 0).table, make_chunk(shop, 1).table]))
    assert (np.diff(whole["ts"].to_numpy()) >= 0).all()


def test_the_same_arguments_give_the_same_rows_and_another_seed_others(tmp_path: Path) -> None:
    first, again, other = (
        generate(tmp_path / name, rows=500, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert read(first, "train").equals(read(again, "train"))
    assert first.truth == again.truth
    assert not read(first, "train")["clicked"].equals(read(other, "train")["clicked"])


@pytest.mark.slow
@pytest.mark.parametrize("log", [Shop(rows=ROWS, seed=3, settings=Settings()), Wide(rows=ROWS, seed=3)])
def test_a_chunk_can_be_made_without_the_one_before_it(log: Shop | Wide) -> None:
    after_the_first = [make_chunk(log, number) for number in (0, 1)][1]
    alone = make_chunk(type(log)(**({"settings": Settings()} if isinstance(log, Shop) else {}), rows=ROWS, seed=3), 1)
    assert alone.table.equals(after_the_first.table)
    np.testing.assert_array_equal(alone.probability, after_the_first.probability)
    assert len(alone.table) == 5_000


@pytest.mark.slow
@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_truth_is_that_of_the_true_probabilities(shop_log: SyntheticLog, shop: Shop, split: str) -> None:
    clicked = read(shop_log, split)["clicked"].to_numpy()
    start = {"train": 0, "valid": ROWS - 2 * (ROWS // 10), "test": ROWS - ROWS // 10}[split]
    probability = np.concatenate([make_chunk(shop, 0).probability, make_chunk(shop, 1).probability])
    probability = probability[start : start + len(clicked)].astype(float)
    truth = shop_log.truth[split]
    assert truth.auc == pytest.approx(roc_auc_score(clicked, probability), abs=1e-12)
    assert truth.logloss == pytest.approx(log_loss(clicked, probability), abs=1e-12)
    assert truth.click_rate == pytest.approx(clicked.mean())
    assert truth.expected_auc == pytest.approx(truth.auc, abs=0.01)
    assert shop_log.bayes_auc[split] == truth.auc
    written = json.loads((shop_log.folder / "truth.json").read_text())
    assert written["splits"][split]["auc"] == truth.auc


def test_labels_agree_with_the_probabilities(sample: Sample) -> None:
    clicked = column(sample, "clicked")
    for low in np.arange(0, 1, 0.2):
        chosen = (sample.probability >= low) & (sample.probability < low + 0.2)
        spread = 4 * 0.5 / np.sqrt(chosen.sum())
        assert clicked[chosen].mean() == pytest.approx(sample.probability[chosen].mean(), abs=spread)


def test_chunks_are_different(shop: Shop) -> None:
    users = [make_chunk(shop, number).table["user_id"].slice(0, 5_000) for number in (0, 1)]
    assert not users[0].equals(users[1])


def test_the_written_configs_load_and_fit_the_files(shop_log: SyntheticLog, wide_log: SyntheticLog) -> None:
    shop = resolve(load_config(shop_log.config), pq.read_schema(shop_log.folder / "test.parquet").names)
    assert {field.name for field in shop.fields} >= {"ts.hour", "clicked_items", "price", "tags"}
    assert shop.config.group == "user_id"
    wide = resolve(load_config(wide_log.config), pq.read_schema(wide_log.folder / "test.parquet").names)
    assert len(wide.fields) == 39


def test_the_readme_begins_with_a_title_and_ends_with_the_truth(shop_log: SyntheticLog, wide_log: SyntheticLog) -> None:
    for log in (shop_log, wide_log):
        lines = (log.folder / "README.md").read_text().splitlines()
        best = log.truth["test"]
        assert lines[0].startswith("# A synthetic click log of ")
        assert lines[-1].startswith(f"| test | {best.num_rows:,} |")
        assert f"{best.auc:.4f}" in lines[-1]


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "old.parquet").touch()
    with pytest.raises(DataError, match="must be an empty or a new folder"):
        generate(tmp_path, rows=1000)


def test_too_small_logs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="rows: must be at least 100, got 99"):
        generate_wide(tmp_path, rows=99)
    with pytest.raises(DataError, match="num_items=10, num_categories=40"):
        generate(tmp_path, rows=1000, num_items=10)


def test_progress_ends_with_all_rows(tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    generate(tmp_path, rows=1000, on_progress=lambda *what: told.append(what))
    assert told[-1] == ("make", 1000, 1000)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
