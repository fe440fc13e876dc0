"""`recsys schema`."""

import json

__all__ = ["schema"]


def schema() -> None:
    """Print the JSON Schema of the configuration, for editors.

    Example: `recsys schema > recsys.schema.json`, then begin a file with
    `# yaml-language-server: $schema=recsys.schema.json`
    """
    from recsys.config import json_schema

    print(json.dumps(json_schema(), indent=2))
