import csv
import io
import json

from recsys.search.candidate import Candidate, Measured
from recsys.search.pareto import ParetoRow, pareto_csv


def measured(name: str, size: int) -> Measured:
    return Measured(candidate=Candidate(name=name), serving_bytes=size, training_bytes=2 * size, auc=0.7, seconds=1.5)


def test_each_candidate_has_a_line_with_what_its_yaml_says() -> None:
    changes = {("tables", "item"): {"features": ["item"], "dim": 8}, ("features", "a.b", "use"): False}
    rows = [
        ParetoRow(measured("wide", 400), {}, on_front=False),
        ParetoRow(measured("narrow", 100), changes, on_front=True, yaml="front/narrow.yaml"),
    ]
    narrow, wide = csv.DictReader(io.StringIO(pareto_csv(rows)))
    assert (narrow["name"], narrow["serving_bytes"], narrow["training_bytes"]) == ("narrow", "100", "200")
    assert (narrow["on_front"], narrow["yaml"], narrow["valid_auc_low"]) == ("1", "front/narrow.yaml", "")
    assert (wide["on_front"], wide["yaml"], wide["changes"]) == ("0", "", "{}")
    assert json.loads(narrow["changes"]) == {
        "tables.item": {"features": ["item"], "dim": 8},
        "features.a.b.use": False,
    }
