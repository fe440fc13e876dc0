"""Search methods, one paper a file. A method joins by its class and one line below.

Nothing here imports torch, so that the command line can list the names at once.
"""

from recsys.registry import Registry

__all__ = ["BY_TRIALS", "METHODS"]

BY_TRIALS = "optuna"
"""Name of the method that has no supernet, but trains every candidate: recsys/search/optuna."""
METHODS: Registry[str] = Registry("method")
"""Import paths of all methods by name, in the order in which they are listed to users; `find_method` loads one."""

for _name, _class in {  # one line a method
    "nested": "nested:Nested",
    "dnis": "dnis:Dnis",
    "optembed": "optembed:OptEmbed",
    "pep": "pep:Pep",
    "autodim": "autodim:AutoDim",
    "autosrh": "autosrh:AutoSrh",
}.items():
    METHODS.register(_name, f"{__name__}.{_class}")
