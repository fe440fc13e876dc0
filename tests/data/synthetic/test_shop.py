import numpy as np
import pyarrow.compute as pc
import pytest

from recsys.data.synthetic import SyntheticLog
from recsys.data.synthetic.log import CHUNK_ROWS, Sample
from recsys.data.synthetic.shop import DEVICES, SEGMENTS, START, Shop, interest_effect
from tests.data.synthetic.samples import column, count_matches, read


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


@pytest.mark.slow
def test_a_few_items_are_popular_and_they_change(shop_log: SyntheticLog) -> None:
    early, late = (read(shop_log, split)["item_id"].slice(0, 6_000) for split in ("train", "test"))
    top = []
    for items in (early, late):
        counted = sorted(pc.value_counts(items).to_pylist(), key=lambda count: -count["counts"])
        assert sum(count["counts"] for count in counted[:200]) > 0.3 * len(items)
        top.append({count["values"] for count in counted[:50]})
    assert 5 < len(top[0] & top[1]) < 40


def test_some_prices_are_missing_and_nothing_else_is(sample: Sample) -> None:
    nulls = {name: sample.table[name].null_count for name in sample.table.column_names}
    assert nulls.pop("price") == pytest.approx(0.08 * CHUNK_ROWS, rel=0.1)
    assert not any(nulls.values())
    assert not np.isnan(sample.table["price"].drop_null().to_numpy()).any()


def test_a_missing_price_has_the_effect_of_a_middling_one(sample: Sample) -> None:
    price, clicked = sample.table["price"].to_numpy(), column(sample, "clicked")
    cheap, dear = clicked[price < 10].mean(), clicked[price > 60].mean()
    assert dear + 0.05 < clicked[np.isnan(price)].mean() < cheap - 0.03
