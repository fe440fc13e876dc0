"""The section of DeepLight's pruning."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from recsys.config.schemes.base import Count, SizedTable

__all__ = ["DeepLightTable"]


class DeepLightTable(SizedTable):
    """Train in full and prune the smallest weights step by step (DeepLight, Deng et al. 2021)."""

    implementation: ClassVar[str | type] = "recsys.embeddings.schemes.deeplight:DeepLight"
    size_param: ClassVar[str | None] = "density"
    num_stages: ClassVar[int] = 2
    needs_whole_tables: ClassVar[bool] = True
    takes_fp16: ClassVar[bool] = False
    examples: ClassVar[Mapping[str, Mapping[str, Any]]] = {"": {"density": 0.2}, "csr": {"density": 0.35}}

    scheme: Literal["deeplight"]
    density: Annotated[float, Field(gt=0, le=1)] | None = None
    """Share of the weights that are kept."""
    ramp: Count | None = None
    """Steps in which the pruned share comes closer to its goal by 1 %; by default half of the epochs reach it."""
