import hashlib
import json
from pathlib import Path

import pytest

from recsys.errors import ExportError
from recsys.export.signature import signature
from tests.export.models import Made
from tests.export.rows import HISTORIES

pytestmark = pytest.mark.slow


def test_the_signature_says_what_to_feed(bundle: Path) -> None:
    signature = json.loads((bundle / "signature.json").read_text())
    inputs = {declared["name"]: declared for declared in signature["inputs"]}
    assert list(inputs) == ["user", "item", "shop", "genres", "price", "age", "time", *HISTORIES]
    assert inputs["item"] == {
        "name": "item",
        "kind": "id",
        "column": "item",
        "dtype": "int64",
        "null": -(2**63),
        "key": "text",
        "tensors": {"item": "(rows,)"},
        "user": False,
    }
    assert (inputs["user"]["key"], inputs["items"]["key"], inputs["shops"]["key"]) == ("int", "text", "int")
    assert inputs["genres"]["separator"] == "|"
    assert inputs["genres"]["tensors"] == {"genres.values": "(values,)", "genres.lengths": "(rows,)"}
    assert (inputs["age"]["column"], inputs["age"]["dtype"], inputs["age"]["null"]) == ("years", "float64", "NaN")
    assert (inputs["time"]["dtype"], inputs["time"]["unit"]) == ("int64", "s")
    assert [output["name"] for output in signature["outputs"]] == ["score.click", "score.buy"]
    assert (signature["hash"], signature["metrics"]) == ("xxhash64/1", {"test.auc": 0.75})
    assert signature["sha256"]["model.pt"] == hashlib.sha256((bundle / "model.pt").read_bytes()).hexdigest()


def test_the_signature_has_texts_with_their_keys_to_test_a_hash_in_another_language(bundle: Path) -> None:
    found = json.loads((bundle / "signature.json").read_text())["hash_tests"]
    assert {test["text"]: test["key"] for test in found} == {  # by python-xxhash, read as signed integers
        "": "-1205034819632174695",
        "Rome": "-763354753757291716",
        "Žižkov": "6612097132963736815",
        "a string that is longer than thirty-two bytes": "-4010485461275062956",
    }


def users_in(made: Made, *named: str) -> set[str]:
    described = signature(made.resolved, made.state, metrics={}, model_file="model.pt", sha256="", user_columns=named)
    return {declared["name"] for declared in described["inputs"] if declared["user"]}


def test_histories_and_named_columns_are_the_users(made: Made) -> None:
    assert users_in(made) == {*HISTORIES}
    assert users_in(made, "user", "years") == {*HISTORIES, "user", "age"}
    with pytest.raises(ExportError, match=r"user: no feature of the model reads a column 'usr'; did you mean 'user'\?"):
        users_in(made, "usr")
