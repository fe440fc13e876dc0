"""Check that the sections of a configuration fit together."""

from collections.abc import Collection, Iterator
from itertools import islice

from recsys.config.assign import assign
from recsys.config.check_calibration import check_calibration
from recsys.config.check_features import check_features
from recsys.config.check_tables import check_tables
from recsys.config.globs import is_glob
from recsys.config.lr_schedules import PlateauLr
from recsys.config.names import check_names
from recsys.config.problems import MAX_PROBLEMS, KeyPath, Problem
from recsys.config.resolved import fields_of
from recsys.config.run import Config, DataSection, TimeSplit
from recsys.config.search_dims import check_search
from recsys.evaluation.metrics import METRICS, resolve_metric

__all__ = ["check"]

MOST_GLOBS = 300
TEXT_KEYS = ("separator", "columns")


def check(config: Config, *, broken: Collection[KeyPath] = ()) -> list[Problem]:
    """Return what is wrong with sections that are each well formed.

    Args:
        config: a configuration with globs, or one whose globs `resolve` has expanded.
        broken: paths of the sections, features and tables that were left out because they are not well formed.
    """
    if problem := _too_many_globs(config):
        return [problem]
    unsure = [str(path[1]) for path in broken if path[0] == "features"]
    problems = list(_names(config))
    problems += islice(check_features(config.features, unsure=unsure), MAX_PROBLEMS + 1)
    problems += _columns(config)
    problems += _data(config.data)
    problems += _negatives(config)
    problems += [Problem(("model", *path), text) for path, text in config.model.check()]
    problems += _training(config, broken)
    problems += _stages(config)
    problems += _calibrated(config)
    fields = list(fields_of(config.features))
    problems += check_calibration(config, fields, unsure=unsure)
    table_of, misnamed = assign(config.tables, fields, unsure=unsure)
    problems += misnamed
    if not any(path[0] == "tables" for path in broken):
        is_model_sound = ("model",) not in broken
        of_tables = check_tables(config, fields, table_of, unsure=unsure, is_model_sound=is_model_sound)
        problems += islice(of_tables, MAX_PROBLEMS + 1)
        problems += islice(check_search(config, fields, table_of, unsure=unsure), MAX_PROBLEMS + 1)
    if config.model.needs_behaviours and not unsure:
        problems += _no_target(config)
    if not unsure and not any(feature.use for feature in config.features.values()):
        problems.append(Problem(("features",), "must have a feature that is used; all have `use: false`"))
    return problems


def _no_target(config: Config) -> Iterator[Problem]:
    """Check that there is a history that a candidate can be held against."""
    used = {name: feature for name, feature in config.features.items() if feature.use}
    sequences = [field for field in fields_of(used) if field.kind == "sequence"]
    if all(field.target is None for field in sequences):
        text = f"{config.model.tower} needs at least one feature of type sequence"
        if sequences:
            text += f" with `of`, whose entries are held against the candidate; {sequences[0].name!r} has none"
        yield Problem(("model", "tower"), text)


def _too_many_globs(config: Config) -> Problem | None:
    """Check that there are few globs, since each is held against all names."""
    entries = [entry for table in config.tables.values() for entry in table.features]
    for key, names in (("features", list(config.features)), ("tables", entries)):
        if (count := sum(map(is_glob, names))) > MOST_GLOBS:
            return Problem((key,), f"must have at most {MOST_GLOBS} names with * or ?, got {count:,}")
    return None


def _names(config: Config) -> Iterator[Problem]:
    tasks = {} if isinstance(config.label, str) else config.label
    yield from check_names("label", tasks, what="task")
    remedy = "; give it another name, and this one as its `column`"
    yield from check_names("features", config.features, what="feature", remedy=remedy)
    yield from check_names("tables", config.tables, what="table")


def _columns(config: Config) -> Iterator[Problem]:
    """Check that no label is also an input."""
    tasks: dict[str, str] = {}
    for task, column in config.labels.items():
        if column in tasks:
            yield Problem(("label", task), f"column {column!r} is already the label of task {tasks[column]!r}")
        tasks.setdefault(column, task)
    for name, feature in config.features.items():
        read = feature.column_of(name)
        if not is_glob(name) and read in tasks:
            key = () if read == name else ("column",)
            yield Problem(("features", name, *key), f"reads the label column {read!r}")
    split = config.data.split
    others: dict[KeyPath, str | None] = {("weight",): config.weight, ("group",): config.group}
    others["data", "split", "column"] = split.column if isinstance(split, TimeSplit) else None
    for path, other in others.items():
        if other in tasks:
            yield Problem(path, f"must not be the label column {other!r}")


def _data(data: DataSection) -> Iterator[Problem]:
    if data.split is not None:
        for key in ("valid", "test"):
            if getattr(data, key) is not None:
                yield Problem(("data", key), "must not be given together with data.split, which cuts data.train")
        if (total := data.split.valid + data.split.test) >= 1:
            yield Problem(("data", "split"), f"valid and test must leave a share for training, got {total:g} in sum")
    if data.format in ("parquet", "arrow"):
        wrong = [key for key in TEXT_KEYS if getattr(data, key) is not None] + ["header"] * (not data.header)
        yield from (Problem(("data", key), f"has no effect with format {data.format}; leave it out") for key in wrong)
    elif data.header and data.columns is not None:
        yield Problem(("data", "columns"), "is for files without a header; leave it out, or add `header: false`")
    elif not data.header and data.columns is None:
        yield Problem(("data", "header"), "files without a header need data.columns, the names of the columns")
    for index, name in enumerate(data.columns or ()):
        if name in (data.columns or ())[:index]:
            yield Problem(("data", "columns", index), f"{name!r} is listed twice")


def _negatives(config: Config) -> Iterator[Problem]:
    """Check that there is one task: a row that is positive for another task would have to stay, and the odds be off."""
    if config.data.negative_rate is not None and len(config.labels) > 1:
        text = (
            f"is for one task, got {', '.join(config.labels)}: a negative of one that is a positive of another would "
            "stay, so that the odds would not be off by the rate alone; train a model for each"
        )
        yield Problem(("data", "negative_rate"), text)


def _training(config: Config, broken: Collection[KeyPath]) -> Iterator[Problem]:
    stopping, schedule = config.train.early_stopping, config.train.lr_schedule
    if stopping and config.group is None and ("group",) not in broken:
        name = resolve_metric(stopping.metric)
        if METRICS[name].needs_group:
            text = f"{name} needs `group`, the column to group rows by"
            yield Problem(("train", "early_stopping", "metric"), text)
    if stopping and isinstance(schedule, PlateauLr) and schedule.patience >= stopping.patience:
        text = f"must be less than early_stopping.patience ({stopping.patience}), got {schedule.patience}"
        yield Problem(("train", "lr_schedule", "patience"), f"{text}: training would stop first")


def _calibrated(config: Config) -> Iterator[Problem]:
    """Check that epochs are compared by their probabilities, and that no table has stages of its own."""
    train, path = config.train, ("train", "calibrated")
    if train.calibrated is None:
        return
    if train.early_stopping is None or train.early_stopping.metric not in ("logloss", "ne"):
        text = "needs `early_stopping: {metric: logloss}`: epochs are compared by how good their probabilities are"
        yield Problem(path, text)
    if train.epochs < 2:
        yield Problem(
            ("train", "epochs"), f"must be at least 2 with train.calibrated, a second stage, got {train.epochs}"
        )
    staged = _staged_tables(config)
    if staged:
        yield Problem(path, f"cannot be combined with tables that have stages of their own, got {', '.join(staged)}")


def _staged_tables(config: Config) -> list[str]:
    """Return the tables that are trained in several stages, with their schemes."""
    return [f"{name} ({table.scheme})" for name, table in config.tables.items() if table.num_stages > 1]


def _stages(config: Config) -> Iterator[Problem]:
    """Check that each stage in which a table is trained gets an epoch."""
    staged = {name: table for name, table in config.tables.items() if table.num_stages > config.train.epochs}
    if staged:
        needed = max(table.num_stages for table in staged.values())
        names = ", ".join(f"{name} ({table.scheme})" for name, table in staged.items())
        text = f"must be at least {needed}, got {config.train.epochs}: trained in {needed} stages are tables {names}"
        yield Problem(("train", "epochs"), text)
