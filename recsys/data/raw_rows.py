"""The raw rows of a split, in the order of its prepared rows and so of its predictions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.config.resolved import ResolvedConfig
from recsys.data.splits import SPLITS, Cut, NoCut, SplitName, cut_shares, make_cut
from recsys.errors import DataError
from recsys.progress import OnProgress, no_progress
from recsys.sources.find_files import find_files
from recsys.sources.location import RowLocation
from recsys.sources.source import Source, open_source

__all__ = ["RawRows", "SplitChunk", "find_raw_rows"]


class SplitChunk(NamedTuple):
    """Neighbouring rows of one split and one file."""

    frame: pl.DataFrame
    location: RowLocation
    """Source of the chunk of the file that the rows were taken from."""
    places: NDArray[np.intp] | None
    """(rows,) place of each row in that chunk; None if all its rows are of the split."""

    def row(self, position: int) -> int:
        """Return the number of a row in its file, counted from 1."""
        place = position if self.places is None else int(self.places[position])
        return self.location.first_row + place + 1


@dataclass(frozen=True, slots=True)
class RawRows:
    """Raw files, and which of their rows are meant."""

    source: Source
    split: SplitName
    cut: Cut
    """The way in which rows of all splits are told apart; `NoCut` if all of them are meant."""

    def chunks(self, columns: Sequence[str], on_progress: OnProgress = no_progress) -> Iterator[SplitChunk]:
        """Yield some columns of the rows, in order; no other column is read but those that the cut goes by.

        Raises:
            DataError: a file lacks a column, or cannot be read.
        """
        needed = list(dict.fromkeys([*columns, *self.cut.columns]))
        for chunk in self.source.chunks(needed):
            numbers = self.cut.number(chunk)
            frame, places = chunk.frame.select(columns), None
            if numbers is not None:
                places = np.flatnonzero(numbers == SPLITS.index(self.split))
                frame = frame[places]
            yield SplitChunk(frame, chunk.location, places)
            on_progress("columns", chunk.first_row + len(chunk.frame), self.source.num_rows())


def find_raw_rows(
    resolved: ResolvedConfig, data_dir: Path, split: SplitName, on_progress: OnProgress = no_progress
) -> RawRows:
    """Return the raw rows of a split as `prepare` has made it, without a look at files that do not hold any of them.

    Args:
        resolved: the configuration.
        data_dir: relative paths of its section `data` start here.
        split: the split.
        on_progress: called while times are read that rows are split by.

    Raises:
        DataError: a file is missing or cannot be read, or there are no such rows.
    """
    data = resolved.config.data
    given = {"train": data.train, "valid": data.valid, "test": data.test}
    how, shares = cut_shares(data)
    is_cut = given[split] is None or (split == "train" and how is not None)
    paths = data.train if is_cut else given[split]
    if paths is None or (is_cut and split != "train" and not getattr(shares, split)):
        raise DataError(f"data.{split}: there are no such rows: no files are given, and none are cut from data.train")
    name = "train" if is_cut else split
    source = open_source(find_files(paths, data_dir, f"data.{name}"), data)
    cut = make_cut(resolved, how, shares, source, on_progress) if name == "train" else NoCut()
    return RawRows(source, split, cut)
