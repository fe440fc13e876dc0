"""What all sections of the file share: strictness, and how a key chooses between several kinds of section.

A union of sections is written as `Annotated[Annotated[A, tag("type", "a")] | ..., chosen_by("type")]`, so that only the
chosen kind's problems are reported. Tags are spelled KEY=VALUE: the messages take both from there.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from recsys.registry import CLASS_PATH, CUSTOM

__all__ = ["BY_SHAPE", "CLASS_PATH", "CUSTOM", "DIMS", "Dim", "Section", "chosen_by", "shape_tag", "tag"]

DIMS = range(4, 1025, 4)
"""Widths of embeddings that FBGEMM reads."""
Dim = Annotated[int, Field(ge=DIMS[0], le=DIMS[-1], multiple_of=DIMS.step)]


class Section(BaseModel):
    """Base of all sections of the file: unknown keys are errors, objects do not change."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


def tag(key: str, value: str) -> Tag:
    """Mark the kind of section that `key: value` chooses."""
    return Tag(f"{key}={value}")


def chosen_by(key: str, *, default: str = "") -> Discriminator:
    """Choose the kind of section by the value of `key`; a value with a colon names a class of the user's own."""

    def choose(value: Any) -> str:
        name = value.get(key, default) if isinstance(value, Mapping) else getattr(value, key, "")
        return f"{key}={CUSTOM if isinstance(name, str) and ':' in name else name}"

    return Discriminator(choose)


def shape_tag(shape: str) -> Tag:
    """Mark what a value of this shape (text, integer, list, mapping) is read as."""
    return tag("shape", shape)


def _shape(value: Any) -> str:
    names = {bool: "boolean", int: "integer", str: "text", dict: "mapping", tuple: "list", list: "list"}
    return f"shape={names.get(type(value), 'other')}"


BY_SHAPE = Discriminator(_shape)
"""Chooses by what the value is, e.g. one path or a list of paths."""
