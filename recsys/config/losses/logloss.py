"""The section of the log loss."""

from typing import ClassVar, Literal

from recsys.config.losses.base import LossSection

__all__ = ["LogLossSection"]


class LogLossSection(LossSection):
    """Binary cross entropy of the sigmoid of the logit."""

    implementation: ClassVar[str | type] = "recsys.losses.logloss:LogLoss"

    name: Literal["logloss"] = "logloss"
