"""Raw files of any format as one sequence of rows, read in chunks of bounded size."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from recsys.config.run import DataSection
from recsys.errors import DataError
from recsys.sources.column_types import column_type, first_typed
from recsys.sources.csv_file import CsvFile
from recsys.sources.location import RowLocation, no_column
from recsys.sources.open_file import open_file
from recsys.sources.raw_file import RawFile

__all__ = ["FRAME_ROWS", "RowChunk", "Source", "open_source"]

FRAME_ROWS = 2**17
"""Rows of one frame: 40 columns of it, raw and encoded, take about 100 MB."""


class RowChunk(NamedTuple):
    """Some neighbouring rows of one file."""

    frame: pl.DataFrame
    location: RowLocation
    first_row: int
    """Number of rows before this chunk in all files together."""


class Source:
    """Files that are read one after another as if they were one.

    Attributes:
        files: at least one.
        columns: column of the first file -> type, as in the first file that has a type for it: a column without any
            value has none. All columns of csv files are text.
    """

    def __init__(self, files: Sequence[RawFile], other_types: Mapping[str, str] | None = None) -> None:
        self.files = tuple(files)
        self.columns = first_typed([file.columns for file in self.files])
        self._other_types = other_types or {}

    def after(self, first: "Source") -> "Source":
        """Return these files, whose errors say where `first`, which tells how values are read, has another type."""
        told = {
            column: f"; in {first._path_of_type(column)} it is {expected}"
            for column, expected in first.columns.items()
            if column in self.columns and not column_type(self.columns[column]).agrees_with(column_type(expected))
        }
        return Source(self.files, told)

    def num_rows(self) -> int | None:
        """Return the number of rows of all files, None if only reading them would tell (csv)."""
        counts = [file.num_rows() for file in self.files]
        return None if None in counts else sum(count for count in counts if count is not None)

    def frames(self, columns: Sequence[str], rows: int = FRAME_ROWS) -> Iterator[pl.DataFrame]:
        """Yield `columns` of all rows in order, at most `rows` at a time; a frame never spans two files.

        Raises:
            DataError: a file lacks a column, has it with another type than another file, or cannot be read.
        """
        return (chunk.frame for chunk in self.chunks(columns, rows))

    def chunks(self, columns: Sequence[str], rows: int = FRAME_ROWS) -> Iterator[RowChunk]:
        """Yield the frames, each with its location."""
        for file in self.files:
            self._check(file, columns)
        first_row = 0
        for file in self.files:
            first_of_file = first_row
            for frame in file.frames(columns, rows):
                location = RowLocation(str(file.path), first_row - first_of_file, self._other_types)
                yield RowChunk(frame, location, first_row)
                first_row += len(frame)

    def _check(self, file: RawFile, columns: Sequence[str]) -> None:
        for column in columns:
            if column not in file.columns:
                raise no_column(str(file.path), column, list(file.columns))
            found, expected = file.columns[column], self.columns.get(column)
            if expected is None:
                raise no_column(str(self.files[0].path), column, list(self.columns))
            if not column_type(found).agrees_with(column_type(expected)):
                first = self._path_of_type(column)
                raise DataError(f"{file.path}: column {column}: expected {expected} as in {first}, it holds {found}")

    def _path_of_type(self, column: str) -> Path:
        """Return the first file that has a type for a column."""
        return next(one.path for one in self.files if one.columns.get(column) == self.columns[column])


def open_source(paths: Sequence[Path], data: DataSection, *, optional: Sequence[str] = ()) -> Source:
    """Open files without reading their rows.

    Args:
        paths: existing files, in the order of their rows.
        data: format, separator, header and column names.
        optional: columns that a csv file without a header may lack, all of them at once: a file with just so many
            fewer columns than `data.columns` is read without them.

    Raises:
        DataError: a file is missing, damaged, of an unknown format, or a csv header differs from the first file's.
    """
    files = [open_file(path, data, optional=optional) for path in paths]
    for file in files[1:]:
        if isinstance(file, CsvFile) and file.has_header and file.held != files[0].held:
            names = ", ".join(file.held)
            raise DataError(f"{file.path}: expected the header of {files[0].path}, got {names}")
    return Source(files)
