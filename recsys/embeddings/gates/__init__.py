"""Gates, one paper a file: what a search multiplies the rows of an embedding table by.

README.md lists them. A gate joins by its class, its section in the same file, and one line below.
"""

from recsys.embeddings.gates.base import GATES
from recsys.registry import load_object

__all__: list[str] = []

for _section in (  # one line a gate
    "dnis:DnisGate",
    "nested:NestedGate",
    "optembed:OptEmbedGate",
    "pep:PepGate",
    "autodim:AutoDimGate",
    "autosrh:AutoSrhGate",
):
    GATES.add(load_object(f"{__name__}.{_section}"))
