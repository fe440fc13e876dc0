"""A matplotlib figure as SVG within a page: it takes the page's colours and font, and says in words what it shows.

matplotlib draws with stand-in colours, which become CSS variables here: one drawing serves the dark and the light page.
The drawing holds no text of the user's, which stands in the page around it.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from recsys.judging.report.markup import Markup, element, join

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["INK", "LINE", "NUM_COLOURS", "inline_svg", "series_colour", "style"]

INK, LINE = "#010101", "#010102"
"""Stand-ins for the colours of text and of axes."""
NUM_COLOURS = 6

_STAND_INS = {INK: "var(--soft)", LINE: "var(--line)"} | {
    f"#01020{number}": f"var(--c{number})" for number in range(NUM_COLOURS)
}
_STYLE: dict[Any, Any] = {
    "axes.edgecolor": LINE,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "none",
    "font.size": 9,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "patch.linewidth": 0.0,
    "svg.fonttype": "none",
    "svg.hashsalt": "recsys",
    "svg.image_inline": True,
    "text.color": INK,
    "xtick.color": LINE,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.color": LINE,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 8.5,
}
_NAMESPACES = ("{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}")


def series_colour(position: int) -> str:
    """Return the stand-in for the colour of a run."""
    return f"#01020{position % NUM_COLOURS}"


@contextmanager
def style() -> Iterator[None]:
    """Draw the figures of the block in the style of the page, whatever the user's settings of matplotlib are."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def inline_svg(figure: "Figure", *, name: str, title: str, description: str) -> Markup:
    """Return the figure as an <svg> element.

    Args:
        figure: drawn within `style`.
        name: unique in the page; identifiers begin with it.
        title: the name of the picture for those who do not see it.
        description: what it shows, in words.
    """
    file = BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    root = ElementTree.fromstring(file.getvalue())
    view = root.get("viewBox", "")
    drawing = Markup("".join(_written(child, name) for child in root if _tag(child) != "metadata"))
    labels = element("title", title, id=f"{name}-title") + element("desc", description, id=f"{name}-desc")
    attributes = {"viewBox": view, "role": "img", "aria-labelledby": f"{name}-title {name}-desc"}
    return element("svg", Markup(labels), drawing, **attributes)


def _written(node: ElementTree.Element, name: str) -> str:
    """Return a node of matplotlib's SVG as markup, without what the page does not need."""
    tag = _tag(node)
    if tag == "style":
        return ""
    attributes = dict(_attribute(key, value, name) for key, value in node.attrib.items())
    if tag == "g":  # groups are named, and nothing refers to them
        attributes.pop("id", None)
    content = join((node.text or "").strip(), [Markup(_written(child, name)) for child in node])
    if tag == "g" and not attributes:
        return content
    return element(tag, content, **attributes)


def _attribute(key: str, value: str, name: str) -> tuple[str, str]:
    for namespace in _NAMESPACES:
        key = key.removeprefix(namespace)
    if key == "id":
        return key, f"{name}-{value}"
    value = re.sub(r"#(?=[a-z])", f"#{name}-", value) if key in ("href", "clip-path") else value
    for colour, variable in _STAND_INS.items():
        value = value.replace(colour, variable)
    return key, re.sub(r"font: ([\d.]+px) [^;]*", r"font-size: \1", value)


def _tag(node: ElementTree.Element) -> str:
    return str(node.tag).removeprefix(_NAMESPACES[0])
