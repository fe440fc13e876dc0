"""Several seeds of one configuration: which are trained, which go on, and which are refused."""

from pathlib import Path
from typing import Any

import pytest

import recsys
from recsys.api.seeds import train_each_seed
from recsys.errors import ConfigError, DataError
from tests.training.logs import BASE, clicks, steady

SPLITS = {"train": clicks(400, seed=0), "valid": clicks(200, seed=1), "test": clicks(200, seed=2)}
IN_MEMORY: dict[str, Any] = {key: value for key, value in BASE.items() if key != "data"}


def train(folder: Path, config: dict[str, Any], **options: Any) -> Any:
    given = {"runs_dir": folder / "runs", "cache_dir": folder / "cache", "device": "cpu"}
    return recsys.train(config, **given, **options, **SPLITS)


class Trainer:
    """Notes what it is asked to train, and begins it."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, str, bool]] = []
        self.configs: list[recsys.Config] = []

    def __call__(self, config: recsys.Config, *, name: str, runs_dir: Path, resume: Path | None) -> Any:
        self.asked.append((config.train.seed, name, resume is not None))
        self.configs.append(config)
        return runs_dir / name


def each_seed(tmp_path: Path, seeds: int = 3, **changes: Any) -> Trainer:
    trainer = Trainer()
    config = recsys.load_config({**IN_MEMORY, **changes})
    train_each_seed(
        config, seeds, trainer, tmp_path / "a", data_dir=tmp_path, cache_dir=tmp_path / "cache", log=lambda _: None
    )
    return trainer


def test_the_seeds_begin_with_that_of_the_configuration_and_name_the_runs(tmp_path: Path) -> None:
    found = each_seed(tmp_path, 2, train={"seed": 7})
    assert found.asked == [(7, "a-seed-7", False), (8, "a-seed-8", False)]


def test_all_seeds_see_the_split_of_the_first(tmp_path: Path) -> None:
    found = each_seed(tmp_path, data={"train": "all.parquet"})
    assert {config.data.split.seed for config in found.configs if config.data.split is not None} == {1}  # type: ignore[union-attr]


def test_a_seed_that_has_begun_goes_on(tmp_path: Path) -> None:
    (tmp_path / "a-seed-2").mkdir()
    (tmp_path / "a-seed-2" / "config.yaml").write_text("label: click\n")
    assert [is_resumed for _, _, is_resumed in each_seed(tmp_path).asked] == [False, True, False]


@pytest.mark.parametrize("seeds", [0, -1])
def test_there_is_at_least_one_seed(tmp_path: Path, seeds: int) -> None:
    with pytest.raises(ConfigError, match=f"seeds: must be at least 1, got {seeds}"):
        each_seed(tmp_path, seeds)


def test_torchrun_trains_one_seed_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    with pytest.raises(ConfigError, match="seed by seed"):
        each_seed(tmp_path)


def test_a_single_run_is_resumed_without_seeds(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="resume: is for one run"):
        recsys.train(IN_MEMORY, seeds=2, resume=tmp_path)


@pytest.mark.slow
def test_called_again_it_trains_what_is_missing_and_nothing_else(tmp_path: Path) -> None:
    lines: list[str] = []
    given: dict[str, Any] = {"log": lines.append, "name": "a"}
    config = {**IN_MEMORY, "train": IN_MEMORY["train"] | {"precision": "auto"}}
    first = train(tmp_path, config, seeds=2, **given)
    assert [run.path.name for run in first] == ["a-seed-1", "a-seed-2"]
    assert first[0].metrics["test.auc"] != first[1].metrics["test.auc"]
    alone = train(tmp_path, {**config, "train": config["train"] | {"seed": 2}}, **given)
    assert steady(alone.metrics) == steady(first[1].metrics)

    metrics = first[1].metrics
    (first[1].path / "metrics.json").unlink()
    lines.clear()
    again = train(tmp_path, config, seeds=2, **given)
    assert steady(again[1].metrics) == steady(metrics)
    folder = tmp_path / "runs"
    assert [line for line in lines if line.startswith("seed")] == [
        f"seed 1 (1 of 2): {folder / 'a-seed-1'} is finished",
        f"seed 2 (2 of 2): {folder / 'a-seed-2'} goes on",
    ]
    with pytest.raises(ConfigError, match="a-seed-1: was made with another configuration"):
        train(tmp_path, {**config, "train": config["train"] | {"epochs": 1}}, seeds=2, **given)
    with pytest.raises(DataError, match="a: exists already"):
        train(tmp_path, config, **given)
