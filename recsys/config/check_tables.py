"""Checks of tables that types cannot express: features that a scheme cannot hold, and widths that do not fit."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from recsys.config.feature_types import Field
from recsys.config.globs import is_glob, overlaps
from recsys.config.problems import KeyPath, Problem, did_you_mean
from recsys.config.run import Config
from recsys.config.schemes import SCHEMES, TableSection
from recsys.config.towers.base import TowerSection

__all__ = ["check_tables"]


def check_tables(
    config: Config,
    fields: Sequence[Field],
    table_of: Mapping[str, str],
    *,
    unsure: Collection[str] = (),
    is_model_sound: bool = True,
) -> Iterator[Problem]:
    """Yield what is wrong with each table.

    Args:
        config: as loaded, or with its globs expanded.
        fields: of its features, those included that are not used.
        table_of: each vocabulary's table.
        unsure: features that exist, but could not be read.
        is_model_sound: `model` could be read.
    """
    off = {field.name for field in fields if not config.features[field.feature].use}
    unsure = [*unsure, *off]
    fields = [field for field in fields if field.name not in off]
    idle = set(table_of.values())
    table_of = {owner: table for owner, table in table_of.items() if owner not in off}
    idle -= set(table_of.values())
    owners = [field for field in fields if field.vocabulary == field.name]
    for field in owners:
        yield from _open(config, field, table_of)
    free = [field.name for field in owners if field.name not in table_of]
    for name in free:
        if name in config.tables:
            yield Problem(("tables", name), f"is also the name of the table that feature {name!r} has for itself")
    yield from _alike([*config.tables, *(name for name in free if not is_glob(name))])
    for name, table in config.tables.items():
        held = [field.name for field in owners if table_of.get(field.name) == name]
        for key, feature in table.named_features():
            if text := _misnamed(feature, held, fields, unsure):
                yield Problem(("tables", name, *key), text)
        yield from (Problem(("tables", name, *key), text) for key, text in table.check())
        yield from _sharding(("tables", name), table, config.train.sparse_optimizer.name)
        if is_model_sound:
            dim = table.dim or config.model.dim
            yield from (Problem(("tables", name, *key), text) for key, text in table.check_dim(dim))
    if is_model_sound:
        tables = {name: table for name, table in config.tables.items() if name not in idle}
        yield from _dims(config.model, tables, table_of, any(not is_glob(name) for name in free))


def _alike(names: Sequence[str]) -> Iterator[Problem]:
    """Check that tables differ in more than dots and slashes, which are the same in the names of tensors."""
    first: dict[str, str] = {}
    for name in names:
        other = first.setdefault(name.replace(".", "/"), name)
        if other != name:
            text = f"is table {other!r} with dots for slashes, which checkpoints cannot tell apart; rename one of them"
            yield Problem(("tables", name), text)


def _open(config: Config, field: Field, table_of: Mapping[str, str]) -> Iterator[Problem]:
    """Check that an open vocabulary is in a table that takes one."""
    table = config.tables.get(table_of.get(field.name, ""))
    if not field.open or (table is not None and table.takes_open):
        return
    names = ", ".join(name for name, section in SCHEMES.items() if section.takes_open)
    got = f"table {table_of[field.name]!r}, which is {table.scheme}" if table else "none"
    path = ("features", field.feature, "vocabulary")
    yield Problem(path, f"an open vocabulary needs a table with one of the schemes {names}, got {got}")


def _misnamed(feature: str, held: Sequence[str], fields: Sequence[Field], unsure: Collection[str]) -> str:
    """Say why a name is no feature of its table; "" if it is, or may be one."""
    if is_glob(feature):
        return f"must name one feature, got the glob {feature!r}"
    if any(overlaps(feature, name) for name in (*held, *unsure)):
        return ""
    field = next((field for field in fields if field.name == feature), None)
    if field is not None and field.target is not None:
        return f"{feature!r} is a sequence and reads the rows of {field.target!r}; name that instead"
    return f"no feature {feature!r} in this table{did_you_mean(feature, held)}"


def _sharding(path: KeyPath, table: TableSection, optimizer: str) -> Iterator[Problem]:
    """Check that rows may lie as they are asked to."""
    if not table.has_rows:
        given = [key for key in ("sharding", "placement") if getattr(table, key) is not None]
        for key in given + ["precision"] * (table.precision != "fp32"):
            text = f"has no effect on scheme {table.scheme}, which keeps its parameters on every device; leave it out"
            yield Problem((*path, key), text)
        return
    if table.needs_whole_tables and table.sharding not in (None, "table_wise"):
        text = f"scheme {table.scheme} trains on the whole table, so it must be table_wise, got {table.sharding}"
        yield Problem((*path, "sharding"), text)
    if table.needs_whole_tables and table.placement == "uvm_caching":
        text = f"scheme {table.scheme} changes rows between steps, of which a cache would hold others; take uvm or hbm"
        yield Problem((*path, "placement"), text)
    if not table.needs_whole_tables and table.sharding in ("column_wise", "grid") and optimizer == "rowwise_adagrad":
        text = (
            f"{table.sharding} splits rows, of which sparse_optimizer rowwise_adagrad keeps one state each; "
            "take sparse_optimizer adagrad, or sharding row_wise"
        )
        yield Problem((*path, "sharding"), text)
    if table.serving_weight_bytes > table.weight_bytes:
        text = f"rows of {table.precision} have no more to serve, got {table.served_precision}"
        yield Problem((*path, "serving_precision"), text)
    if table.serving_weight_bytes < table.weight_bytes and table.placement == "uvm_caching":
        text = "rows are rounded before validation, when a cache would hold others; take uvm or hbm"
        yield Problem((*path, "placement"), text)
    if table.precision == "fp16" and not table.takes_fp16:
        text = f"scheme {table.scheme} trains on the bits of 32-bit floats, so it must be fp32, got fp16"
        yield Problem((*path, "precision"), text)


def _dims(
    model: TowerSection, tables: Mapping[str, TableSection], table_of: Mapping[str, str], has_own_tables: bool
) -> Iterator[Problem]:
    """Check that a tower which multiplies embeddings gets equally wide ones."""
    if not model.needs_equal_dims:
        return
    dims: dict[str, int] = {}
    for name, table in tables.items():
        dims |= _widths(name, table, table.dim or model.dim, [owner for owner in table_of if table_of[owner] == name])
    if has_own_tables:
        dims["all others"] = model.dim
    if len(set(dims.values())) > 1:
        got = ", ".join(f"{name} {dim}" for name, dim in dims.items())
        yield Problem(("model", "tower"), f"{model.tower} needs one dim for all tables, got {got}")


def _widths(name: str, table: TableSection, dim: int, owners: Sequence[str]) -> dict[str, int]:
    """Return the widths of a table's embeddings, each once, by the table or by the first feature that has it."""
    if not owners and any(table.named_features()):
        return {}  # it is not known which of its widths are used
    first: dict[int, str] = {}
    for owner in owners or [name]:
        first.setdefault(table.embedding_dim(owner, dim), owner)
    return {name if len(first) == 1 else f"{name} ({owner})": width for width, owner in first.items()}
