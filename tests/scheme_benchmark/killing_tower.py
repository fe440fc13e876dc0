"""A tower of the user's own that ends the process of the second seed, as a system without memory would."""

import os
import signal
from typing import Any

import torch
from torch import Tensor

from recsys.towers import Tower


class KillingTower(Tower):
    def __init__(self, inputs: Any, config: Any) -> None:
        super().__init__()
        if torch.initial_seed() == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        self.out = torch.nn.Linear(sum(inputs.dims), inputs.num_tasks)

    def forward(self, fields: Tensor, numbers: Tensor, behaviours: Any) -> Tensor:
        logits: Tensor = self.out(fields)
        return logits
