"""Raw rows in, probabilities out.

Dimension key: B rows, T tasks.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from recsys.bundle_folder import CANDIDATE_LENGTHS
from recsys.config import DataSection
from recsys.errors import DataError
from recsys.features.coverage import Coverage, CoverageCounter
from recsys.features.coverage_report import coverage_report, name_files
from recsys.features.ranking import golden_ranking
from recsys.features.transform import canonical_inputs, canonicalize, input_columns
from recsys.progress import OnProgress, no_log, no_progress
from recsys.serving.bundle import EXPORT_AGAIN, open_bundle
from recsys.serving.output import ParquetFile, check_output
from recsys.serving.program import InputError, Program
from recsys.sources.csv_file import CsvFile
from recsys.sources.location import RowLocation, no_column
from recsys.sources.source import Source, open_source

__all__ = ["CHUNK_ROWS", "Scorer"]


CHUNK_ROWS = 16_384
"""Rows that go through the model at once: enough to keep the kernels busy, little enough for long histories."""


class Scorer:
    """A loaded bundle.

    Args:
        bundle: folder that export wrote.
        device: name of the torch device on which the model runs.

    Raises:
        DataError: it is not a bundle, is damaged, or was made by an incompatible release.
    """

    def __init__(self, bundle: Path, *, device: str = "cpu") -> None:
        self._device = torch.device(device)
        self._bundle = open_bundle(bundle, device=self._device)
        model = self._bundle.model
        is_counting = not isinstance(model, Program) and hasattr(model, "score_with_ids")  # since 0.2
        self._known: list[str] = list(model.known) if is_counting else []  # type: ignore[union-attr]

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks, in the order of the scores."""
        return list(self._bundle.tasks)

    @property
    def columns(self) -> list[str]:
        """Raw columns that scoring reads."""
        return input_columns(self._bundle.resolved)

    @property
    def score_columns(self) -> list[str]:
        """Names of the scores in files: `score`, or `score.TASK` for each of several tasks."""
        return ["score"] if len(self.tasks) == 1 else [f"score.{task}" for task in self.tasks]

    def coverage_counter(self) -> CoverageCounter:
        """Return a counter of unknown and missing values; a bundle of a former release tells none that are unknown."""
        return CoverageCounter(self._bundle.resolved, self._known, self._bundle.state.key_kinds)

    @property
    def signature(self) -> Mapping[str, Any]:
        """Content of `signature.json`."""
        return self._bundle.signature

    @property
    def can_rank(self) -> bool:
        """Whether the model takes users with several candidates each; those of former releases do not."""
        return isinstance(self._bundle.model, Program) or hasattr(self._bundle.model, "rank")

    def columns_of(self, *, user: bool) -> list[str]:
        """Return the raw columns of the user, or those of candidates, each once."""
        return list(dict.fromkeys(one["column"] for one in self.signature["inputs"] if one.get("user", False) == user))

    @property
    def aligned(self) -> list[list[str]]:
        """Sequences of which each row must have equally many entries."""
        return self._bundle.resolved.aligned()

    def inputs(self, frame: pl.DataFrame, location: RowLocation | None = None) -> dict[str, np.ndarray]:
        """Return raw rows as the model takes them: int64 or float64, lists as NAME.values and NAME.lengths.

        Raises:
            DataError: as `score`.
        """
        canonical = canonicalize(frame, self._bundle.resolved, self._bundle.state, location)
        return canonical_inputs(canonical)

    def ranking_inputs(
        self, users: pl.DataFrame, candidates: pl.DataFrame, counts: Sequence[int], location: RowLocation | None = None
    ) -> dict[str, np.ndarray]:
        """Return users and their candidates as the model takes them.

        Args:
            users: raw rows of users; columns of candidates are not looked at.
            candidates: raw rows of candidates, one user after another; columns of users are not looked at.
            counts: number of candidates of each user.
            location: source of the candidates, for messages.

        Raises:
            DataError: as `score`.
        """
        inputs = {CANDIDATE_LENGTHS: np.array(counts, dtype=np.int64)}
        sides = [(True, users, RowLocation("user")), (False, candidates, location)]
        for is_user, frame, source in sides:
            names = {one["name"] for one in self.signature["inputs"] if one["user"] == is_user}
            bundle = self._bundle
            inputs |= canonical_inputs(canonicalize(frame, bundle.resolved, bundle.state, source, features=names))
        return inputs

    def score_inputs(self, inputs: Mapping[str, np.ndarray], num_rows: int) -> np.ndarray:
        """Return the probabilities of rows, or of candidates, as the model takes them: (B, T) float64.

        Raises:
            DataError: they do not fit together.
        """
        scores_BT, _ = self._run(self._tensors(inputs), RowLocation(), num_rows)
        return scores_BT.cpu().numpy()

    def golden_ranking(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], int] | None:
        """Return golden rows as users, each with up to seven others as candidates, and the same as plain rows.

        Returns:
            Users and candidates as the model takes them, plain rows as the model takes them, and the number of these;
            None if the golden rows were deleted or the model takes no users.
        """
        path = self._bundle.golden_rows
        if not path.exists() or not self.can_rank:
            return None
        golden = pl.read_parquet(path).drop([output["name"] for output in self.signature["outputs"]])
        return golden_ranking(golden, [one["name"] for one in self.signature["inputs"] if one["user"]])

    def golden_rows(self) -> tuple[dict[str, np.ndarray], np.ndarray] | None:
        """Return the golden rows as the model takes them, and their scores in training; None if they were deleted."""
        path = self._bundle.golden_rows
        if not path.exists():
            return None
        golden = pl.read_parquet(path)
        names = [output["name"] for output in self.signature["outputs"]]
        return canonical_inputs(golden.drop(names)), golden.select(names).to_numpy()

    def score(
        self, frame: pl.DataFrame, location: RowLocation | None = None, *, counter: CoverageCounter | None = None
    ) -> np.ndarray:
        """Return the probabilities of raw rows: (B, T) float64.

        Args:
            frame: the columns that training read (labels not needed), in any order; others are ignored.
            location: source of the rows, for messages.
            counter: counts the rows, if given.

        Raises:
            DataError: a column is missing, or a value is not what the model was trained on.
        """
        location = location or RowLocation()
        chunks = [
            self._score_chunk(
                frame.slice(start, CHUNK_ROWS), location._replace(first_row=location.first_row + start), counter
            )
            for start in range(0, max(frame.height, 1), CHUNK_ROWS)
        ]
        return np.concatenate(chunks)

    def rank(self, user: pl.DataFrame, candidates: pl.DataFrame, location: RowLocation | None = None) -> np.ndarray:
        """Return the probabilities of candidates of one user: (B, T) float64.

        Args:
            user: one raw row; columns of candidates are not looked at.
            candidates: raw rows; columns of the user are not looked at.
            location: source of the candidates, for messages.

        Raises:
            DataError: a column is missing, a value is not what the model was trained on, there is not one user, or the
                bundle was made by a release whose models take no users.
        """
        if user.height != 1:
            raise DataError(f"user: must be one row, got {user.height}")
        if not self.can_rank:
            raise DataError(f"{self._bundle.golden_rows.parent}: takes plain rows only: {EXPORT_AGAIN}")
        location = location or RowLocation()
        chunks = []
        for start in range(0, max(candidates.height, 1), CHUNK_ROWS):
            chunk = candidates.slice(start, CHUNK_ROWS)
            source = location._replace(first_row=location.first_row + start)
            chunks.append(self.score_inputs(self.ranking_inputs(user, chunk, [chunk.height], source), chunk.height))
        return np.concatenate(chunks)

    def score_files(
        self,
        paths: Sequence[Path],
        out: Path,
        *,
        keep: Sequence[str] = (),
        data: DataSection | None = None,
        on_progress: OnProgress = no_progress,
        log: Callable[[str], None] = no_log,
    ) -> int:
        """Score files of any size chunk by chunk, and write the scores in the order of the rows.

        Args:
            paths: parquet, csv, tsv or Arrow files with the same columns. Files without a header may lack the label
                columns: one with just so many fewer columns is read without them.
            out: parquet file to write; it appears when it is complete.
            keep: columns of the input to write before the scores.
            data: how to read the files (format, separator, header); as in training when not given.
            on_progress: called with "scoring", the rows done, and all rows if their number is known.
            log: called at the end with lines about features that have many unknown or missing values.

        Returns:
            The number of rows.

        Raises:
            DataError: a file cannot be read, a column is missing, a value is not what the model was trained on, or
                `out` is one of the files, a folder, or named like a file of another format.
        """
        keep = self._kept(keep)
        check_output(out, paths)
        source = self._open(paths, data)
        schema = _common_schema(source, keep)
        total = source.num_rows()
        num_rows, counter = 0, self.coverage_counter()
        with ParquetFile(out) as file:
            for chunk in source.chunks(list(dict.fromkeys([*self.columns, *keep]))):
                scores_BT = self.score(chunk.frame, chunk.location, counter=counter)
                file.write(self._scored(chunk.frame.select(keep).cast(schema), scores_BT))
                num_rows += chunk.frame.height
                on_progress("scoring", num_rows, total)
            if num_rows == 0:
                file.write(self._scored(pl.DataFrame(schema=schema), np.zeros((0, len(self.tasks)))))
        self._report(counter, name_files(paths), log)
        return num_rows

    def score_frame(
        self, frame: pl.DataFrame, *, keep: Sequence[str] = (), log: Callable[[str], None] | None = None
    ) -> pl.DataFrame:
        """Return the scores of raw rows as columns named `score_columns`, after the columns to `keep`.

        Args:
            frame: as for `score`.
            keep: names of columns.
            log: called with lines about features that have many unknown or missing values; None does not count them.

        Raises:
            DataError: as `score`; or a column to keep is missing, or has the name of a score.
        """
        keep = self._kept(keep)
        for name in keep:
            if name not in frame.columns:
                raise no_column("", name, frame.columns)
        counter = None if log is None else self.coverage_counter()
        scored = self._scored(frame.select(keep), self.score(frame, counter=counter))
        if counter is not None and log is not None:
            self._report(counter, "rows", log)
        return scored

    def coverage(self, frame: pl.DataFrame) -> dict[str, Coverage]:
        """Return how many values of each feature are unknown or missing in raw rows.

        Raises:
            DataError: as `score`.
        """
        counter = self.coverage_counter()
        self.score(frame, counter=counter)
        return counter.finish()

    def unlabelled(self, paths: Sequence[Path]) -> list[Path]:
        """Return the files without a header that are read as having no label columns, since they are short by these.

        Raises:
            DataError: a file is missing or damaged.
        """
        labels = set(self._bundle.resolved.config.labels.values())
        files = [file for file in self._open(paths).files if isinstance(file, CsvFile) and not file.has_header]
        return [file.path for file in files if not labels & set(file.columns)]

    def _kept(self, keep: Sequence[str]) -> list[str]:
        clash = [name for name in keep if name in self.score_columns]
        if clash:
            raise DataError(f"keep: column {clash[0]!r} has the name of a score")
        return list(dict.fromkeys(keep))

    def _open(self, paths: Sequence[Path], data: DataSection | None = None) -> Source:
        config = self._bundle.resolved.config
        return open_source(paths, data or config.data, optional=list(config.labels.values()))

    def _scored(self, kept: pl.DataFrame, scores_BT: np.ndarray) -> pl.DataFrame:
        scores = [pl.Series(name, scores_BT[:, t]) for t, name in enumerate(self.score_columns)]
        return pl.DataFrame([*kept.get_columns(), *scores])

    def _report(self, counter: CoverageCounter, name: str, log: Callable[[str], None]) -> None:
        for line in coverage_report({name: counter.finish()}, self._bundle.resolved):
            log(line)

    def _score_chunk(
        self, frame: pl.DataFrame, location: RowLocation, counter: CoverageCounter | None = None
    ) -> np.ndarray:
        canonical = canonicalize(frame, self._bundle.resolved, self._bundle.state, location)
        scores_BT, ids = self._run(self._tensors(canonical_inputs(canonical)), location, frame.height)
        if counter is not None:
            self._count(counter, frame, canonical, ids)
        return scores_BT.cpu().numpy()

    def _count(
        self, counter: CoverageCounter, frame: pl.DataFrame, canonical: pl.DataFrame, ids: Mapping[str, Tensor]
    ) -> None:
        chunk = counter.start(frame, canonical)
        for field in self._bundle.resolved.fields:
            chunk.count(field, ids[field.name].cpu().numpy() if field.name in ids else None)
        counter.add(chunk)

    def _run(
        self, inputs: dict[str, Tensor], location: RowLocation, num_rows: int
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return the scores of some rows and the ids of the fields in `_known`."""
        model = self._bundle.model
        try:
            with torch.inference_mode():
                if self._known and not isinstance(model, Program) and CANDIDATE_LENGTHS not in inputs:
                    found: tuple[Tensor, dict[str, Tensor]] = model.score_with_ids(inputs)
                    return found
                return model(inputs), {}
        except (torch.jit.Error, InputError) as error:
            problem = str(error).strip().splitlines()[-1].removeprefix("builtins.RuntimeError: ")
            rows = f"rows {location.first_row + 1} to {location.first_row + num_rows}"
            raise DataError(f"{location.source or 'input'}: {rows}: {problem}") from error

    def _tensors(self, inputs: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
        """Copy inputs to where the model runs, for the memory of others may be read-only."""
        return {name: torch.tensor(array, device=self._device) for name, array in inputs.items()}


def _common_schema(source: Source, columns: Sequence[str]) -> pl.Schema:
    """Return types that hold the values of all files, one of which may store integers where another has floats.

    Raises:
        DataError: there is no such column, or no such type.
    """
    schema = pl.Schema()
    for name in columns:
        if name not in source.columns:
            raise no_column(str(source.files[0].path), name, list(source.columns))
        parts = [pl.DataFrame(schema={name: file.columns[name]}) for file in source.files if name in file.columns]
        try:
            schema[name] = pl.concat(parts, how="vertical_relaxed").schema[name]
        except pl.exceptions.SchemaError as error:
            types = ", ".join(dict.fromkeys(str(part.schema[name]) for part in parts))
            raise DataError(f"keep: no type of column {name} holds the values of all files: {types}") from error
    return schema
