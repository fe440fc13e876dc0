import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from recsys.cli.importance import show_importance
from recsys.config import load_config
from tests.cli.command_line import Ended, Recsys
from tests.training.logs import make_config, run


def row(
    feature: str, loss: float, verdict: str = "carries", *, left_out: bool = False, **others: object
) -> dict[str, object]:
    interval = {"auc_loss": loss, "auc_loss_low": loss - 0.01, "auc_loss_high": loss + 0.01}
    of_logloss = {name.replace("auc_loss", "logloss_gain"): value / 2 for name, value in interval.items()}
    figures = {"auc": 0.75 - loss, "logloss": 0.5 + loss / 2, "rows": 12345, "repeats": 5}
    verdicts = {"verdict": verdict, "is_nothing": verdict == "nothing", "can_be_left_out": left_out}
    return {"feature": feature, "features": [feature], **interval, **of_logloss, **figures, **verdicts, **others}


def shown(capsys: pytest.CaptureFixture[str], *rows: dict[str, object]) -> str:
    show_importance(Path("runs/shop"), pl.DataFrame(rows), where="test rows")
    return capsys.readouterr().out


def test_bars_are_as_long_as_what_is_lost(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, row("item", 0.2), row("user", 0.1), row("hour", -0.01, "unclear")).splitlines()
    assert lines[0] == "runs/shop on 12,345 test rows: AUC 0.7500, logloss 0.5000"
    assert [line.count("#") for line in lines[3:6]] == [24, 12, 0]
    assert lines[3].split() == [
        "item",
        "#" * 24,
        "+0.2000",
        "+0.1900",
        "to",
        "+0.2100",
        *["+0.1000", "+0.0950", "to", "+0.1050"],
    ]
    assert lines[5].endswith("unclear")
    assert lines[-1] == "unclear: hour: more rows would tell"


def test_what_can_be_left_out_is_a_configuration(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    nothing = row("user", 0.0, "nothing", left_out=True, features=["user", "pair: user"])
    text = shown(capsys, row("item", 0.2), nothing, row("seen", 0.0, "nothing"))
    assert "worth nothing, but not to be left out with the rest: seen" in text
    assert "worth nothing, even all at once: user\n" in text
    features = {"user": {"type": "id"}, "item": {"type": "id"}, "pair: user": {"type": "cross", "of": ["user", "item"]}}
    (tmp_path / "runs").mkdir()
    make_config(tmp_path / "runs/shop", features=features)
    (tmp_path / "without.yaml").write_text(text[text.index("include:") :])
    used = {name: one.use for name, one in load_config(tmp_path / "without.yaml").features.items()}
    assert used == {"user": False, "item": True, "pair: user": False}


def test_no_bars_where_nothing_is_lost(capsys: pytest.CaptureFixture[str]) -> None:
    assert "#" not in shown(capsys, row("item", 0.0, "nothing"), row("user", -0.2, "nothing"))


@pytest.fixture(scope="module")
def trained(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    config = make_config(folder, train={"epochs": 1}, data={"train": "train.parquet", "valid": "valid.parquet"})
    return run(log, folder / "run", config).folder


@pytest.mark.slow
def test_it_finds_the_rows_of_the_run_by_itself(recsys: Recsys, log: Path, trained: Path, tmp_path: Path) -> None:
    fresh = ("--cache-dir", tmp_path / "cache", "--device", "cpu")
    table = recsys("importance", trained, "--split", "valid", *fresh)
    assert table.code == 0
    assert table.out.startswith(f"{trained} on 400 valid rows: AUC 0.")
    assert "+0." in table.out
    found: Ended = recsys("importance", trained, log / "test.parquet", "--json", "--feature", "user+item", *fresh)
    [entry] = json.loads(found.out)
    assert (entry["feature"], entry["features"], entry["rows"]) == ("user + item", ["user", "item"], 400)


@pytest.mark.slow
def test_what_is_not_there_is_refused_with_one_message(
    refused: Callable[..., str], log: Path, trained: Path, tmp_path: Path
) -> None:
    cache = ("--cache-dir", log / "cache", "--device", "cpu")
    said = refused("importance", trained, *cache)
    assert said == f"{trained}: had no test rows, only train, valid; name another split, or files to look at"
    assert refused("importance", tmp_path).startswith(f"{tmp_path}: not a run folder: it has no config.yaml")
    said = refused("importance", trained, "--split", "valid", "--feature", "prise", *cache)
    assert said == "features: the run has no feature 'prise'; did you mean 'price'?; it has user, item, price, seen"
    said = refused("importance", trained, "--split", "valid", "--cache-dir", tmp_path / "new", "--data-dir", tmp_path)
    assert "train.parquet" in said
    assert "nowhere.parquet" in refused("importance", trained, tmp_path / "nowhere.parquet", *cache)
