"""The section of unified embeddings (feature multiplexing)."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from recsys.config.limits import DIMS, CountOrZero
from recsys.config.problems import KeyPath
from recsys.config.schemes.base import Count, SizedTable
from recsys.config.section import BY_SHAPE, shape_tag

__all__ = ["UnifiedTable"]

Lookups = Annotated[int, Field(ge=1, le=64)]
LookupsOfFeatures = Annotated[
    Annotated[Lookups, shape_tag("integer")] | Annotated[dict[str, Lookups], shape_tag("mapping")], BY_SHAPE
]


class UnifiedTable(SizedTable):
    """One table for all its features: each reads it under hashes of its own (Coleman et al. 2023)."""

    implementation: ClassVar[str | type] = "recsys.embeddings.schemes.unified:Unified"
    takes_open: ClassVar[bool] = True
    shares_rows: ClassVar[bool] = True
    size_param: ClassVar[str | None] = "rows"
    variants: ClassVar[Mapping[str, Mapping[str, Any]]] = {"probes": {"probes": 2}}
    examples: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "": {"rows": 11},
        "lookups": {"rows": 12, "lookups": {"user": 3, "tags": 2}, "num_tables": 2},
        "probes": {"rows": 6, "probes": 2, "dim": 8, "exact_below": 0},
    }

    scheme: Literal["unified"]
    rows: Count | None = None
    """Rows of the table; of all its tables together with `num_tables`."""
    lookups: LookupsOfFeatures = 1
    """Rows that make one embedding, laid side by side: its width is lookups * dim. By feature, or for all of them."""
    probes: Annotated[int, Field(ge=1, le=DIMS[-1] // DIMS[0])] = 1
    """Cut each row into so many narrower ones, each hashed by itself: same bytes and width, fewer full collisions."""
    exact_below: CountOrZero = 5
    """Vocabularies of at most so many ids keep rows of their own."""
    num_tables: Annotated[int, Field(ge=1, le=1024)] = 1
    """Split the rows into so many equal tables, for sharding."""

    def check_dim(self, dim: int) -> Iterator[tuple[KeyPath, str]]:
        if dim % (4 * self.probes):
            yield ("probes",), f"must divide dim ({dim}) into rows of a multiple of 4 floats, got {self.probes}"

    def embedding_dim(self, feature: str, dim: int) -> int:
        return dim * self.num_lookups(feature)

    def num_lookups(self, feature: str) -> int:
        """Return how many rows of width `dim` make one embedding of a feature."""
        return self.lookups if isinstance(self.lookups, int) else self.lookups.get(feature, 1)

    def named_features(self) -> Iterator[tuple[KeyPath, str]]:
        if isinstance(self.lookups, dict):
            yield from ((("lookups", feature), feature) for feature in self.lookups)
