import pytest

from recsys.config import resolve
from recsys.config.search_dims import searched_dims
from tests.config.loading import Load, Problems

HEAD = """label: y
features: {user: {type: id}, item: {type: id}, "c*": {type: id}, past: {type: sequence, of: item}, p: {type: number}}
tables: {pair: {features: [user, item]}, rest: {features: ["c*"], scheme: hash, rows: 10}}
model: {tower: %s, dim: 20}
"""
MLP, FM = HEAD % "mlp", HEAD % "fm"


@pytest.mark.parametrize(
    ("dims", "expected"),
    [
        ("", {"user": (4, 8, 16, 20), "item": (4, 8, 16, 20)}),
        ("dims: [64, 4]", {"user": (4, 64), "item": (4, 64)}),
        ("dims: {}", {}),
        ("dims: {item: [4, 0]}", {"item": (0, 4)}),
        ("dims: {'*': [4], item: [8], rest: [12]}", {"user": (4,), "item": (8,), "rest": (12,)}),
        ("dims: {pair: [8]}", {"user": (8,), "item": (8,)}),
    ],
)
def test_widths_of_vocabularies_and_of_tables_that_are_named(
    dims: str, expected: dict[str, tuple[int, ...]], load: Load
) -> None:
    config = load(f"{MLP}search: {{{dims}}}\n")
    assert searched_dims(resolve(config, ["c1", "c2"])) == expected


@pytest.mark.parametrize(
    ("head", "dims", "problem"),
    [
        (MLP, "{usr: [4]}", "search.dims.usr: unknown feature or table 'usr'; did you mean 'user'?"),
        (MLP, "{p: [4]}", "search.dims.p: 'p' is a number, which has no embedding"),
        (MLP, "{past: [4]}", "search.dims.past: 'past' is a sequence and shares the table of 'item'; name "
         "that instead"),
        (MLP, "{'c*': [4]}", "search.dims.c*: 'c*' is in table 'rest', which is hash; name the table instead"),
        (FM, "{rest: [4]}", "search.dims.rest: tower fm needs tables of one width, and table 'rest' is hash"),
        (FM, "{user: [4, 24]}", "search.dims.user: tower fm sees all embeddings as wide as model.dim (20), so none can "
         "be wider, got 24"),
        (FM, "[4, 24]", "search.dims: tower fm sees all embeddings as wide as model.dim (20), so none can be "
         "wider, got 24"),
        (MLP, "[4, 6]", "search.dims[1]: must be a multiple of 4 (FBGEMM), got 6; nearest: 4, 8"),
    ],
)  # fmt: skip
def test_a_name_or_width_that_cannot_be_is_refused(head: str, dims: str, problem: str, problems: Problems) -> None:
    assert problems(f"{head}search:\n  dims: {dims}\n")[1:] == [f"shop.yaml:6: {problem}"]
