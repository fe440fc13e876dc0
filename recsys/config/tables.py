"""How embedding tables are shaped: one frozen model for each scheme."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from recsys.config.features import Section

__all__ = ["CustomTable", "FullTable", "HashTable", "Table"]


class _Table(Section):
    features: Annotated[tuple[str, ...], Field(min_length=1)]
    """Names or globs of the features whose ids this table holds."""
    dim: Annotated[int, Field(ge=4, le=1024, multiple_of=4)] | None = None
    """Width of one embedding, in floats; `model.dim` when not given. FBGEMM reads multiples of 4."""


class FullTable(_Table):
    """One row for each id of the vocabulary: no collisions, no compression."""

    scheme: Literal["full"] = "full"


class HashTable(_Table):
    """`rows` rows; ids that agree modulo `rows` share one (Weinberger et al. 2009)."""

    scheme: Literal["hash"]
    rows: Annotated[int, Field(ge=1)]


class CustomTable(_Table):
    """A scheme of the user's own, named `package.module:Class`; other keys are handed to it."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    scheme: Annotated[str, Field(pattern=r"^[\w.]+:\w+$")]

    def parameters(self) -> dict[str, Any]:
        """Return the keys that only the user's own class knows."""
        return dict(self.model_extra or {})


Table = FullTable | HashTable | CustomTable
