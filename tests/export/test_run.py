"""A trained run is exported, and its bundle scores raw rows as TorchRec and FBGEMM did."""

import sysconfig
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import polars as pl
import pytest
import torch

import recsys
from recsys.config import load_config
from recsys.errors import DataError
from recsys.export import export_run
from recsys.features.kept import write_kept
from recsys.serving import Scorer
from recsys.towers import mlp
from recsys.training.run import train
from tests.export.rows import clicks, yaml

pytestmark = pytest.mark.slow

TRAIN = """
data: {{train: train.parquet, valid: valid.parquet, test: test.parquet}}
train: {{epochs: 1, batch_size: 64, regularization: {{rows: {rows}}}}}
"""


@pytest.mark.parametrize(("model", "rows"), [("din", 0.0), ("mlp", 0.5), ("autoint", 0.0)])
def test_the_bundle_of_a_run_scores_its_test_rows_as_the_run_did(
    model: str, rows: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed, split in enumerate(["train", "valid", "test"], start=1):
        clicks(600, seed=seed).write_parquet(tmp_path / f"{split}.parquet")
    (tmp_path / "run.yaml").write_text(yaml(model) + TRAIN.format(rows=rows))
    run = tmp_path / "run"
    config = load_config(tmp_path / "run.yaml")
    train(config, data_dir=tmp_path, cache_dir=tmp_path / "cache", folder=run, device="cpu")
    monkeypatch.setattr("recsys.towers.autoint.attend", None)  # golden rows are scored in the form that is exported
    monkeypatch.setattr("recsys.towers.layers.bend", None)
    export_run(run, tmp_path / "bundle")
    scores = Scorer(tmp_path / "bundle").score(pl.read_parquet(tmp_path / "test.parquet"))
    trained = pl.read_parquet(run / "predictions" / "test.parquet")
    assert trained["score"].std() > 1e-3
    np.testing.assert_allclose(scores[:, 0], trained["score"], rtol=0, atol=1e-6)


def test_a_bundle_tells_no_path_of_the_machine_that_made_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = {"data": tmp_path / "rows", "kept": tmp_path / "keys", "code": tmp_path / "code", "run": tmp_path / "run"}
    for place in places.values():
        place.mkdir()
    for seed, split in enumerate(["train", "valid", "test"], start=1):
        clicks(200, seed=seed).write_parquet(places["data"] / f"{split}.parquet")
    write_kept(places["kept"] / "user.parquet", np.arange(1, 9), "int")
    (places["code"] / "my_tower.py").write_text(Path(mlp.__file__).read_text().replace("class Mlp", "class Own"))
    monkeypatch.syspath_prepend(places["code"])
    text = yaml("mlp").replace("tower: mlp", "tower: my_tower:Own")
    text = text.replace("user: {type: id", f"user: {{type: id, kept: {places['kept']}/user.parquet")
    files = {split: str(places["data"] / f"{split}.parquet") for split in ("valid", "test")}
    (tmp_path / "run.yaml").write_text(
        f"{text}\ndata: {{train: [{places['data']}/trai*.parquet], valid: {files['valid']}, test: {files['test']}}}\n"
        "train: {epochs: 1, batch_size: 64}\n"
    )
    config = load_config(tmp_path / "run.yaml")
    train(config, data_dir=tmp_path, cache_dir=tmp_path / "cache", folder=places["run"] / "mine", device="cpu")
    export_run(places["run"] / "mine", tmp_path / "out" / "bundle")
    names = [str(tmp_path), str(Path(recsys.__file__).parents[1]), sysconfig.get_path("purelib"), str(Path.home())]
    folder = tmp_path / "out" / "bundle"
    contents = {path.name: path.read_bytes() for path in folder.iterdir()}
    with ZipFile(folder / "model.pt") as model:
        contents |= {name: model.read(name) for name in model.namelist()}
    found = [(name, path) for name, content in contents.items() for path in names if path.encode() in content]
    assert found == []
    assert b"trai*.parquet" in contents["signature.json"]
    torch.jit.load(folder / "model.pt")
    assert Scorer(folder).score(clicks(5)).shape == (5, 1)


def test_a_run_that_is_not_finished_is_not_exported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a run folder"):
        export_run(tmp_path, tmp_path / "bundle")
    (tmp_path / "config.yaml").touch()
    with pytest.raises(DataError, match=r"has no metrics\.json"):
        export_run(tmp_path, tmp_path / "bundle")
