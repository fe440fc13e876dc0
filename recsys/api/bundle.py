"""An exported model, opened for scoring."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from recsys.api.frames import to_polars
from recsys.errors import DataError
from recsys.features.coverage_report import coverage_table
from recsys.progress import OnProgress, no_log, no_progress
from recsys.serving import Scorer
from recsys.sources.find_files import find_files

if TYPE_CHECKING:
    from recsys.api.frames import ArrowTable

__all__ = ["Bundle"]


class Bundle:
    """A folder that `Run.export` or `recsys export` has written, with its model loaded.

    Args:
        path: the folder.
        device: where the model runs, as torch names it: "cpu", "cuda", "cuda:1".

    Raises:
        DataError: it is not a bundle, is damaged, or was made by an incompatible release.

    Example:
        ```python
        bundle = recsys.Bundle("bundle/")
        bundle.predict(frame)["score"]
        bundle.predict({"user": [1, 2], "item": ["i7", "i8"], "price": [9.5, 8.0], "seen": [[], ["i7"]]})
        bundle.predict(frame, keep=["user"])
        bundle.rank({"user": 7, "seen": ["i7"]}, [{"item": "i8", "price": 9.5}, {"item": "i9", "price": 8.0}])
        ```
    """

    def __init__(self, path: str | Path, *, device: str = "cpu") -> None:
        self.path = Path(path)
        self._scorer = Scorer(self.path, device=device)

    def __repr__(self) -> str:
        return f"Bundle({str(self.path)!r})"

    def write_triton(self, repository: str | Path) -> Path:
        """Add the model to a Triton model repository, under the name of the bundle's folder, and return its folder.

        Args:
            repository: the folder of the repository; is made if need be. A former model of that name is replaced.

        Raises:
            ExportError: the bundle holds a program of torch.export, or the folder is that of something else.
        """
        from recsys.export.triton import write_triton_model

        return write_triton_model(self.path, Path(repository))

    @property
    def columns(self) -> list[str]:
        """Names of the raw columns that scoring reads."""
        return self._scorer.columns

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks, in the order of the columns of scores."""
        return self._scorer.tasks

    def predict(
        self,
        rows: "ArrowTable | pl.LazyFrame | Mapping[str, object] | Sequence[Mapping[str, object]]",
        *,
        keep: str | Sequence[str] = (),
        log: Callable[[str], None] | None = None,
    ) -> pl.DataFrame:
        """Return the predicted probabilities of rows in memory, in their order.

        Args:
            rows: a table of Polars, pandas or PyArrow, a dict of columns, a dict with the values of one row, or a list
                of dicts with a row each. Labels are not needed, and columns that the model does not read are ignored.
            keep: names of columns of `rows` to put before the scores.
            log: called with a line for each feature with many unknown or missing values; None does not count them.

        Returns:
            A frame with the column "score", or "score.TASK" for each of several tasks.

        Raises:
            DataError: a column is missing, or a value is not what the model was trained on.
        """
        return self._scorer.score_frame(to_polars(rows, name="rows"), keep=_column_names(keep), log=log)

    @property
    def user_columns(self) -> list[str]:
        """Names of the raw columns that say something of the user."""
        return self._scorer.columns_of(user=True)

    @property
    def candidate_columns(self) -> list[str]:
        """Names of the raw columns that say something of a candidate."""
        return self._scorer.columns_of(user=False)

    @property
    def score_columns(self) -> list[str]:
        """Names of the columns of scores: "score", or "score.TASK" for each of several tasks."""
        return self._scorer.score_columns

    def rank(
        self,
        user: "ArrowTable | pl.LazyFrame | Mapping[str, object]",
        candidates: "ArrowTable | pl.LazyFrame | Mapping[str, object] | Sequence[Mapping[str, object]]",
    ) -> pl.DataFrame:
        """Return the candidates of one user with their scores, the best first.

        What the model computes of the user alone, it computes once. The scores are those that `predict` gives rows with
        the columns of both.

        Args:
            user: a dict with a value for each of `user_columns`, or a table with one row.
            candidates: rows with `candidate_columns`; other columns are kept.

        Returns:
            The columns of `candidates` and the scores, in the order of the first of these.

        Raises:
            DataError: as `predict`; there is not one user; a column of `candidates` has the name of a score; or the
                bundle was made by a release whose models take plain rows only.
        """
        rows = to_polars(candidates, name="candidates")
        clash = [name for name in self.score_columns if name in rows.columns]
        if clash:
            raise DataError(f"candidates: column {clash[0]!r} has the name of a score")
        one = [user or {"": None}] if isinstance(user, Mapping) else user
        scores = self._scorer.rank(to_polars(one, name="user"), rows)
        scored = rows.with_columns(pl.Series(name, scores[:, t]) for t, name in enumerate(self.score_columns))
        return scored.sort(self.score_columns[0], descending=True, maintain_order=True)

    def coverage(
        self, rows: "ArrowTable | pl.LazyFrame | Mapping[str, object] | Sequence[Mapping[str, object]]"
    ) -> pl.DataFrame:
        """Return how much of each feature the model knows in rows in memory; see `Run.coverage`.

        Raises:
            DataError: as `predict`.
        """
        return coverage_table({"rows": self._scorer.coverage(to_polars(rows, name="rows"))})

    def predict_files(
        self,
        data: str | Path | Sequence[str | Path],
        out: str | Path,
        *,
        keep: str | Sequence[str] = (),
        on_progress: OnProgress = no_progress,
        log: Callable[[str], None] | None = None,
    ) -> int:
        """Score files of any size piece by piece, and write the scores to a parquet file.

        Args:
            data: paths or globs of files with the columns that the model reads.
            out: file to write; it appears when it is complete.
            keep: columns of the files to write before the scores.
            on_progress: called with ("scoring", rows done, rows in all if known).
            log: called with a line for each file without a header that is read as having no label columns, and for each
                feature with many unknown or missing values.

        Returns:
            The number of rows.

        Raises:
            DataError: a file cannot be read, a column is missing, or a value is not what the model was trained on.
        """
        patterns = tuple(map(str, [data] if isinstance(data, str | Path) else data))
        paths = find_files(patterns, Path(), "data")
        if log is not None:
            for path in self._scorer.unlabelled(paths):
                log(f"{path}: has no header and is short by the label: read without it")
        names = _column_names(keep)
        return self._scorer.score_files(paths, Path(out), keep=names, on_progress=on_progress, log=log or no_log)


def _column_names(keep: str | Sequence[str]) -> list[str]:
    return [keep] if isinstance(keep, str) else list(keep)
