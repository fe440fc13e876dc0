import torch

from recsys.data.alignment import find_misalignment


def test_sequences_of_equal_lengths_are_aligned() -> None:
    lengths = {"items": torch.tensor([2, 0]), "shops": torch.tensor([2, 0]), "tags": torch.tensor([9, 9])}
    assert find_misalignment([["items", "shops"], ["tags"]], lengths) == ""
    assert find_misalignment([], lengths) == ""


def test_the_first_row_that_differs_is_named() -> None:
    lengths = {"items": torch.tensor([2, 0, 3]), "shops": torch.tensor([2, 1, 1])}
    rule = "items, shops: sequences of one behaviour must be equally long, got 0 and 1 entries in row 1"
    assert find_misalignment([["items", "shops"]], lengths) == rule
