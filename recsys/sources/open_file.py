"""Choose the reader of a file by its name or by `data.format`."""

from collections.abc import Sequence
from pathlib import Path

from recsys.config.run import DataSection
from recsys.errors import DataError
from recsys.sources.arrow_file import ArrowFile
from recsys.sources.csv_file import CsvFile
from recsys.sources.parquet_file import ParquetFile
from recsys.sources.raw_file import RawFile

__all__ = ["open_file"]

_FORMATS = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".tsv": "tsv", ".txt": "tsv"}
_FORMATS |= {".arrow": "arrow", ".arrows": "arrow", ".ipc": "arrow", ".feather": "arrow"}


def open_file(path: Path, data: DataSection, *, optional: Sequence[str] = ()) -> RawFile:
    """Open a file as the format that its name or `data.format` says.

    Args:
        path: the file.
        data: format, separator, header and column names.
        optional: columns that a csv file without a header may lack, all of them at once.

    Raises:
        DataError: the file is missing, damaged, or of an unknown format.
    """
    if path.is_dir():
        raise DataError(f"{path} is a folder; name one of its files")
    if not path.is_file():
        raise DataError(f"there is no file {path}")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] in ([".gz"], [".zst"], [".bz2"]):
        suffixes.pop()
    null_values = data.null_values or ()
    form = data.format or _FORMATS.get(suffixes[-1] if suffixes else "")
    if form == "parquet":
        return ParquetFile(path, null_values)
    if form == "arrow":
        return ArrowFile(path, null_values)
    if form is None:
        known = ", ".join(sorted(_FORMATS))
        raise DataError(
            f"{path}: the format does not follow from the name; set data.format (recsys init: --format), "
            f"or end the name in {known}"
        )
    separator = data.separator or ("," if form == "csv" else "\t")
    names = None if data.header else data.columns
    return CsvFile(
        path,
        separator=separator,
        quoted=form == "csv",
        names=names,
        optional=optional,
        null_values=null_values,
    )
