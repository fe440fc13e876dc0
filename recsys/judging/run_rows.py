"""The rows that a run was evaluated on."""

from pathlib import Path

from recsys.checksums import inside
from recsys.config import load_run_config
from recsys.data.prepare import prepare
from recsys.data.prepared import PreparedSplit, read_manifest
from recsys.data.splits import SplitName
from recsys.errors import DataError
from recsys.progress import OnProgress, no_progress
from recsys.run_folder import RunFolder

__all__ = ["split_of_run"]


def split_of_run(
    folder: Path,
    name: SplitName,
    *,
    data_dir: Path | None = None,
    cache_dir: Path,
    on_progress: OnProgress = no_progress,
) -> PreparedSplit:
    """Return a split of the data that a run was trained on: as it is prepared in the cache, or prepared anew.

    Args:
        folder: the folder of the run.
        name: the split.
        data_dir: folder that the paths in the run's section `data` are relative to; by default the one of the training.
        cache_dir: folder of prepared data.
        on_progress: called as rows are prepared.

    Raises:
        DataError: the files are gone or hold other rows now, or there are no rows of this split.
    """
    run = RunFolder(folder)
    run.require_run()
    facts = run.read_origin()
    splits = read_manifest(inside(cache_dir, str(facts["prepared"])))
    if splits is None:
        given = run.read_data_dir() if data_dir is None else data_dir
        prepared = prepare(load_run_config(run.config), given, cache_dir, on_progress)
        if not prepared.is_from(facts):
            raise DataError(
                f"{folder}: the files of its section `data` are not those that it was trained on; name files to look at"
            )
        splits = prepared.splits
    if name not in splits or not splits[name].num_rows:
        had = ", ".join(split for split, rows in splits.items() if rows.num_rows)
        raise DataError(f"{folder}: had no {name} rows, only {had}; name another split, or files to look at")
    return splits[name]
