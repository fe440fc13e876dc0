import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from recsys.config import load_config, resolve
from recsys.data.synthetic import SyntheticLog, generate, generate_wide
from recsys.data.synthetic.log import CHUNK_ROWS, Sample, make_chunk
from recsys.data.synthetic.shop import DEVICES, SEGMENTS, START, Settings, Shop, interest_effect
from recsys.data.synthetic.wide import PAIRS, VOCABULARIES, Wide
from recsys.errors import DataError

ROWS = CHUNK_ROWS + 5_000  # two chunks, the second of them short


@pytest.fixture(scope="module")
def shop_log(tmp_path_factory: pytest.TempPathFactory) -> SyntheticLog:
    return generate(tmp_path_factory.mktemp("shop"), rows=ROWS)


@pytest.fixture(scope="module")
def shop() -> Shop:
    return Shop(rows=ROWS, seed=1, settings=Settings())


@pytest.fixture(scope="module")
def sample(shop: Shop) -> Sample:
    return make_chunk(shop, 0)


def read(log: SyntheticLog, split: str) -> pa.Table:
    files = sorted((log.folder / "train").iterdir()) if split == "train" else [log.folder / f"{split}.parquet"]
    return pa.concat_tables([pq.read_table(file) for file in files])


def column(sample: Sample, name: str) -> np.ndarray[Any, Any]:
    return sample.table[name].to_numpy()


def count_matches(sample: Sample) -> np.ndarray[Any, Any]:
    categories = column(sample, "category")
    return np.array([(row == c).sum() for row, c in zip(column(sample, "clicked_categories"), categories, strict=True)])


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


@pytest.mark.parametrize("log", [Shop(rows=ROWS, seed=3, settings=Settings()), Wide(rows=ROWS, seed=3)])
def test_a_chunk_can_be_made_without_the_one_before_it(log: Shop | Wide) -> None:
    after_the_first = [make_chunk(log, number) for number in (0, 1)][1]
    alone = make_chunk(type(log)(**({"settings": Settings()} if isinstance(log, Shop) else {}), rows=ROWS, seed=3), 1)
    assert alone.table.equals(after_the_first.table)
    np.testing.assert_array_equal(alone.probability, after_the_first.probability)
    assert len(alone.table) == 5_000


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


def test_clicks_follow_how_often_the_category_was_clicked_before(sample: Sample) -> None:
    matches, clicked = count_matches(sample), column(sample, "clicked")
    rates = [clicked[matches == n].mean() for n in range(5)]
    assert rates == sorted(rates)
    assert rates[4] > rates[0] + 0.25
    np.testing.assert_allclose(interest_effect(np.array([0, 1, 2])), [-0.8, 0.4, 1.12])


def test_histories_are_aligned_and_hold_several_interests(sample: Sample) -> None:
    items, categories = (
        sample.table["clicked_items"].combine_chunks(),
        sample.table["clicked_categories"].combine_chunks(),
    )
    assert items.offsets.equals(categories.offsets)
    lengths = pc.list_value_length(items).to_numpy()
    assert lengths.min() == 0
    assert lengths.max() == 50
    category_of = dict(zip(column(sample, "item_id"), column(sample, "category"), strict=True))
    pairs = set(zip(items.flatten().to_pylist(), categories.flatten().to_pylist(), strict=True))
    assert all(category_of.get(item, category) == category for item, category in pairs)
    long = [row for row in column(sample, "clicked_categories")[:2000] if len(row) >= 20]
    assert np.mean([(np.bincount(row) >= 3).sum() for row in long]) > 1.5


def test_the_best_hour_depends_on_the_device_and_the_best_category_on_the_segment(sample: Sample) -> None:
    clicked, hour = column(sample, "clicked"), column(sample, "ts") // 3600 % 24
    device, segment = column(sample, "device"), column(sample, "segment")
    for name, peak in zip(DEVICES, (21, 13, 7), strict=True):
        near = np.isin(hour, np.arange(peak - 2, peak + 3) % 24)
        far = np.isin(hour, np.arange(peak + 10, peak + 15) % 24)
        assert clicked[(device == name) & near].mean() > clicked[(device == name) & far].mean() + 0.1
    category = column(sample, "category")
    rates = np.array([[clicked[(segment == s) & (category == c)].mean() for c in range(40)] for s in SEGMENTS[:3]])
    assert rates.argmax(axis=1).tolist() != [rates.mean(axis=0).argmax()] * 3
    interaction = rates - rates.mean(axis=0) - rates.mean(axis=1, keepdims=True) + rates.mean()
    assert interaction.std() > 0.02


def test_no_item_is_shown_before_the_day_of_its_launch(shop: Shop, sample: Sample) -> None:
    item = pc.index_in(sample.table["item_id"].combine_chunks(), shop.item_name).to_numpy()
    day = (column(sample, "ts") - START) // 86_400
    assert (shop.launch_day[item] <= day).all()
    assert (shop.launch_day[item] > 0).mean() > 0.05


def test_a_few_items_are_popular_and_they_change(shop_log: SyntheticLog) -> None:
    early, late = (read(shop_log, split)["item_id"].slice(0, 6_000) for split in ("train", "test"))
    top = []
    for items in (early, late):
        counted = sorted(pc.value_counts(items).to_pylist(), key=lambda count: -count["counts"])
        assert sum(count["counts"] for count in counted[:200]) > 0.3 * len(items)
        top.append({count["values"] for count in counted[:50]})
    assert 5 < len(top[0] & top[1]) < 40


def test_chunks_are_different(shop: Shop) -> None:
    users = [make_chunk(shop, number).table["user_id"].slice(0, 5_000) for number in (0, 1)]
    assert not users[0].equals(users[1])


def test_some_prices_are_missing_and_nothing_else_is(sample: Sample) -> None:
    nulls = {name: sample.table[name].null_count for name in sample.table.column_names}
    assert nulls.pop("price") == pytest.approx(0.08 * CHUNK_ROWS, rel=0.1)
    assert not any(nulls.values())
    assert not np.isnan(sample.table["price"].drop_null().to_numpy()).any()


def test_a_missing_price_has_the_effect_of_a_middling_one(sample: Sample) -> None:
    price, clicked = sample.table["price"].to_numpy(), column(sample, "clicked")
    cheap, dear = clicked[price < 10].mean(), clicked[price > 60].mean()
    assert dear + 0.05 < clicked[np.isnan(price)].mean() < cheap - 0.03


@pytest.fixture(scope="module")
def wide_log(tmp_path_factory: pytest.TempPathFactory) -> SyntheticLog:
    return generate_wide(tmp_path_factory.mktemp("wide"), rows=20_000, seed=5)


@pytest.fixture(scope="module")
def wide() -> Sample:
    return make_chunk(Wide(rows=CHUNK_ROWS, seed=5), 0)


def test_the_wide_log_has_the_shape_of_criteo(wide: Sample) -> None:
    names = ["clicked", *(f"I{n}" for n in range(1, 14)), *(f"C{c}" for c in range(1, 27))]
    assert wide.table.column_names == names
    types = [wide.table.schema.field(f"C{c}").type for c in (1, 2)]
    assert types == [pa.int64(), pa.string()]
    assert column(wide, "clicked").mean() == pytest.approx(0.25, abs=0.05)
    assert all(len(text) == 8 and int(text, 16) >= 0 for text in column(wide, "C2")[:100])
    sizes = [pc.count_distinct(wide.table[f"C{c + 1}"]).as_py() for c in range(26)]
    assert all(size <= most for size, most in zip(sizes, VOCABULARIES, strict=True))
    assert sizes[8] == 4
    assert max(sizes) > 15_000
    missing = [wide.table[f"I{n}"].null_count / CHUNK_ROWS for n in range(1, 14)]
    assert 0 <= min(missing) < 0.2 < max(missing) < 0.42


def test_every_value_of_a_wide_id_is_a_different_one() -> None:
    values = [column for column in Wide(rows=100, seed=5).values if len(column) <= 100_000]
    assert len(values) == 20
    assert all(pc.count_distinct(column).as_py() == len(column) for column in values)


def test_wide_pairs_matter_and_their_columns_alone_say_little(wide: Sample) -> None:
    recipe, clicked = Wide(rows=CHUNK_ROWS, seed=5), column(wide, "clicked")
    a, b = PAIRS[3]
    classes = []
    for c in (a, b):
        rank = pc.index_in(wide.table[f"C{c + 1}"].combine_chunks(), recipe.values[c]).to_numpy()
        classes.append(recipe.class_of[c][np.minimum(rank, recipe.class_of.shape[1] - 1)])
    effect = recipe.pair_effect[3][classes[0], classes[1]]
    assert clicked[effect > 0.5].mean() > clicked[effect < -0.5].mean() + 0.1
    np.testing.assert_allclose(recipe.pair_effect.sum(axis=1), 0, atol=1e-9)
    np.testing.assert_allclose(recipe.pair_effect.sum(axis=2), 0, atol=1e-9)


def test_wide_truth_is_that_of_the_true_probabilities(wide_log: SyntheticLog) -> None:
    test = make_chunk(Wide(rows=20_000, seed=5), 0).probability[18_000:]
    assert wide_log.truth["test"].auc == pytest.approx(
        roc_auc_score(read(wide_log, "test")["clicked"], test), abs=1e-12
    )
    assert 0.75 < wide_log.truth["train"].auc < 0.9


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
        assert lines[0].startswith("# A made click log of ")
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
