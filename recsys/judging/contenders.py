"""The models that are compared: runs or files of predictions, one for each seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path
from typing import Literal

from recsys.config import dump, load_run_config
from recsys.config.seeds import with_seed
from recsys.errors import DataError
from recsys.evaluation.paired import SeedPredictions, check_same_rows
from recsys.evaluation.predictions import ScoreColumns, read_predictions
from recsys.judging.run_predictions import predictions_of_run
from recsys.run_folder import RunFolder

__all__ = ["Contender", "read_contenders"]


@dataclass(frozen=True, slots=True, eq=False)
class Contender:
    """A model that is compared with others."""

    name: str
    """A run, a file, or a pattern of several, as the user wrote it."""
    paths: tuple[Path, ...]
    """Runs or files, one for each seed."""
    seeds: tuple[SeedPredictions, ...]
    """The predictions of each."""


def read_contenders(names: Sequence[str], *, split: Literal["test", "valid"], columns: ScoreColumns) -> list[Contender]:
    """Read the predictions of several models for the same rows.

    Args:
        names: folders of runs or parquet files; a pattern such as "runs/a-seed-*" is one model with a run for each
            seed.
        split: the rows of runs that are compared.
        columns: columns of files.

    Raises:
        DataError: there are fewer than two; one is not there, or has no predictions; the runs of one model are of
            different configurations; or rows differ.
    """
    if len(names) < 2:
        raise DataError(f"compare: needs at least two runs or files of predictions, got {len(names)}{_hint(names)}")
    paths = [_find(name) for name in names]
    _refuse_twice(names, paths)
    for name, found in zip(names, paths, strict=True):
        _check_one_model(name, [path for path in found if path.is_dir()])
    contenders = [
        Contender(name.rstrip("/"), tuple(found), tuple(_read(path, split, columns) for path in found))
        for name, found in zip(names, paths, strict=True)
    ]
    _check_same_rows(contenders)
    return contenders


def _hint(names: Sequence[str]) -> str:
    return "; give each model a pattern of its own" if any(map(has_magic, names)) else ""


def _find(name: str) -> list[Path]:
    """Return the runs or files of one model, in the order of their names, numbers by size."""
    path = Path(name)
    if path.exists():
        return [path]
    if not has_magic(name):
        raise DataError(f"{name}: there is no such file")
    found = sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))), key=_by_number)
    if not found:
        raise DataError(f"{name}: no run or file has a name like this")
    return found


def _by_number(path: Path) -> tuple[str, int]:
    text = str(path)
    digits = text[len(text.rstrip("0123456789")) :]
    return text.removesuffix(digits), int(digits or 0)


def _refuse_twice(names: Sequence[str], paths: Sequence[Sequence[Path]]) -> None:
    """Refuse a run that is compared with itself."""
    owner: dict[Path, str] = {}
    for name, found in zip(names, paths, strict=True):
        for path in found:
            if path.resolve() in owner:
                raise DataError(f"{path}: is part of {owner[path.resolve()]!r} and of {name!r}; compare different runs")
            owner[path.resolve()] = name


def _check_one_model(name: str, runs: Sequence[Path]) -> None:
    """Refuse runs that differ in more than their seed, or not in that: their spread would not be that of the seeds."""
    if len(runs) < 2:
        return
    seeds: dict[int, Path] = {}
    texts = []
    for path in runs:
        RunFolder(path).require_run()
        config = load_run_config(RunFolder(path).config)
        seed = config.train.seed
        if seed in seeds:
            raise DataError(f"{name}: {seeds[seed]} and {path} both have train.seed {seed}; train other seeds")
        seeds[seed] = path
        texts.append(dump(with_seed(config, 0)))
    for path, text in zip(runs, texts, strict=True):
        if text != texts[0]:
            pairs = zip(texts[0].splitlines(), text.splitlines(), strict=False)
            first = next((f": {a.strip()!r}, {b.strip()!r}" for a, b in pairs if a != b), "")
            raise DataError(
                f"{name}: {runs[0]} and {path} are of different configurations{first}; the runs of one model may "
                "differ in train.seed only"
            )


def _read(path: Path, split: Literal["test", "valid"], columns: ScoreColumns) -> SeedPredictions:
    return predictions_of_run(path, split) if path.is_dir() else read_predictions(path, **columns._asdict())


def _check_same_rows(contenders: Sequence[Contender]) -> None:
    every = [seed for contender in contenders for seed in contender.seeds]
    paths = [path for contender in contenders for path in contender.paths]
    tasks = list(every[0])
    for path, seed in zip(paths, every, strict=True):
        if set(seed) != set(tasks):
            raise DataError(
                f"{path}: cannot be compared with {paths[0]}: its labels are {_named(seed)}, those of the other "
                f"{_named(every[0])}"
            )
    for task in tasks:
        for path, seed in zip(paths[1:], every[1:], strict=True):
            try:
                check_same_rows([every[0][task], seed[task]])
            except DataError as error:
                raise DataError(f"{error}{_other_data(paths[0], path)}") from error


def _named(seed: SeedPredictions) -> str:
    return ", ".join(task or "one" for task in seed)


def _other_data(first: Path, other: Path) -> str:
    """Say why the rows of two runs differ."""
    if not (first.is_dir() and other.is_dir()):
        return ""
    facts = [RunFolder(path).read_origin() for path in (first, other)]
    if facts[0]["prepared"] == facts[1]["prepared"]:
        return ""
    seeds = [load_run_config(RunFolder(path).config).train.seed for path in (first, other)]
    remedy = "; a random split follows train.seed: set data.split.seed to keep it" if seeds[0] != seeds[1] else ""
    return f". The two runs are of different data{remedy}"
