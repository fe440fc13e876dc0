"""Sequences of one behaviour are aligned: entry i of all of them is one event."""

from torch import Tensor

from recsys.features.lists import unequal_lengths

__all__ = ["find_misalignment"]


def find_misalignment(aligned: list[list[str]], lengths: dict[str, Tensor]) -> str:
    """Say which sequences of one behaviour have different lengths in some row; "" if none do.

    Runs in TorchScript, too: training and exported models check alike.

    Args:
        aligned: the sequences of each behaviour.
        lengths: sequence -> entries of each row, (B,).

    Example:
        >>> import torch
        >>> find_misalignment([["items", "shops"]], {"items": torch.tensor([1, 2]), "shops": torch.tensor([1, 1])})
        'items, shops: sequences of one behaviour must be equally long, got 2 and 1 entries in row 1'
    """
    for names in aligned:
        for name in names[1:]:
            differs_B = lengths[name] != lengths[names[0]]
            if bool(differs_B.any()):
                row = int(differs_B.nonzero()[0])
                first, second = int(lengths[names[0]][row]), int(lengths[name][row])
                return f"{names[0]}, {name}: {unequal_lengths(first, second)} in row {row}"
    return ""
