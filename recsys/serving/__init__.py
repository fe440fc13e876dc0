"""Scoring raw rows with an exported bundle; needs neither lightning nor torchrec."""

from recsys.serving.scorer import Scorer

__all__ = ["Scorer"]
