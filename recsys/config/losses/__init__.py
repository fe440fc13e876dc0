"""One section a file: the keys of a loss. The losses live in `recsys.losses`.

`LOSSES` is the one registry of losses. The union of sections in a configuration, its JSON Schema, messages and the
contract suite are made from it.
"""

from typing import Annotated

from recsys.config.losses.base import CustomLoss, LossSection
from recsys.config.section import SectionRegistry
from recsys.registry import load_object

__all__ = ["LOSSES", "AnyLoss", "CustomLoss", "LossSection"]

LOSSES: SectionRegistry[LossSection] = SectionRegistry(
    "loss", key="name", default="logloss", base="recsys.losses.base:Loss", custom=CustomLoss, takes_name=True
)
"""Sections of all losses by name, in the order in which they are listed to users."""
AnyLoss = Annotated[LossSection, LOSSES]

for _section in ("logloss:LogLossSection",):  # one line a loss
    LOSSES.add(load_object(f"{__name__}.{_section}"))
