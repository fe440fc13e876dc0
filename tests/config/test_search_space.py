import pytest

from recsys.config.load import parse_text
from recsys.config.search import NumberRange
from recsys.config.search_space import is_integer
from tests.config.loading import Load, Problems

HEAD = "label: y\nfeatures: {a: {type: id}, b.c: {type: id}}\ntrain: {early_stopping: {patience: 2}}\n"


def space(text: str, *, dims: str = "{}") -> str:
    return f"{HEAD}search:\n  dims: {dims}\n  space:\n    {text}\n"


@pytest.mark.parametrize(
    "text",
    [
        "train.dense_optimizer.lr: {low: 1e-4, high: 1e-2, log: true}",
        "train.dense_optimizer.lr: {low: 0.5, high: 1}",
        "train.gradient_clip: [null, 1.0]",
        "train.lr_schedule: [constant, cosine]",
        "model.dim: {low: 4, high: 32, step: 4}",
        "model.mlp: [[64], [128, 64]]",
        "model: [{tower: mlp, mlp: [8]}, {tower: autoint, dim: 20}]",
        "model.tower: [mlp, autoint, lr]",
        "features.b.c.min_count: {low: 1, high: 10}",
    ],
)
def test_any_key_of_the_file_may_be_searched(text: str, load: Load) -> None:
    assert load(space(text)).search is not None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("train.epoch: [1, 2]", r"train.epoch: unknown key; did you mean 'epochs'\?"),
        ("trains.epochs: [1]", r"trains.epochs: trains: unknown key; did you mean 'train'\?"),
        ("model.heads: [1, 2]", "model.heads: unknown key for tower mlp; it belongs to tower autoint"),
        ("model.mlp: [[64], 3]", r"model.mlp\[1\]: expected a list, got 3"),
        ("train.epochs: {low: 0, high: 3}", "train.epochs.low: must be at least 1, got 0"),
        ("train.epochs: {low: 1.5, high: 3}", "train.epochs.low: expected an integer, got 1.5"),
        ("train.dense_optimizer.lr: {low: 0, high: 1}", "lr.low: must be greater than 0, got 0"),
        ("model.dim: {low: 4, high: 32}", r"model.dim.low: must be a multiple of 4 \(FBGEMM\), got 5"),
        ("model.dim: {low: 4, high: 32, step: 6}", "model.dim.step: must be a multiple of 4"),
        (
            "train.lr_schedule: [plateau, {name: plateau, patience: 2}]",
            r"lr_schedule\[1\]: .*patience: must be less than",
        ),
        ("features.z.min_count: [1]", "features.z.min_count: the configuration has no features.z"),
        ("model.mlp[0]: [1]", r"model.mlp has no entry \[0\] in the file; write the list there"),
        ("train.seed: [1, 2]", "train.seed: cannot be searched: the figures of trials"),
        ("data.train: [a, b]", "data.train: cannot be searched"),
        ("search.dims: [[4]]", "search.dims: cannot be searched"),
        ("'': [4]", "search.space.'': must name a key by its path"),
    ],
)
def test_a_key_or_value_that_the_file_could_not_have_is_one_problem_with_its_line(
    text: str, problem: str, problems: Problems
) -> None:
    _, found, *more = problems(space(text))
    assert more == []
    assert found.startswith("shop.yaml:7: search.space.")
    with pytest.raises(AssertionError, match=problem):
        raise AssertionError(found)


def test_a_key_inside_another_that_is_searched_is_refused(problems: Problems) -> None:
    _, found = problems(space("model: [{tower: mlp}]\n    model.tower: [mlp]"))
    assert (
        found
        == "shop.yaml:8: search.space.model.tower: is part of model, which is searched too; leave out one of the two"
    )


def test_widths_that_are_searched_are_no_keys_of_the_space(problems: Problems) -> None:
    _, found = problems(space("model.dim: [4, 8]", dims="[4, 8]"))
    assert "model.dim: the widths of tables are searched already; leave it out, or write `dims: {}`" in found


@pytest.mark.parametrize(
    ("path", "values", "expected"),
    [
        (("train", "epochs"), {"low": 1, "high": 3}, True),
        (("train", "dense_optimizer", "lr"), {"low": 1, "high": 3}, False),
        (("train", "epochs"), {"low": 1, "high": 3.0}, False),
    ],
)
def test_a_range_is_one_of_integers_where_its_key_takes_no_others(
    path: tuple[str, ...], values: dict[str, float], expected: bool
) -> None:
    assert is_integer(parse_text(HEAD), path, NumberRange(**values)) is expected
