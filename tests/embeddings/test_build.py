import time

import pytest
import torch

from recsys.config import resolve
from recsys.config.load import parse_config
from recsys.embeddings.build import build_schemes
from recsys.embeddings.layout import Layout
from recsys.embeddings.scheme import FeatureVocabulary
from recsys.errors import ConfigError
from tests.config.edges import SCHEMA, Spot, keys, numbers, spots
from tests.config.loading import Load, folder, load

__all__ = ["folder", "load"]
VOCABULARIES = [FeatureVocabulary("a", 1000), FeatureVocabulary("b", 100_000)]


@pytest.mark.parametrize("spot", [s for s in spots() if s.path[0] == "tables"], ids=lambda spot: spot.schema)
def test_a_table_with_the_largest_value_of_any_key_takes_no_time_to_size(spot: Spot) -> None:
    for key in keys(spot):
        for _, number in numbers(SCHEMA["$defs"][spot.schema]["properties"][key]):
            largest = number.get("maximum", 1 - 1e-9)
            began = time.process_time()
            try:
                resolved = resolve(parse_config(spot.config(**{key: largest})), ["a", "b", "y"])
                with torch.device("meta"):
                    schemes = build_schemes(resolved.tables[0], VOCABULARIES)
                assert sum(scheme.serving_bytes() for scheme in schemes) > 0
            except ConfigError:
                pass  # another key does not fit it, which test_limits.py looks at
            assert time.process_time() - began < 2, key


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("scheme: qr, budget: 1B", r"shop\.yaml:3: tables\.t\.budget: scheme qr cannot be made as small as 1 B"),
        ("scheme: recsys.nowhere:Own", r"shop\.yaml:3: tables\.t\.scheme: cannot find the module recsys\.nowhere"),
    ],
)
def test_a_table_that_cannot_be_built_is_refused_with_file_and_line(keys: str, message: str, load: Load) -> None:
    text = f"label: y\nfeatures: {{a: {{type: id}}}}\ntables: {{t: {{features: [a], {keys}}}}}\n"
    resolved = resolve(load(text), ["a", "y"])
    with pytest.raises(ConfigError, match=message):
        Layout(resolved, {"a": VOCABULARIES[0]}, jagged=False, regularized=False)
