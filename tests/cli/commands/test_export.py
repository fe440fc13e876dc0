"""The options of the command: what is written where, and what is said of it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import recsys as package
from tests.cli.command_line import Recsys
from tests.export.rows import SMALL, clicks

pytestmark = pytest.mark.slow

DATA = "data: {train: train.parquet, valid: valid.parquet, test: test.parquet}\ntrain: {epochs: 1, batch_size: 64}\n"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run named shop with a table of 16 columns for items, and one for users."""
    folder = tmp_path_factory.mktemp("trained")
    for seed, split in enumerate(["train", "valid", "test"], start=1):
        clicks(200, seed=seed).write_parquet(folder / f"{split}.parquet")
    (folder / "shop.yaml").write_text(SMALL.replace("dim: 4", "dim: 16") + DATA)
    return package.train(folder / "shop.yaml", data_dir=folder, runs_dir=folder, device="cpu").path


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_bundle_and_a_model_of_triton_are_written_in_one_go(recsys: Recsys, trained: Path) -> None:
    code, _, err = recsys("export", trained, "--out", "bundle", "--triton", "models")
    assert (code, err) == (0, "bundle: model.pt scores its golden rows in a fresh process as here\n")
    assert 'name: "bundle"' in Path("models/bundle/config.pbtxt").read_text()
    assert Path("models/bundle/1/model.pt").read_bytes() == Path("bundle/model.pt").read_bytes()


def test_a_model_of_triton_alone_has_the_name_of_the_run_and_leaves_no_bundle(recsys: Recsys, trained: Path) -> None:
    code, _, err = recsys("export", trained, "--triton", "models")
    assert (code, err) == (0, "models/shop: model.pt scores its golden rows in a fresh process as here\n")
    assert [str(path) for path in Path().iterdir()] == ["models"]


def test_a_program_is_written_in_place_of_torchscript(recsys: Recsys, trained: Path) -> None:
    code, _, err = recsys("export", trained, "--out", "bundle", "--format", "pt2")
    assert (code, err) == (0, "bundle: model.pt2 scores its golden rows in a fresh process as here\n")
    assert not Path("bundle/model.pt").exists()


def precisions(bundle: str) -> dict[str, str | None]:
    tables = json.loads((Path(bundle) / "signature.json").read_text())["tables"]["tables"]
    return {name: one["precision"] for name, one in tables.items()}


def test_tables_have_the_precision_that_is_named(recsys: Recsys, trained: Path) -> None:
    code, _, err = recsys("export", trained, "--out", "bundle", "--tables", "int8", "--tables", "things=fp16")
    assert code == 0
    assert precisions("bundle") == {"user": "int8", "things": "fp16"}
    assert "user int8, things fp16: tables of" in err.replace("things fp16, user int8", "user int8, things fp16")


def test_a_tolerance_begins_with_8_bits_and_says_what_each_step_costs(recsys: Recsys, trained: Path) -> None:
    code, _, err = recsys("export", trained, "--out", "bundle", "--max-auc-loss", "0.5")
    assert code == 0
    assert set(precisions("bundle").values()) == {"int8"}
    assert [line.partition(":")[0] for line in err.splitlines()[:2]] == ["as trained", "all tables int8"]
    assert recsys("export", trained, "--out", "exact", "--tables", "fp16", "--max-auc-loss", "0").code == 0
    assert "int8" not in precisions("exact").values()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ((), "nothing to write: name a folder with --out, or a model repository with --triton"),
        (("--out", "b", "--tables", "int4"), "tables: must be one of fp32, fp16, int8, got 'int4'"),
        (("--out", "b", "--tables", "thing=int8"), "tables: there is no table 'thing'; did you mean 'things'?"),
        (("--out", "b", "--user", "visitor"), "user: no feature of the model reads a column 'visitor'"),
        (
            ("--triton", "models", "--format", "pt2"),
            "--triton: its PyTorch backend reads TorchScript, not --format pt2",
        ),
    ],
)
def test_what_cannot_be_written_is_refused_and_nothing_is_left(
    options: tuple[str, ...], problem: str, refused: Callable[..., str], trained: Path
) -> None:
    assert problem in refused("export", trained, *options)
    assert list(Path().iterdir()) == []
