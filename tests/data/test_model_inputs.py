"""What the exported graph says about inputs that it cannot score."""

import pytest
import torch

from recsys.data.model_inputs import truncate
from recsys.export import script
from tests.export.models import make
from tests.export.rows import clicks, yaml


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory):
    made = make(yaml("din"), clicks(50), tmp_path_factory.mktemp("model"))
    return script(made.export()), made.inputs(clicks(4, seed=2))


@pytest.mark.parametrize("name", ["user", "price", "age", "time", "genres.values", "genres.lengths"])
def test_a_missing_input_is_named(scored, name: str) -> None:
    scripted, inputs = scored
    with pytest.raises(torch.jit.Error, match=f"input {name} is missing"):
        scripted({key: value for key, value in inputs.items() if key != name})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"item": torch.zeros(4)}, "input item: dtype must be int64, got float32"),
        ({"item": torch.zeros(4, dtype=torch.int32)}, "input item: dtype must be int64, got int32"),
        ({"price": torch.zeros(4)}, "input price: dtype must be float64, got float32"),
        ({"item": torch.zeros(3, dtype=torch.int64)}, "input item: shape must be (4,), got [3]"),
        ({"item": torch.zeros(4, 1, dtype=torch.int64)}, "input item: shape must be (4,), got [4, 1]"),
        ({"genres.lengths": torch.tensor([1, 0, 0])}, "input genres.lengths: shape must be (4,), got [3]"),
        ({"genres.lengths": torch.tensor([9, 0, 0, 0])}, "input genres: lengths must sum to the number of values"),
        (
            {"genres.values": torch.tensor([1, 2, 3]), "genres.lengths": torch.tensor([1, 0, 1, 0])},
            "input genres: lengths must sum to the number of values, got 2 and 3",
        ),
        ({"genres.lengths": torch.tensor([-1, 9, 0, 0])}, "input genres.lengths: must not be negative, got -1"),
        (
            {
                "items.values": torch.tensor([1, 2, 3]),
                "items.lengths": torch.tensor([1, 0, 2, 0]),
                "shops.values": torch.tensor([1, 2, 3]),
                "shops.lengths": torch.tensor([1, 0, 1, 1]),
            },
            "inputs items, shops: sequences of one behaviour must be equally long, got 2 and 1 entries in row 2",
        ),
    ],
)
def test_an_input_that_does_not_fit_is_named_with_the_rule(scored, changes, message: str) -> None:
    scripted, inputs = scored
    with pytest.raises(torch.jit.Error) as error:
        scripted(inputs | changes)
    assert message in str(error.value)


def test_inputs_that_the_model_does_not_use_are_ignored(scored) -> None:
    scripted, inputs = scored
    assert torch.equal(scripted(inputs | {"other": torch.zeros(2)}), scripted(inputs))


def test_truncation_keeps_the_first_or_the_last_of_each_row() -> None:
    values, lengths = torch.arange(7), torch.tensor([3, 0, 1, 3])
    first, cut = truncate(values, lengths, 2, False)
    assert (first.tolist(), cut.tolist()) == ([0, 1, 3, 4, 5], [2, 0, 1, 2])
    last, cut = truncate(values, lengths, 2, True)
    assert (last.tolist(), cut.tolist()) == ([1, 2, 3, 5, 6], [2, 0, 1, 2])
