"""One section a file: the keys of a tower and the facts that others ask about it. The towers live in `recsys.towers`.

`TOWERS` is the one registry of towers. The union of sections in a configuration, its JSON Schema, messages, the
contract suite and the tables of the documentation are made from it.
"""

from typing import Annotated

from recsys.config.section import SectionRegistry
from recsys.config.towers.base import Activation, CustomModel, MlpSection, TowerSection
from recsys.registry import load_object

__all__ = ["TOWERS", "Activation", "CustomModel", "MlpSection", "Model", "TowerSection"]

TOWERS: SectionRegistry[TowerSection] = SectionRegistry(
    "tower", key="tower", default="mlp", base="recsys.towers.base:Tower", custom=CustomModel
)
"""Sections of all towers by name, in the order in which they are listed to users."""
Model = Annotated[TowerSection, TOWERS]

for _section in (  # one line a tower
    "lr:LrModel",
    "fm:FmModel",
    "mlp:MlpModel",
    "autoint:AutoIntModel",
    "din:DinModel",
):
    TOWERS.add(load_object(f"{__name__}.{_section}"))
