"""Names of the tensors of a checkpoint, as users call them.

In a checkpoint, tensors are named after the state dicts they come from: "model.NAME", and "sparse.state.NAME" for the
state of the tables' optimizer.
"""

__all__ = ["former_name", "plain_name", "present_name", "readable_name", "table_of"]

_FORMER = {"model.dense_arch.": "model.body.", "lookup.unpooled.": "lookup.slots."}
"""Parts of names, and what they were in checkpoints of former versions."""


def former_name(name: str) -> str:
    """Return the name that a tensor had in checkpoints of former versions.

    >>> former_name("model.dense_arch.tower.head.bias")
    'model.body.tower.head.bias'
    """
    for part, former in _FORMER.items():
        name = name.replace(part, former)
    return name


def present_name(name: str) -> str:
    """Return the name that a tensor of a checkpoint of any version has now.

    >>> present_name("model.body.tower.head.bias"), present_name("model.dense_arch.tower.head.bias")
    ('model.dense_arch.tower.head.bias', 'model.dense_arch.tower.head.bias')
    """
    for part, former in _FORMER.items():
        name = name.replace(former, part)
    return name


def readable_name(name: str) -> str:
    """Return what messages call a tensor of a checkpoint.

    >>> readable_name("model.lookup.pooled.embedding_bags.user_table.weight")
    'table user_table'
    >>> readable_name("sparse.state.lookup.pooled.embedding_bags.user_table.weight.user_table.momentum1")
    "momentum1 of table user_table's optimizer"
    >>> readable_name("model.tower.head.bias")
    'tower.head.bias'
    """
    table = table_of(name)
    if table is None:
        return name.removeprefix("model.")
    return f"{name.rsplit('.', 1)[1]} of table {table}'s optimizer" if name.startswith("sparse.") else f"table {table}"


def plain_name(name: str) -> str:
    """Return the name of a model's tensor in a plain `torch.save` file.

    >>> plain_name("model.lookup.pooled.embedding_bags.user_table.weight")
    'user_table.weight'
    >>> plain_name("model.tower.head.bias")
    'tower.head.bias'
    """
    table = table_of(name)
    return name.removeprefix("model.") if table is None else f"{table}.weight"


def table_of(name: str) -> str | None:
    """Return the physical table that a tensor of a checkpoint belongs to; None for tensors of the dense part."""
    _, _, rest = name.partition(".embedding_bags.")
    return rest.split(".", 1)[0] or None
