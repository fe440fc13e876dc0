"""Tables of what schemes, towers and losses can do, from the registries: `python -m tests.capabilities` prints them."""

from recsys.config.losses import LOSSES
from recsys.config.schemes import SCHEMES, TableSection
from recsys.config.section import Section
from recsys.config.towers import TOWERS, TowerSection

__all__ = ["loss_table", "scheme_table", "tower_table"]


def scheme_table() -> str:
    """Return the table of schemes, as Markdown."""
    head = ["scheme", "what it does", "size parameter", "open ids", "features share rows", "stages", "rows"]
    return _table(head, [[f"`{name}`", _summary(section), *_scheme(section)] for name, section in SCHEMES.items()])


def _scheme(section: type[TableSection]) -> list[str]:
    if not section.has_rows:
        rows = "none: its parameters are on every device"
    elif section.needs_whole_tables:
        rows = "whole on one device"
    else:
        rows = "sharded"
    size_param = f"`{section.size_param}`" if section.size_param else ""
    return [size_param, _yes(section.takes_open), _yes(section.shares_rows), str(section.num_stages), rows]


def tower_table() -> str:
    """Return the table of towers, as Markdown."""
    head = ["tower", "what it is", "histories", "equal widths", "reads features by weights of their own"]
    return _table(head, [[f"`{name}`", _summary(section), *_tower(section)] for name, section in TOWERS.items()])


def _tower(section: type[TowerSection]) -> list[str]:
    histories = "needs one" if section.needs_behaviours else "entry by entry" if section.uses_behaviours else "pooled"
    return [histories, "needs them" if section.needs_equal_dims else "", _yes(not section.reads_alike)]


def loss_table() -> str:
    """Return the table of losses, as Markdown."""
    return _table(["loss", "what it is"], [[f"`{name}`", _summary(section)] for name, section in LOSSES.items()])


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _summary(section: type[Section]) -> str:
    """Return the first sentence of a section's docstring, on one line."""
    first = (section.__doc__ or "").split("\n\n")[0]
    return " ".join(first.split()).rstrip(".")


def _yes(fact: bool) -> str:
    return "yes" if fact else ""


if __name__ == "__main__":
    print(scheme_table(), tower_table(), loss_table(), sep="\n\n")
