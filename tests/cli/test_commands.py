import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from recsys import __version__
from recsys.cli.app import app
from recsys.config import json_schema
from tests.cli.command_line import Recsys
from tests.training.logs import clicks, predictions, write_config, write_log

pytestmark = pytest.mark.slow

COMMANDS = [
    "init",
    "check",
    "tables",
    "train",
    "compare",
    "compare-schemes",
    "evaluate",
    "export",
    "importance",
    "plan",
    "predict",
    "rank",
    "serve",
    "demo-data",
    "doctor",
    "schema",
    "search",
]
SHORT = {"epochs": 2}


def test_these_are_all_commands() -> None:
    shown = CliRunner().invoke(app, ["--help"]).output
    assert sorted(str(command.name or command.callback.__name__) for command in app.registered_commands) == sorted(
        COMMANDS
    )
    assert all(command in shown for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert shown.exit_code == 0
    assert f"recsys {command}" in shown.output.split("Example")[1]


def test_the_version_is_that_of_the_package(recsys: Recsys) -> None:
    assert recsys("--version") == (0, f"recsys {__version__}\n", "")


def test_every_option_is_explained_by_a_sentence() -> None:
    group = typer.main.get_command(app)
    options = [(name, option) for name, command in group.commands.items() for option in getattr(command, "params", [])]
    helps = {(name, str(option.name)): option.help for name, option in options if option.name != "help"}
    assert {where for where, text in helps.items() if not text or (not text[0].isupper() and text[0] != "`")} == set()


def test_an_unknown_option_ends_with_exit_code_2(recsys: Recsys) -> None:
    assert recsys("train", "run.yaml", "--nmae", "x").code == 2


def test_the_schema_is_json(recsys: Recsys) -> None:
    ended = recsys("schema")
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out) == json.loads(json.dumps(json_schema()))


def test_the_doctor_finds_nothing_wrong_here(recsys: Recsys) -> None:
    ended = recsys("doctor")
    assert ended.code == 0
    assert "torch, torchrec, fbgemm" in ended.err + ended.out
    assert "[" not in ended.err  # no markup of styles


def test_the_doctor_ends_with_exit_code_1_when_something_is_broken(
    recsys: Recsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recsys.cli import doctor
    from recsys.environment.findings import Finding

    broken = Finding(level="error", what="torchrec", detail="1.0", remedy="pip install torchrec==1.8.0")
    monkeypatch.setattr(doctor, "check_environment", lambda: [broken])
    ended = recsys("doctor")
    assert ended.code == 1
    assert "torchrec: pip install torchrec==1.8.0" in ended.err + ended.out


def test_what_init_writes_passes_check(recsys: Recsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write_log(tmp_path))
    written = recsys("init", "train.parquet", "--label", "click")
    assert (written.code, written.err) == (0, "")
    Path("mine.yaml").write_text(written.out)
    checked = recsys("check", "mine.yaml")
    assert checked.code == 0
    for column in ("user", "item", "price", "seen"):
        assert column in checked.out


def test_check_of_a_config_shows_each_field(recsys: Recsys, log: Path, tmp_path: Path) -> None:
    checked = recsys("check", write_config(tmp_path / "run.yaml"), "--data-dir", log, "--cache-dir", tmp_path / "cache")
    assert checked.code == 0
    assert [line.split()[0] for line in checked.out.splitlines()[1:5]] == ["user", "item", "price", "seen"]
    assert "4 fields, 2 tables" in checked.out


def test_train_evaluate_export_and_predict_agree(
    recsys: Recsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write_log(tmp_path))
    write_config(tmp_path / "run.yaml", train=SHORT)
    trained = recsys("train", "run.yaml", "--name", "one", "--device", "cpu")
    assert trained.code == 0
    metrics = json.loads(Path("runs/one/metrics.json").read_text())
    shown = [
        f"{label} {metrics[f'test.{name}']:.5f} "
        f"(95 % interval {metrics[f'test.{name}_low']:.5f} to {metrics[f'test.{name}_high']:.5f})"
        for name, label in (("auc", "AUC"), ("logloss", "logloss"), ("gauc", "GAUC"))
    ]
    assert trained.out == f"runs/one: test {', '.join(shown)}\n"
    assert [line.split(":")[0] for line in trained.err.splitlines()] == ["run folder", "seen", "epoch 1", "epoch 2"]

    evaluated = recsys("evaluate", "runs/one", "test.parquet", "--out", "again.parquet", "--device", "cpu")
    assert evaluated.code == 0
    assert json.loads(evaluated.out) == {
        name.removeprefix("test."): value for name, value in metrics.items() if name.startswith("test.")
    }
    assert pl.read_parquet("again.parquet").equals(predictions(Path("runs/one")))

    assert recsys("export", "runs/one", "--out", "bundle").code == 0
    unlabelled = clicks(400, seed=2).drop("click")
    unlabelled.write_parquet("new.parquet")
    scored = recsys("predict", "bundle", "new.parquet", "--out", "scores.parquet", "--keep", "user")
    assert scored.code == 0
    assert "400 scores" in scored.err
    scores = pl.read_parquet("scores.parquet")
    assert scores["user"].equals(unlabelled["user"])
    assert (scores["score"] - predictions(Path("runs/one"))["score"]).abs().max() < 1e-6

    clicks(10, seed=3).drop("price").write_parquet("poor.parquet")
    refused = recsys("predict", "bundle", "poor.parquet", "--out", "poor-scores.parquet")
    assert refused.code == 2
    assert "price" in refused.err
    assert "Traceback" not in refused.err
    assert not Path("poor-scores.parquet").exists()


def test_runs_are_numbered_after_their_config(recsys: Recsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write_log(tmp_path / "shop"))
    write_config(tmp_path / "shop" / "run.yaml", train={"epochs": 1})
    lines = [recsys("train", "run.yaml", "--device", "cpu").out for _ in range(2)]
    assert [line.split(":")[0] for line in lines] == ["runs/shop", "runs/shop-2"]


def test_a_run_that_is_not_finished_is_not_exported_until_it_is_resumed(
    recsys: Recsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write_log(tmp_path))
    write_config(tmp_path / "run.yaml", train=SHORT)
    first = recsys("train", "run.yaml", "--name", "one", "--device", "cpu")
    (tmp_path / "runs" / "one" / "metrics.json").unlink()
    refused = recsys("export", "runs/one", "--out", "bundle")
    assert refused.code == 2
    assert "has no metrics.json: train it to the end first" in refused.err
    again = recsys("train", "run.yaml", "--resume", "runs/one", "--device", "cpu")
    assert (again.code, again.out) == (0, first.out)


def test_demo_data_can_be_trained_on(recsys: Recsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = recsys("demo-data", "demo", "--rows", "3000")
    assert made.code == 0
    assert "demo: 3,000 rows; the best AUC possible on test is 0." in made.err
    checked = recsys("check", "demo/config.yaml", "--data-dir", "demo")
    assert checked.code == 0
    assert recsys("demo-data", "demo", "--rows", "3000").code == 2


def test_ctrl_c_ends_training_without_a_traceback(tmp_path: Path) -> None:
    write_config(write_log(tmp_path) / "run.yaml", train={"epochs": 100_000})
    process = subprocess.Popen(
        [sys.executable, "-m", "recsys", "train", "run.yaml", "--name", "one", "--device", "cpu"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    metrics = tmp_path / "runs" / "one" / "metrics.jsonl"
    # The line of an epoch is shown after its metrics are written: at the second epoch, the first has been shown.
    while not metrics.exists() or metrics.read_text().count("\n") < 2:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    *before, last = err.strip().splitlines()
    assert last == "interrupted; to resume: recsys train run.yaml --resume runs/one --device cpu"
    assert {"run", "epoch"} <= {line.split()[0] for line in before}
    assert "Traceback" not in err
