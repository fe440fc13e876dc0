"""The key `kept`: a file of the values that have ids of their own."""

from typing import Annotated

from pydantic import Field

from recsys.config.section import BY_SHAPE, Section, shape_tag

__all__ = ["Kept", "KeptFile"]


class KeptFile(Section):
    """A file of keys, as the configuration of a run states it."""

    file: Annotated[str, Field(min_length=1)]
    """Parquet file with the keys in the column `key`; a relative path starts at the YAML file that states it."""
    checksum: str | None = None
    """Checksum of its content, which a run writes down: the file itself may go once the vocabulary is fitted."""


Kept = Annotated[
    Annotated[str, Field(min_length=1), shape_tag("text")] | Annotated[KeptFile, shape_tag("mapping")], BY_SHAPE
]
"""A path, or a mapping with path and checksum."""
