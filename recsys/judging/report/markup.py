"""HTML by construction: what is not markup already is escaped, so that user data cannot become markup by oversight."""

from collections.abc import Iterable
from html import escape
from typing import TypeAlias

__all__ = ["Content", "Markup", "element", "join"]

_VOID = ("meta", "br", "link")


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Content: TypeAlias = "str | Markup | Iterable[Content]"


def element(name: str, /, *content: Content, **attributes: str) -> Markup:
    """Return an element; a str in it is text, and Markup stays as it is.

    Args:
        name: of the tag.
        content: text, markup, and iterables of them.
        attributes: `_` at the end of a name is left out (`class_`), within it is `-` (`aria_label`).

    >>> element("td", "<script>", element("b", "a & b"), class_="number")
    '<td class="number">&lt;script&gt;<b>a &amp; b</b></td>'
    """
    written = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items())
    return Markup(f"<{name}{written}>" + ("" if name in _VOID else f"{join(*content)}</{name}>"))


def join(*content: Content) -> Markup:
    """Return content one after the other.

    >>> join("1 < 2", [Markup("<br>"), "yes"])
    '1 &lt; 2<br>yes'
    """
    return Markup("".join(_text(one) for one in content))


def _text(content: Content) -> str:
    if isinstance(content, Markup):
        return content
    return escape(content) if isinstance(content, str) else join(*content)
