"""Rows cut to random prefixes while training, so that every prefix of a row learns to serve alone.

Dimension key: V rows that are read, D width, C widths to choose from.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["RandomPrefixes"]


class RandomPrefixes(nn.Module):
    """Draws a width for each row that is read, all of them equally often.

    DIFF: OptEmbed draws one width for each sample and field. So does this for fields of one id; each entry of a
    list has a width of its own.

    Args:
        widths: Widths to choose from, rising.
        dim: Width of the rows.

    Example:
        >>> RandomPrefixes([1, 3], dim=3).prefix.tolist()
        [[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
    """

    prefix: Tensor

    def __init__(self, widths: Sequence[int], dim: int) -> None:
        super().__init__()
        prefix_CD = torch.arange(dim) < torch.tensor(widths).unsqueeze(1)
        self.register_buffer("prefix", prefix_CD.float(), persistent=False)

    def forward(self, row_V: Tensor) -> Tensor:
        """Return the mask of each row, (V, D), drawn by torch's own generator; nothing is drawn from a single width."""
        if len(self.prefix) == 1:
            return self.prefix.expand(len(row_V), -1)
        return self.prefix[torch.randint(len(self.prefix), row_V.shape, device=row_V.device)]
