"""Write a checked configuration as YAML."""

import io
from typing import Any

from pydantic import BaseModel
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq

from recsys.config.resolved import ResolvedConfig
from recsys.config.run import Config
from recsys.config.section import UNIONS

__all__ = ["dump", "plain"]


def dump(config: Config | ResolvedConfig) -> str:
    """Write a configuration with all of its defaults; loading the text gives an equal one.

    >>> from recsys.config import Config
    >>> config = Config.model_validate({"label": "click", "features": {"NO": {"type": "number"}}})
    >>> dump(config).splitlines()[:4]
    ['label: click', 'features:', '  NO:', '    type: number']
    """
    yaml = YAML()
    yaml.width = 2**31  # never fold a text
    text = io.StringIO()
    yaml.dump(plain(config.config if isinstance(config, ResolvedConfig) else config), text)
    return text.getvalue()


def plain(value: Any) -> Any:
    """Return mappings and lists of scalars, without the keys whose default is nothing."""
    if isinstance(value, BaseModel):
        fields = {**value.__dict__, **(value.model_extra or {})}
        first = [union.key for union in UNIONS if union.key in fields]
        return {
            key: plain(fields[key])
            for key in dict.fromkeys([*first, *fields])
            if fields[key] is not None or not _is_nothing_by_default(value, key)
        }
    if isinstance(value, dict):
        return {key: plain(child) for key, child in value.items()}
    if isinstance(value, tuple):
        items = CommentedSeq(plain(item) for item in value)
        items.fa.set_flow_style()
        return items
    return value


def _is_nothing_by_default(section: BaseModel, key: str) -> bool:
    field = type(section).model_fields.get(key)
    return field is not None and field.default is None
