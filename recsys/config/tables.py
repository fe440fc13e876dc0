"""How embedding tables are shaped: one frozen model for each scheme."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from recsys.config.section import CLASS_PATH, CUSTOM, Dim, Section, chosen_by, tag

__all__ = ["CustomTable", "FullTable", "HashTable", "Table"]


class _Table(Section):
    takes_open: ClassVar[bool] = True
    """Whether features with an open vocabulary may be in such a table."""

    features: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names or globs of the features whose ids this table holds."""
    dim: Dim | None = None
    """Width of one embedding, in floats; `model.dim` when not given. FBGEMM reads multiples of 4."""

    def num_weights(self, num_ids: int, dim: int) -> int | None:
        """Return how many floats the tables hold for so many ids; None if only the scheme itself knows."""
        raise NotImplementedError


class FullTable(_Table):
    """One row for each id of the vocabulary: no collisions, no compression."""

    takes_open: ClassVar[bool] = False

    scheme: Literal["full"] = "full"

    def num_weights(self, num_ids: int, dim: int) -> int:
        return num_ids * dim


class HashTable(_Table):
    """`rows` rows; ids that agree modulo `rows` share one (Weinberger et al. 2009)."""

    scheme: Literal["hash"]
    rows: Annotated[int, Field(ge=1)]
    """Rows of the table, whatever the size of the vocabulary."""

    def num_weights(self, num_ids: int, dim: int) -> int:  # noqa: ARG002
        return self.rows * dim


class CustomTable(_Table):
    """A scheme of the user's own, named `package.module:Class`; other keys are handed to it."""

    model_config = ConfigDict(extra="allow")

    scheme: Annotated[str, Field(pattern=CLASS_PATH)]

    def num_weights(self, num_ids: int, dim: int) -> None:  # noqa: ARG002
        return None

    def parameters(self) -> dict[str, Any]:
        """Return the keys that only the user's own class knows; lists are tuples."""
        return dict(self.model_extra or {})


Table = Annotated[
    Annotated[FullTable, tag("scheme", "full")]
    | Annotated[HashTable, tag("scheme", "hash")]
    | Annotated[CustomTable, tag("scheme", CUSTOM)],
    chosen_by("scheme", default="full"),
]
