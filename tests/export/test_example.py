"""The example in the signature: copied by a client in any language, it gives the scores that stand beside it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from recsys.serving import Scorer
from tests.export.bundles import write
from tests.export.models import make
from tests.export.rows import clicks

DTYPES = {"INT64": torch.int64, "FP64": torch.float64}


def example_of(bundle: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((bundle / "signature.json").read_text())["example"]
    return found


def answer_of(example: dict[str, Any]) -> np.ndarray:
    return np.array([output["data"] for output in example["answer"]["outputs"]]).T


@pytest.mark.slow
def test_the_tensors_of_the_example_have_the_scores_of_the_example(bundle: Path) -> None:
    example = example_of(bundle)
    inputs = {}
    for tensor in example["request"]["inputs"]:
        values = [float("nan") if value is None else value for value in tensor["data"]]
        inputs[tensor["name"]] = torch.tensor(values, dtype=DTYPES[tensor["datatype"]])
        assert list(inputs[tensor["name"]].shape) == tensor["shape"]
    model = torch.jit.load(bundle / "model.pt")  # type: ignore[no-untyped-call]
    np.testing.assert_allclose(model(inputs).detach().numpy(), answer_of(example), rtol=0, atol=1e-6)


@pytest.mark.slow
def test_the_rows_of_the_example_have_the_scores_of_the_example(bundle: Path) -> None:
    example = example_of(bundle)
    np.testing.assert_allclose(Scorer(bundle).score(pl.DataFrame(example["rows"])), answer_of(example), atol=1e-6)


@pytest.mark.slow
def test_the_candidates_of_the_example_have_the_scores_of_the_example(bundle: Path) -> None:
    example = example_of(bundle)["ranking"]
    request = example["rank"]
    scores = Scorer(bundle).rank(pl.DataFrame([request["user"]]), pl.DataFrame(request["candidates"]))
    np.testing.assert_allclose(scores, answer_of(example), rtol=0, atol=1e-6)
    given = {tensor["name"]: tensor for tensor in example["request"]["inputs"]}
    assert given["candidates.lengths"]["data"] == [2]
    assert (given["items.lengths"]["shape"], given["item"]["shape"]) == ([1], [2])


def test_the_example_prefers_rows_without_gaps(bundle: Path) -> None:
    for row in example_of(bundle)["rows"]:
        assert all(value not in (None, []) for value in row.values())


TIME = datetime(2026, 3, 1, 17, 20, 30, tzinfo=UTC)
YAML = """
label: clicked
features:
  time: {type: datetime, parts: [hour, month]%s}
  item: {type: id}
model: {tower: mlp, dim: 4, mlp: [4]}
"""
COLUMNS: dict[str, tuple[str, Callable[[pl.Expr], pl.Expr]]] = {
    "datetimes": ("", lambda time: time),
    "datetimes without a zone": ("", lambda time: time.dt.replace_time_zone(None)),
    "datetimes of another zone": ("", lambda time: time.dt.convert_time_zone("Asia/Kolkata")),
    "datetimes where numbers are milliseconds": (", unit: ms", lambda time: time),
    "dates": ("", lambda time: time.cast(pl.Date)),
    "texts with a format": (', format: "%d.%m.%Y %H"', lambda time: time.dt.strftime("%d.%m.%Y %H")),
    "decimals": ("", lambda time: time.dt.epoch("s").cast(pl.Decimal(20, 2))),
}


@pytest.mark.slow
@pytest.mark.parametrize("title", COLUMNS)
def test_values_of_any_type_are_written_so_that_they_are_read_as_they_were(title: str, tmp_path: Path) -> None:
    keys, column = COLUMNS[title]
    frame = clicks(20).select("clicked", time=column(pl.lit(TIME)), item=pl.col("item").cast(pl.Binary))
    made = make(YAML % keys, frame, tmp_path)
    write(made, tmp_path / "bundle", golden=frame)
    example = example_of(tmp_path / "bundle")
    scores = Scorer(tmp_path / "bundle").score(pl.DataFrame(example["rows"]))
    np.testing.assert_allclose(scores, answer_of(example), rtol=0, atol=1e-6)
    assert json.dumps(example["rows"])
