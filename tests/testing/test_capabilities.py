"""The tables of the pages are those of the registries."""

from collections.abc import Callable

import pytest

from recsys.config.schemes import SCHEMES
from recsys.config.towers import TOWERS
from recsys.embeddings.build import scheme_class
from tests.capabilities import loss_table, scheme_table, tower_table
from tests.pages import page


@pytest.mark.parametrize(
    ("room", "table"), [("embeddings", scheme_table), ("towers", tower_table), ("losses", loss_table)]
)
def test_the_table_of_a_page_is_that_of_the_registry(room: str, table: Callable[[], str]) -> None:
    assert table() in page(f"recsys/{room}/README.md").text, "print it with: python -m tests.capabilities"


@pytest.mark.parametrize("name", SCHEMES)
def test_a_scheme_and_its_section_name_each_other(name: str) -> None:
    section = SCHEMES[name]
    example = section.model_validate({"features": ("a",), "scheme": name, **next(iter(section.examples.values()))})
    assert issubclass(section, scheme_class(example).section)


def test_every_scheme_and_tower_has_examples_for_the_contract_suite() -> None:
    assert all(section.examples for section in (*SCHEMES.values(), *TOWERS.values()))
