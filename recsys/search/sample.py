"""A sample of a split, held in memory as batches: a search scores hundreds of candidates on it."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from recsys.calibration import logit_shift
from recsys.data.prepared import PreparedSplit
from recsys.embeddings import Batch
from recsys.evaluation.ranking import auc
from recsys.losses import build_loss, weighted_mean
from recsys.ranks.seeds import derive_seed
from recsys.training.build import EVALUATION_ROWS, LoadedModel, read_split

__all__ = ["Sample"]

SAMPLE_ROWS = EVALUATION_ROWS
"""Rows of a sample: enough that a thousandth of the loss is seen, as candidates are compared on the same rows."""


class Sample:
    """Rows of a split that a model is asked for again and again; it never learns from them here.

    Args:
        loaded: The model.
        split: The split, which is the validation split in a search.
        max_rows: Most rows; all of the split if it has no more.
    """

    def __init__(self, loaded: LoadedModel, split: PreparedSplit, *, max_rows: int = SAMPLE_ROWS) -> None:
        self.loaded = loaded
        self.loss_of_rows = build_loss(loaded.resolved.config.train.loss)
        self.logit_shift = logit_shift(loaded.resolved.config)
        self.mean_weight = split.mean_weight
        is_part = split.num_rows > max_rows
        seed = derive_seed(loaded.resolved.config.train.seed, "sample") % 2**32 if is_part else None
        size = min(EVALUATION_ROWS, max_rows)
        device = next(loaded.model.parameters()).device
        reader = read_split(loaded, split, batch_size=size, seed=seed)
        number = max(max_rows // size, 1) if is_part else None
        self.batches: list[Batch] = [batch.to(device) for batch in islice(reader, number)]
        self.num_rows = sum(batch.num_rows for batch in self.batches)

    @torch.no_grad()
    def logits(self) -> Iterator[tuple[Batch, Tensor]]:
        """Yield each batch and its logits, in evaluation mode."""
        model = self.loaded.model
        was_training = model.training
        model.eval()
        for batch in self.batches:
            yield batch, model.module(batch).logits
        model.train(was_training)

    def loss(self) -> float:
        """Return the mean loss of the rows, without penalties."""
        parts = [
            weighted_mean(
                self.loss_of_rows(logits + self.logit_shift, batch.labels).double(),
                batch.weights,
                mean_weight=self.mean_weight,
                num_rows=self.num_rows,
            )
            for batch, logits in self.logits()
        ]
        return float(torch.stack(parts).sum())

    def auc(self) -> float:
        """Return the mean over tasks of the AUC of the rows."""
        scored = [(batch.labels.cpu(), logits.cpu(), batch.weights) for batch, logits in self.logits()]
        labels, logits = (torch.cat([one[i] for one in scored]).numpy() for i in (0, 1))  # type: ignore[misc]
        weights = [None if one[2] is None else one[2].cpu().numpy() for one in scored]
        weight = None if weights[0] is None else np.concatenate([one for one in weights if one is not None])
        return float(np.mean([auc(logits[:, t], labels[:, t], weight) for t in range(labels.shape[1])]))
