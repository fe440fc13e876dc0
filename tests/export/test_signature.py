import hashlib
import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def test_the_signature_says_what_to_feed(bundle: Path) -> None:
    signature = json.loads((bundle / "signature.json").read_text())
    inputs = {declared["name"]: declared for declared in signature["inputs"]}
    assert list(inputs) == ["user", "item", "shop", "genres", "price", "age", "time", "items", "shops", "users"]
    assert inputs["item"] == {
        "name": "item",
        "kind": "id",
        "column": "item",
        "dtype": "int64",
        "null": -(2**63),
        "key": "text",
        "tensors": {"item": "(rows,)"},
    }
    assert (inputs["user"]["key"], inputs["items"]["key"], inputs["shops"]["key"]) == ("int", "text", "int")
    assert inputs["genres"]["separator"] == "|"
    assert inputs["genres"]["tensors"] == {"genres.values": "(values,)", "genres.lengths": "(rows,)"}
    assert (inputs["age"]["column"], inputs["age"]["dtype"], inputs["age"]["null"]) == ("years", "float64", "NaN")
    assert (inputs["time"]["dtype"], inputs["time"]["unit"]) == ("int64", "s")
    assert [output["name"] for output in signature["outputs"]] == ["score.click", "score.buy"]
    assert (signature["hash"], signature["metrics"]) == ("xxhash64/1", {"test.auc": 0.75})
    assert signature["sha256"]["model.pt"] == hashlib.sha256((bundle / "model.pt").read_bytes()).hexdigest()
