from pathlib import Path
from typing import Any

import pytest

from recsys.config import ResolvedConfig, resolve
from recsys.errors import ConfigError
from recsys.judging.units import Unit, chosen_units, units_of
from tests.judging.rich_log import CHANGES, FEATURES, UNITS
from tests.training.logs import make_config


def resolved(folder: Path, features: dict[str, Any] = FEATURES) -> ResolvedConfig:
    return resolve(make_config(folder, **{**CHANGES, "features": features}), columns=[])


def test_one_column_and_one_behaviour_are_looked_at_as_one(tmp_path: Path) -> None:
    assert [unit.name for unit in units_of(resolved(tmp_path))] == UNITS


def test_a_cross_changes_with_what_it_is_made_of_and_alone(tmp_path: Path) -> None:
    units = {unit.name: unit for unit in units_of(resolved(tmp_path))}
    assert units["segment"] == Unit(("segment",), ("taste",))
    assert units["category"].all == ("category", "taste")
    assert units["taste"] == Unit(("taste",), ())
    assert units["item_id"].all == ("item_id",)  # and not its histories


def test_features_are_looked_at_as_one_along_a_chain(tmp_path: Path) -> None:
    more = {"item_words": {"type": "ids", "column": "clicked_items"}, "price_again": {"type": "id", "column": "price"}}
    names = {unit.name for unit in units_of(resolved(tmp_path, FEATURES | more))}
    assert "clicked_items + clicked_categories + item_words" in names
    assert "price + price_range + price_again" in names


def test_units_are_chosen_by_any_of_their_features_and_joined_by_plus(tmp_path: Path) -> None:
    chosen = chosen_units(resolved(tmp_path), ["price_range", "segment + taste", "price"])
    assert chosen == [Unit(("price", "price_range"), ()), Unit(("segment", "taste"), ())]


def test_a_name_may_hold_a_plus(tmp_path: Path) -> None:
    features = {"a+b": {"type": "id"}, "a": {"type": "id"}}
    assert chosen_units(resolved(tmp_path, features), ["a+b"]) == [Unit(("a+b",), ())]


@pytest.mark.parametrize("chosen", [["prise"], ["tags", "prise"], ["tags+prise"]])
def test_an_unknown_feature_is_refused_with_those_there_are(tmp_path: Path, chosen: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"no feature 'prise'; did you mean 'price'\?; it has user_id, segment"):
        chosen_units(resolved(tmp_path), chosen)


def test_no_feature_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least one feature, got none"):
        chosen_units(resolved(tmp_path), [])
