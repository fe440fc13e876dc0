"""The section of deep hash embeddings."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from recsys.config.limits import Layers, Units, check_weights
from recsys.config.problems import KeyPath
from recsys.config.schemes.base import SizedTable

__all__ = ["DheTable"]


class DheTable(SizedTable):
    """No table: many hashes of the id, through an MLP (deep hash embedding, Kang et al. 2021)."""

    implementation: ClassVar[str | type] = "recsys.embeddings.schemes.dhe:Dhe"
    takes_open: ClassVar[bool] = True
    has_rows: ClassVar[bool] = False
    size_param: ClassVar[str | None] = "width"
    examples: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "": {"width": 2, "hashes": 8, "layers": 1, "dim": 8},
        "full_table": {"width": 2, "hashes": 8, "layers": 1},
    }

    scheme: Literal["dhe"]
    width: Units | None = None
    """Units of each hidden layer, of all features."""
    hashes: Annotated[int, Field(ge=8, le=2**16)] = 1024
    """Hash functions, the inputs of the MLP."""
    layers: Layers = 5
    """Hidden layers."""

    def check(self) -> Iterator[tuple[KeyPath, str]]:
        yield from check_weights("width", (self.width or 0) * (self.hashes + self.layers * (self.width or 0)))
