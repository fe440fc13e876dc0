"""A bundle that is served: checked on its golden rows, with its version and the layout of its requests."""

from pathlib import Path

import numpy as np
import polars as pl

from recsys.errors import DataError
from recsys.serving.protocol.layout import Batch, RequestLayout
from recsys.serving.protocol.rows import RankingRows
from recsys.serving.protocol.tensors import REQUEST
from recsys.serving.scorer import Scorer

__all__ = ["ServedBundle"]

TOLERANCE = 1e-6
"""Largest difference of a golden row's score, as export allows it."""
VERSION_LENGTH = 12


class ServedBundle:
    """A loaded bundle that scores its golden rows as training did.

    Args:
        folder: the bundle.
        max_rows: the largest number of rows of a request.

    Raises:
        DataError: it is not a bundle, is damaged, or scores its golden rows differently.
    """

    def __init__(self, folder: Path, *, max_rows: int) -> None:
        self.folder = folder
        self.scorer = Scorer(folder)
        signature = self.scorer.signature
        self.version: str = next(iter(signature["sha256"].values()))[:VERSION_LENGTH]
        self.outputs: list[str] = [output["name"] for output in signature["outputs"]]
        self.layout = RequestLayout(
            signature["inputs"], self.scorer.aligned, max_rows=max_rows, can_rank=self.scorer.can_rank
        )
        self._warm_up()
        self._warm_up_ranking()

    def _warm_up(self) -> None:
        """Score the golden rows, all at once and the first one alone, so that the first requests are as fast as others.

        TorchScript compiles a graph anew in its first two calls.
        """
        golden = self.scorer.golden_rows()
        if golden is None:
            return
        inputs, expected = golden
        rows = len(expected)
        for num_rows in (1, 1, rows, rows):
            scores = self.score(Batch(_first_rows(inputs, num_rows), num_rows))
            difference = np.nan_to_num(np.abs(scores - expected[:num_rows]), nan=np.inf)
            if difference.max(initial=0.0) > TOLERANCE:
                row, task = np.unravel_index(difference.argmax(), difference.shape)
                raise DataError(
                    f"{self.folder}: {self.outputs[task]} of golden row {row} must be {expected[row, task]:.7f} as in "
                    f"training, got {scores[row, task]:.7f}; export the run again, on this machine or with its torch"
                )

    def _warm_up_ranking(self) -> None:
        """Rank golden rows for golden rows, and compare with the scores of the same as plain rows."""
        golden = self.scorer.golden_ranking()
        if golden is None:
            return
        given, rows, num_rows = golden
        expected = self.score(Batch(rows, num_rows))
        for _ in range(2):
            scores = self.score(Batch(given, num_rows))
            difference = np.nan_to_num(np.abs(scores - expected), nan=np.inf)
            if difference.max(initial=0.0) > TOLERANCE:
                row, task = np.unravel_index(difference.argmax(), difference.shape)
                raise DataError(
                    f"{self.folder}: {self.outputs[task]} of a candidate of a golden row must be "
                    f"{expected[row, task]:.7f} as in plain rows, got {scores[row, task]:.7f}; export the run again, "
                    "on this machine or with its torch"
                )

    def score(self, batch: Batch) -> np.ndarray:
        """Return the probabilities of rows or candidates, (rows, tasks) float64.

        Raises:
            DataError: the rows do not fit.
        """
        return self.scorer.score_inputs(batch.inputs, batch.num_rows)

    def rows(self, frame: pl.DataFrame) -> Batch:
        """Return raw rows as the model takes them.

        Raises:
            DataError: a value is not what the model was trained on.
        """
        return Batch(self.scorer.inputs(frame, REQUEST), frame.height)

    def ranking(self, rows: RankingRows) -> Batch:
        """Return a user and the candidates as the model takes them.

        Raises:
            DataError: a value is not what the model was trained on, or the model takes no users.
        """
        if not self.scorer.can_rank:
            raise DataError("the model takes plain rows only, since a former release exported it: POST /score")
        inputs = self.scorer.ranking_inputs(rows.user, rows.candidates, [rows.candidates.height], REQUEST)
        return self.layout.batch(inputs, rows.candidates.height)


def _first_rows(inputs: dict[str, np.ndarray], num_rows: int) -> dict[str, np.ndarray]:
    first: dict[str, np.ndarray] = {}
    for name, array in inputs.items():
        if name.endswith(".values"):
            lengths = inputs[f"{name.removesuffix('.values')}.lengths"]
            first[name] = array[: lengths[:num_rows].sum()]
        else:
            first[name] = array[:num_rows]
    return first
