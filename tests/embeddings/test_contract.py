"""What every scheme must do, whatever it does inside. A new scheme joins by the examples of its section."""

from collections.abc import Callable

import pytest

from recsys.embeddings import Layout
from recsys.errors import ConfigError, DataError
from recsys.testing import SchemeContract
from recsys.testing.tiny_tables import rows


class TestSchemes(SchemeContract):
    """All schemes that are registered."""

    stores_per_id = ("dedup", "deeplight", "int8", "int16", "alpt")
    test_the_model_trains_on_it = pytest.mark.slow(SchemeContract.test_the_model_trains_on_it)


def test_an_open_vocabulary_in_a_scheme_that_takes_none_is_an_error(make_layout: Callable[..., Layout]) -> None:
    with pytest.raises(ConfigError, match=r"tables.user: scheme full takes no open vocabulary, which 'user' has"):
        make_layout({}, features={"user": {"type": "id"}}, num_ids={"user": None})


def test_a_behaviour_may_have_the_name_of_another_field(make_layout: Callable[..., Layout]) -> None:
    sequence = {"type": "sequence", "of": "item", "behaviour": "item"}
    features = {"item": {"type": "id"}, "tags": {**sequence}, "clicks": {**sequence}}
    layout = make_layout({}, features=features, jagged=True)
    batch = rows(user=[1], item=[5], tags=[[3]], clicks=[[5]])
    assert layout.collate(batch).lengths["clicks"].tolist() == [1]
    with pytest.raises(DataError, match=r"tags, clicks: .* got 1 and 2 entries"):
        layout.collate(rows(user=[1], item=[5], tags=[[3]], clicks=[[5, 5]]))
