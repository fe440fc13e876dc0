"""`type: id`: one categorical value a row."""

from typing import ClassVar, Literal

from recsys.config.feature_types.vocabulary import VocabularySection

__all__ = ["IdFeature"]


class IdFeature(VocabularySection):
    """A categorical column with one value a row (string, integer, boolean)."""

    implementation: ClassVar[str | type] = "recsys.features.types.id:Id"
    exported: ClassVar[str] = "recsys.export.types.id:ExportedId"
    has_keys: ClassVar[bool] = True
    can_be_referenced: ClassVar[bool] = True

    type: Literal["id"]
