"""A feature type of the user's own is one file, and every command knows it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import recsys
from recsys.cli import main
from recsys.config import ResolvedConfig, json_schema, load_config, resolve
from recsys.config.feature_types import FEATURE_TYPES
from recsys.errors import ConfigError
from recsys.features.fit import fit
from recsys.features.state import TransformState
from recsys.features.transform import canonicalize, encode
from recsys.features.types import Offer
from recsys.registry import load_object
from recsys.suggest.suggest import suggest_for_file
from tests.pages import page

PAGE = page("recsys/features/README.md")
CENTRED = '''
"""`type: centred`: a number less the mean of the training split."""

from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import torch

from recsys.config import ColumnSection
from recsys.export.types import ExportedFeature
from recsys.features.types import FeatureHandler, Fit
from recsys.features.values import to_numbers


class CentredFeature(ColumnSection):
    """A number less its mean."""

    exported: ClassVar[str] = f"{__name__}:ExportedCentred"
    kind: ClassVar[str] = "number"
    input: ClassVar[str] = "float64"

    type: Literal["centred"]


class MeanFit(Fit):
    def __init__(self, name):
        self.name, self.sum, self.rows = name, 0.0, 0

    def add(self, values):
        self.sum, self.rows = self.sum + float(np.nansum(values)), self.rows + int((~np.isnan(values)).sum())

    def merge(self, other):
        self.sum, self.rows = self.sum + other.sum, self.rows + other.rows

    def finish(self, state):
        state.extras[self.name] = {"mean": self.sum / max(self.rows, 1)}


class Centred(FeatureHandler[CentredFeature]):
    section = CentredFeature

    def canonicalize(self, series, kind):
        return to_numbers(series)

    def fit(self):
        return MeanFit(self.name)

    def encode(self, frame, field, state):
        return pa.array(np.nan_to_num(self.values(frame) - state.extras[self.name]["mean"]).astype(np.float32))


class ExportedCentred(ExportedFeature[CentredFeature]):
    def encoder(self, field, state):
        return CentredEncoder(state.extras[self.name]["mean"])


class CentredEncoder(torch.nn.Module):
    def __init__(self, mean: float) -> None:
        super().__init__()
        self.mean = mean

    def forward(self, number_B: torch.Tensor) -> torch.Tensor:
        return torch.nan_to_num(number_B - self.mean).float()
'''
CONFIG = """
label: clicked
features:
  user: {{type: id}}
  age: {{type: number, normalize: standard}}
  days: {{type: {modulo}, by: 7, column: number_of_days}}
  price: {{type: {centred}}}
  size: {{type: number}}
"""
RUN = """
data: {train: train.parquet, valid: valid.parquet, test: test.parquet}
model: {tower: mlp, dim: 4, mlp: [8]}
train: {epochs: 1, batch_size: 64}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with one module for each type, as a user would keep them."""
    for name, text in {**PAGE.files(), "own_centred.py": CENTRED}.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    entries = dict(FEATURE_TYPES._entries)
    yield tmp_path
    FEATURE_TYPES._entries = entries
    for name in ("own_modulo", "own_centred"):
        sys.modules.pop(name, None)


def clicks(num_rows: int, seed: int) -> pl.DataFrame:
    draw = np.random.default_rng(seed)
    days = [None if d == 0 else int(d) for d in draw.integers(-30, 30, num_rows)]
    prices = [None if p > 1.5 else float(p) for p in draw.normal(size=num_rows)]
    return pl.DataFrame(
        {
            "clicked": [int(d is not None and d % 7 > 3) for d in days],
            "user": draw.integers(0, 9, num_rows),
            "age": draw.normal(40, 10, num_rows),
            "number_of_days": days,
            "price": prices,
            "size": draw.normal(size=num_rows),
        }
    )


def call(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["recsys", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code


def resolved(text: str, frame: pl.DataFrame) -> ResolvedConfig:
    Path("shop.yaml").write_text(text)
    return resolve(load_config(Path("shop.yaml")), frame.columns)


@pytest.mark.usefixtures("folder")
def test_rows_become_the_ids_and_numbers_of_the_own_types() -> None:
    frame = pl.DataFrame({"clicked": [0, 1, 1], "user": [1, 1, 2], "age": [1.0, 2.0, 3.0], "size": [0.0, 1.0, 2.0]})
    frame = frame.with_columns(number_of_days=pl.Series([8, None, -1]), price=pl.Series([1.0, None, 3.0]))
    shop = resolved(CONFIG.format(modulo="own_modulo:Modulo", centred="own_centred:Centred"), frame)
    fit([frame], shop).save(Path("transform"))
    state = TransformState.load(Path("transform"))
    rows = encode(canonicalize(frame, shop, state), shop, state).to_pydict()
    assert rows["days"] == [2, 0, 7]
    assert rows["price"] == [-1.0, 0.0, 1.0]
    assert state.num_ids(shop.field("days")) == 8
    assert state.extras == {"price": {"mean": 2.0}}


@pytest.mark.slow
def test_own_types_go_through_check_train_evaluate_export_and_predict(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for seed, split in enumerate(("train", "valid", "test")):
        clicks(400, seed).write_parquet(folder / f"{split}.parquet")
    (folder / "run.yaml").write_text(CONFIG.format(modulo="own_modulo:Modulo", centred="own_centred:Centred") + RUN)
    call(monkeypatch, "check", "run.yaml")
    assert "own_modulo:Modulo" in capfd.readouterr().out
    call(monkeypatch, "train", "run.yaml", "--name", "own", "--device", "cpu")
    call(monkeypatch, "evaluate", "runs/own", "test.parquet", "--out", "scores.parquet")
    call(monkeypatch, "export", "runs/own", "--out", "bundle")
    call(monkeypatch, "predict", "bundle", "test.parquet", "--out", "predictions.parquet")
    trained = pl.read_parquet("runs/own/predictions/test.parquet")["score"]
    assert trained.std() > 1e-3
    for file in ("scores.parquet", "predictions.parquet"):
        np.testing.assert_allclose(pl.read_parquet(file)["score"], trained, rtol=0, atol=1e-6)


@pytest.mark.usefixtures("folder")
def test_a_registered_type_is_known_by_its_name_everywhere() -> None:
    recsys.register_feature_type(load_object("own_modulo:Modulo"))
    recsys.register_feature_type(load_object("own_centred:Centred"))
    shop = resolved(CONFIG.format(modulo="modulo", centred="centred"), clicks(9, 1))
    assert shop.field("days").kind == "id"
    assert shop.field("price").kind == "number"
    assert "ModuloFeature" in str(json_schema())


@pytest.mark.usefixtures("folder")
def test_init_suggests_a_registered_type(monkeypatch: pytest.MonkeyPatch) -> None:
    modulo = load_object("own_modulo:Modulo")
    offer = Offer({"type": "modulo", "by": 7}, 0.95)
    monkeypatch.setattr(modulo, "suggest", lambda column: offer if column.name == "number_of_days" else None)
    recsys.register_feature_type(modulo)
    clicks(500, 1).write_parquet("clicks.parquet")
    assert "number_of_days: {type: modulo, by: 7}" in suggest_for_file(Path("clicks.parquet"), label="clicked")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{type: own_modulo:Modulo, by: 8}", "shop.yaml:4: features.x.by: must be odd, got 8"),
        ("{type: own_modulo:Modulo, by: 1}", "shop.yaml:4: features.x.by: must be at least 2, got 1"),
        ("{type: own_modulo:Modulo, bi: 7, by: 7}", "shop.yaml:4: features.x.bi: unknown key for type"),
        ("{type: own_modulo:Missing}", "shop.yaml:4: features.x.type: module own_modulo has no 'Missing'"),
        ("{type: nowhere:Type}", "shop.yaml:4: features.x.type: cannot find the module nowhere"),
        (
            "{type: own_modulo:ModuloEncoder}",
            "shop.yaml:4: features.x: must be a subclass of recsys.features.types.base.FeatureHandler, got",
        ),
    ],
)
@pytest.mark.usefixtures("folder")
def test_mistakes_in_features_of_own_types_are_located(line: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        resolved(f"label: clicked\nfeatures:\n  user: {{type: id}}\n  x: {line}\n", clicks(9, 1))
    assert message in str(error.value)


def test_a_handler_without_a_section_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"str must have a section of its own"):
        recsys.register_feature_type(str)
