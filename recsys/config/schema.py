"""The file format as JSON Schema, for editors that complete and check YAML."""

from typing import Any

from recsys.config.run import Config

__all__ = ["json_schema"]


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a configuration file, with descriptions and `include`.

    It knows no references between names; `load_config` checks those.
    """
    schema = Config.model_json_schema(mode="validation")
    del schema["required"]
    schema["properties"] = {
        "include": {
            "description": "Files to lay this one over, relative to it: mappings are merged, all else is replaced.",
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
        },
        **schema["properties"],
    }
    schema["anyOf"] = [{"required": ["include"]}, {"required": ["label", "features"]}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "recsys configuration"}
