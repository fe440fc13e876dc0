"""Bundles whose model is a program of torch.export."""

import shutil
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recsys.checksums import write_checksums
from recsys.errors import DataError
from recsys.serving import Scorer
from tests.export.bundles import write
from tests.export.models import Made, make, slow_scores
from tests.export.rows import SMALL, clicks

ROWS = clicks(30, seed=2)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(SMALL, clicks(60), tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def bundle(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "shop"
    write(made, folder, golden=ROWS, model_format="pt2")
    return folder


pytestmark = pytest.mark.slow


def test_a_bundle_of_a_program_scores_as_the_model(made: Made, bundle: Path) -> None:
    assert sorted(path.name for path in bundle.iterdir()) == [
        "README.md",
        "checksums.json",
        "golden.parquet",
        "model.pt2",
        "signature.json",
    ]
    fresh = clicks(20, seed=4)
    np.testing.assert_allclose(Scorer(bundle).score(fresh), slow_scores(made, fresh), rtol=0, atol=1e-6)
    assert "torch.export.load" in (bundle / "README.md").read_text()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"user": np.zeros(3, np.float32)}, "input user: dtype must be int64, got float32"),
        ({"user": np.zeros(2, np.int64)}, r"input item: shape must be \(2,\)"),
        ({"items.lengths": np.array([-1, 2, 1])}, r"items.lengths: must not be negative, got -1"),
        ({"items.lengths": np.array([9, 0, 0])}, "input items: lengths must sum to the number of values, got 9 and 2"),
        ({"items.values": None}, "input items.values is missing"),
    ],
)
def test_the_host_checks_what_a_program_does_not(bundle: Path, changes: dict[str, object], problem: str) -> None:
    inputs: dict[str, object] = {
        "user": np.zeros(3, np.int64),
        "items.values": np.zeros(2, np.int64),
        "items.lengths": np.array([2, 0, 0]),
        "item": np.zeros(3, np.int64),
    }
    given = {name: value for name, value in {**inputs, **changes}.items() if value is not None}
    with pytest.raises(DataError, match=problem):
        Scorer(bundle).score_inputs(given, 3)  # type: ignore[arg-type]


def test_the_order_of_the_inputs_does_not_matter(bundle: Path) -> None:
    scorer = Scorer(bundle)
    inputs = scorer.inputs(ROWS)
    turned = dict(reversed(inputs.items()))
    assert np.array_equal(scorer.score_inputs(turned, 30), scorer.score_inputs(inputs, 30))


def test_candidates_of_users_have_the_scores_of_plain_rows(made: Made, bundle: Path) -> None:
    scorer = Scorer(bundle)
    users = clicks(3, seed=5)
    counts = [2, 0, 3]
    rows = pl.concat([users[[i] * count] for i, count in enumerate(counts)]).with_columns(
        clicks(5, seed=6)[["user", "item"]]
    )
    candidates = scorer.inputs(rows)
    history = {name: value for name, value in scorer.inputs(users).items() if name.startswith("items")}
    ranked = {**candidates, **history, "candidates.lengths": np.array(counts)}
    np.testing.assert_allclose(scorer.score_inputs(ranked, 5), scorer.score(rows), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"items.lengths": np.array([1, 0])}, "input items: lengths must sum to the number of values, got 1 and 3"),
        ({"items.lengths": np.array([3])}, r"input items\.lengths: shape must be \(2,\), got \[1\]"),
        ({"candidates.lengths": np.array([2, 2])}, r"input items\.lengths: shape must be \(3,\), got \[4\]"),
    ],
)
def test_users_and_candidates_that_do_not_fit_are_refused(
    bundle: Path, changes: dict[str, np.ndarray], problem: str
) -> None:
    inputs = {
        "user": np.zeros(3, np.int64),
        "items.values": np.zeros(3, np.int64),
        "items.lengths": np.array([3, 0]),
        "item": np.zeros(3, np.int64),
        "candidates.lengths": np.array([1, 2]),
    }
    assert Scorer(bundle).score_inputs(inputs, 3).shape == (3, 1)
    with pytest.raises(DataError, match=problem):
        Scorer(bundle).score_inputs(inputs | changes, 3)


def test_parts_that_torch_would_unpickle_are_refused(bundle: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(bundle, tmp_path / "shop")
    with zipfile.ZipFile(bundle / "model.pt2") as old, zipfile.ZipFile(folder / "model.pt2", "w") as new:
        for info in old.infolist():
            content = b"cos\nsystem\n" if "sample_inputs" in info.filename else old.read(info)
            new.writestr(info.filename, content)
    write_checksums(folder, ["model.pt2"])
    with pytest.raises(DataError, match="has parts that torch would unpickle"):
        Scorer(folder)
    (folder / "model.pt2").write_bytes(b"no program")
    write_checksums(folder, ["model.pt2"])
    with pytest.raises(DataError, match=r"is damaged: it is no program of torch\.export"):
        Scorer(folder)
