import pytest

from recsys.config.schemes import SCHEMES
from recsys.config.variants import all_variants
from recsys.errors import ConfigError
from recsys.scheme_benchmark.variants import choose_variants, parse_budgets
from recsys.search.methods import METHODS


def test_all_are_the_schemes_and_the_separate_form_of_those_that_share() -> None:
    names = [variant.name for variant in choose_variants("all")]
    assert {name.split("/")[0] for name in names} == {name for name in SCHEMES if not SCHEMES[name].needed_keys()}
    assert set(SCHEMES) - set(names) == {"blocks"}
    assert names.index("hash/per_feature") == names.index("hash") + 1
    assert "full/per_feature" not in names


def test_a_variant_is_a_section_with_every_feature() -> None:
    section = all_variants()["hash/per_feature"].section(0.1)
    assert section.model_dump(exclude_defaults=True) == {
        "features": ("*",),
        "scheme": "hash",
        "budget": 0.1,
        "per_feature": True,
    }
    assert not hasattr(all_variants()["full"].section(None), "budget")


def test_names_are_taken_in_the_order_of_the_schemes_each_once() -> None:
    assert [variant.name for variant in choose_variants("hash, full,hash")] == ["full", "hash"]


def test_searches_are_compared_where_they_are_named_after_the_schemes() -> None:
    assert set(METHODS).isdisjoint(SCHEMES)
    assert [variant.name for variant in choose_variants("dnis,hash,nested")] == ["hash", "nested", "dnis"]
    both = [variant.name for variant in choose_variants("all, dnis")]
    assert both == [*all_variants(), "dnis"]


def test_an_unknown_name_is_refused_with_the_next_known_one() -> None:
    with pytest.raises(ConfigError, match=r"--schemes: unknown scheme 'hahs'; did you mean 'hash'\?; known are: full"):
        choose_variants("full,hahs")
    with pytest.raises(ConfigError, match="--schemes: scheme 'blocks' needs blocks of your own making"):
        choose_variants("full,blocks")
    with pytest.raises(ConfigError, match="--schemes: names no scheme"):
        choose_variants(",")


def test_budget_are_fractions_or_sizes() -> None:
    assert parse_budgets("0.5, 10MB,0.50") == [0.5, "10MB"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("10 M", "must be a number and one of B, kB.* got '10 M'"),
        ("2", "a number without a unit is a fraction of the full table, in .0, 1.; got 2"),
        ("", "names no budget"),
    ],
)
def test_what_is_no_budget_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"--budgets: {message}"):
        parse_budgets(text)
