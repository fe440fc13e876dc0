"""`type: sequence` in the exported graph."""

from recsys.config.feature_types import SequenceFeature
from recsys.export.types.base import ExportedFeature

__all__ = ["ExportedSequence"]


class ExportedSequence(ExportedFeature[SequenceFeature]):
    """The keys of a row -> their ids, by the encoder of the feature that they are values of."""
