"""Search methods, one paper a file. A method joins by its class and one line below."""

from recsys.registry import Registry, load_object
from recsys.search.methods.base import Method

__all__ = ["METHODS"]

METHODS: Registry[type[Method]] = Registry("method")
"""Classes of all methods by name, in the order in which they are listed to users."""

for _method in (  # one line a method
    "nested:Nested",
    "dnis:Dnis",
    "optembed:OptEmbed",
):
    _class: type[Method] = load_object(f"{__name__}.{_method}")
    METHODS.register(_class.name, _class)
