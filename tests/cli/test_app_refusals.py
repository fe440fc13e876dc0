"""What a user did wrong ends with exit code 2 and one message that says where, the rule, and the value."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from tests.training.logs import clicks, write_config, write_log

Refused = Callable[..., str]

TEN_MISTAKES = """\
label: clicked
groop: user
features:
  user: {type: id, min_count: 0}
  item: {type: idd}
  price: {type: bucket, quantiles: "many"}
  clicks: {type: sequence, of: usr}
  clicked: {type: number}
tables:
  users: {features: [user, itm], dim: 10}
  rest: {features: [price], scheme: hash}
model: {tower: autoint, attention_dim: 63}
train:
  epochs: 1.5
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log and its run.yaml in the current folder, to be broken."""
    monkeypatch.chdir(tmp_path)
    write_config(tmp_path / "run.yaml")
    return write_log(tmp_path)


@pytest.mark.parametrize("command", ["check", "train"])
def test_a_config_with_ten_mistakes_prints_ten_located_problems(command: str, own: Path, refused: Refused) -> None:
    Path("shop.yaml").write_text(TEN_MISTAKES)
    first, *problems = refused(command, "shop.yaml").splitlines()
    assert first == "10 problems in the configuration"
    lines = [2, 4, 5, 6, 7, 8, 10, 11, 12, 14]
    assert [problem.strip().split(": ")[0] for problem in problems] == [f"shop.yaml:{line}" for line in lines]
    assert not Path("runs").exists()


@pytest.mark.parametrize("command", ["check", "train"])
def test_a_missing_config_is_named(command: str, own: Path, refused: Refused) -> None:
    assert "nowhere.yaml" in refused(command, "nowhere.yaml")


@pytest.mark.parametrize("command", ["check", "train"])
def test_a_missing_column_is_named_with_its_file(command: str, own: Path, refused: Refused) -> None:
    clicks(50, seed=1).drop("price").write_parquet("train.parquet")
    message = refused(command, "run.yaml")
    assert "price" in message
    assert "train.parquet" in message


def test_a_missing_label_is_named(own: Path, refused: Refused) -> None:
    clicks(50, seed=1).drop("click").write_parquet("train.parquet")
    message = refused("train", "run.yaml")
    assert "click" in message
    assert "train.parquet" in message


def test_a_string_where_a_number_was_promised_is_shown_with_its_row(own: Path, refused: Refused) -> None:
    rows = clicks(50, seed=1).drop("seen").with_columns(pl.col("price").cast(pl.String))
    write_config(own / "run.yaml", features={"user": {"type": "id"}, "price": {"type": "number"}})
    rows[30, "price"] = "cheap"
    rows.write_parquet("train.parquet")
    message = refused("train", "run.yaml")
    for part in ("train.parquet", "price", "expected a number, got 'cheap'", "row 31"):
        assert part in message


def test_so_is_one_in_a_csv_file(own: Path, refused: Refused) -> None:
    data = {"train": "train.csv", "valid": "train.csv"}
    write_config(own / "run.yaml", features={"user": {"type": "id"}, "price": {"type": "number"}}, data=data)
    Path("train.csv").write_text("user,price,click\n1,2.5,0\n2,cheap,1\n")
    message = refused("train", "run.yaml")
    for part in ("train.csv", "price", "expected a number, got 'cheap'"):
        assert part in message


def test_a_label_that_is_neither_0_nor_1_is_shown(own: Path, refused: Refused) -> None:
    rows = clicks(50, seed=1)
    rows[7, "click"] = 5
    rows.write_parquet("train.parquet")
    message = refused("train", "run.yaml")
    for part in ("train.parquet", "click", "5", "row 8"):
        assert part in message


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_a_truncated_parquet_is_named(split: str, own: Path, refused: Refused) -> None:
    path = Path(f"{split}.parquet")
    path.write_bytes(path.read_bytes()[:-100])
    assert f"{split}.parquet" in refused("train", "run.yaml")


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_a_missing_file_is_named(split: str, own: Path, refused: Refused) -> None:
    Path(f"{split}.parquet").unlink()
    message = refused("train", "run.yaml")
    assert f"{split}.parquet" in message
    assert f"data.{split}" in message


def test_an_unknown_run_folder_is_named(own: Path, refused: Refused) -> None:
    assert refused("evaluate", "runs/none", "test.parquet").startswith("runs/none: not a run folder")
    assert refused("export", "runs/none", "--out", "bundle").startswith("runs/none: ")
    assert refused("train", "run.yaml", "--resume", "runs/none").startswith("runs/none: not a run folder")


def test_a_bundle_that_is_none_is_named(own: Path, refused: Refused) -> None:
    assert refused("predict", "bundle", "test.parquet", "--out", "scores.parquet").startswith("bundle: is not a bundle")
    assert refused("serve", "bundle").startswith("bundle: is not a bundle")


def test_a_name_in_use_is_refused(own: Path, refused: Refused) -> None:
    (own / "runs" / "mine" / "checkpoints").mkdir(parents=True)
    assert refused("train", "run.yaml", "--name", "mine").startswith("runs/mine: exists already; choose another name")


def test_adam_on_a_cpu_is_refused_before_anything_is_trained(own: Path, refused: Refused) -> None:
    write_config(own / "run.yaml", train={"sparse_optimizer": {"name": "adam"}})
    assert "adam runs on CUDA only" in refused("train", "run.yaml", "--device", "cpu")


def test_diverging_training_is_the_users_to_mend(own: Path, refused: Refused) -> None:
    write_config(own / "run.yaml", train={"dense_optimizer": {"name": "sgd", "lr": 1e30}})
    assert "training diverged in epoch 1" in refused("train", "run.yaml", "--device", "cpu")


def test_a_file_for_init_that_is_none_is_named(own: Path, refused: Refused) -> None:
    assert "nowhere.parquet" in refused("init", "nowhere.parquet", "--label", "click")
    assert "clicked" in refused("init", "train.parquet", "--label", "clicked")
