"""`recsys.train`: where the data comes from, who listens, and what several processes cannot do."""

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, cast

import pytest
from lightning.pytorch.callbacks import Callback

import recsys
from recsys.api.run import Run
from recsys.config.former import FORMER_DEFAULTS
from recsys.errors import ConfigError
from recsys.launch import Outcome
from recsys.training.schedule import Schedule
from tests.training.logs import BASE, clicks, run, steady, write_log

pytestmark = pytest.mark.slow

SPLITS = {"train": clicks(1600, seed=0), "valid": clicks(400, seed=1), "test": clicks(400, seed=2)}
CONFIG: dict[str, Any] = {**BASE, "train": BASE["train"] | {"epochs": 2}}
IN_MEMORY: dict[str, Any] = {key: value for key, value in CONFIG.items() if key != "data"}


def train(folder: Path, config: Any = IN_MEMORY, **options: Any) -> Run:
    given = {"runs_dir": folder / "runs", "cache_dir": folder / "cache", "device": "cpu", "log": None}
    return recsys.train(config, **{**given, **options})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(tmp_path_factory.mktemp("memory"), **SPLITS)


def test_frames_are_trained_on_as_files_are(trained: Run, tmp_path: Path) -> None:
    log = write_log(tmp_path)
    from_files = run(log, tmp_path / "run", recsys.load_config(CONFIG))
    assert steady(trained.metrics) == steady(from_files.metrics)
    assert trained.path.name == "run"


def test_a_run_is_resumed_with_equal_frames(trained: Run) -> None:
    metrics = trained.metrics
    (trained.path / "metrics.json").unlink()
    lines: list[str] = []
    again = train(trained.path.parents[1], resume=trained, log=lines.append, **SPLITS)
    assert lines == ["training was over after epoch 2"]
    assert steady(again.metrics) == steady(metrics)


def test_other_frames_are_not_the_data_of_the_run(trained: Run) -> None:
    with pytest.raises(recsys.RecsysError, match="configuration"):
        train(trained.path.parents[1], resume=trained, **(SPLITS | {"train": clicks(1600, seed=9)}))


class Listener(Callback):
    """Notes what it is told, and whether the last checkpoint of the epoch was written before."""

    def __init__(self) -> None:
        self.batches = 0
        self.epochs = 0

    def on_train_batch_end(self, *_: Any) -> None:
        self.batches += 1

    def on_validation_epoch_end(self, *_: Any) -> None:
        self.epochs += 1


def test_callbacks_of_the_user_are_called_and_change_nothing(trained: Run, tmp_path: Path) -> None:
    listener = Listener()
    started: list[Path] = []
    heard = train(tmp_path, callbacks=[listener], on_start=started.append, name="mine", **SPLITS)
    assert (listener.epochs, listener.batches) == (2, 2 * 13)
    assert started == [heard.path] == [tmp_path / "runs" / "mine"]
    assert steady(heard.metrics) == steady(trained.metrics)


@pytest.mark.usefixtures("trained")
def test_a_schedule_of_the_user_takes_the_steps(tmp_path: Path) -> None:
    steps = []

    class Counting(Schedule):
        def train_step(self) -> None:
            steps.append(self.context.progress.epoch)
            super().train_step()

    train(tmp_path, schedule=Counting, **SPLITS)
    assert steps == [0] * 13 + [1] * 13


def test_progress_and_log_are_told(tmp_path: Path) -> None:
    lines: list[str] = []
    stages: set[str] = set()
    train(tmp_path, log=lines.append, on_progress=lambda stage, *_: stages.add(stage), **SPLITS)
    assert [line.split(":")[0] for line in lines] == ["seen", "epoch 1", "epoch 2"]
    assert "fit" in stages


def test_callbacks_cannot_be_handed_to_other_processes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^callbacks: cannot be handed to other processes"):
        train(tmp_path, devices=2, callbacks=[Listener()], **SPLITS)
    assert not (tmp_path / "runs").exists()


def test_new_processes_are_given_the_configuration_and_the_frames_as_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[Any] = []

    def launch(arguments: list[str], devices: int, **_: Any) -> Outcome:
        noted.extend([arguments, devices, recsys.load_config(arguments[1])])
        return Outcome(2, "error: data.train: there is no file a.parquet")

    monkeypatch.setattr("recsys.api.train.launch", launch)
    with pytest.raises(recsys.RecsysError, match=r"training on 2 devices failed: data\.train: there is no file a"):
        train(tmp_path, devices=2, name="a", **SPLITS)
    arguments, devices, config = noted
    assert devices == 2
    options = ["--data-dir", ".", "--cache-dir", str(tmp_path / "cache"), "--device", "cpu"]
    assert arguments[2:] == [*options, "--name", "a", "--runs-dir", str(tmp_path / "runs")]
    assert Path(config.data.valid).suffix == ".arrow"


def test_new_processes_resume_a_run_with_the_defaults_that_it_began_with(
    trained: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_sizes: list[int] = []

    def launch(arguments: list[str], _devices: int, **_: Any) -> Outcome:
        batch_sizes.append(recsys.load_config(arguments[1]).train.batch_size)
        return Outcome(0, None)

    monkeypatch.setattr("recsys.api.train.launch", launch)
    monkeypatch.setitem(cast("dict[str, Any]", FORMER_DEFAULTS), "batch_size", 128)
    unstated = {key: value for key, value in CONFIG["train"].items() if key != "batch_size"}
    train(tmp_path, IN_MEMORY | {"train": unstated}, devices=2, resume=trained, **SPLITS)
    train(tmp_path, IN_MEMORY | {"train": unstated | {"batch_size": 64}}, devices=2, resume=trained, **SPLITS)
    assert batch_sizes == [128, 64]


NOTEBOOK = """
    import sys
    import recsys
    from recsys.towers.lr import Lr
    from tests.api.test_train import IN_MEMORY, SPLITS

    class Mine(Lr):
        pass

    folder, devices = sys.argv[1:]
    config = {**IN_MEMORY, "model": {"tower": Mine, "dim": 4}}
    try:
        run = recsys.train(
            config, runs_dir=folder, cache_dir=folder, device="cpu", devices=int(devices), name="mine", **SPLITS
        )
        print(run.evaluate(SPLITS["test"])["auc"] == run.metrics["test.auc"])
    except recsys.ConfigError as error:
        print(error)
"""


def notebook(folder: Path, devices: int) -> str:
    script = [sys.executable, "-c", textwrap.dedent(NOTEBOOK), str(folder), str(devices)]
    return subprocess.run(script, capture_output=True, text=True, check=True).stdout.strip().splitlines()[-1]


def test_a_class_of_a_notebook_trains_in_its_process_and_is_missed_in_others(tmp_path: Path) -> None:
    assert notebook(tmp_path, 1) == "True"
    with pytest.raises(ConfigError, match=r"model.tower: .*'Mine'.*notebook or script"):
        Run(tmp_path / "mine").export(tmp_path / "bundle")


def test_a_class_of_a_notebook_is_refused_by_several_processes(tmp_path: Path) -> None:
    assert notebook(tmp_path, 2).startswith("__main__:Mine is defined in a notebook or script, from which 2 new proc")
