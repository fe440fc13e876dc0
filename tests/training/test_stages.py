"""Tables that are trained in full first and then in the form in which they are served, all in one run."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar, Literal

import polars as pl
import pytest
import torch

from recsys.checkpoint import folder as checkpoint_files
from recsys.checkpoint.load import load_checkpoint
from recsys.config import Config, load_config
from recsys.config.schemes import CustomTable, TableSection
from recsys.embeddings import Scheme
from recsys.embeddings.scheme import StageStep
from recsys.embeddings.schemes.dedup import Dedup
from recsys.embeddings.schemes.deeplight import DeepLight
from recsys.embeddings.schemes.full import Full
from recsys.errors import ConfigError
from recsys.export.run import export_run
from recsys.training.build import load_run
from recsys.training.checkpoints import RunCheckpoints
from recsys.training.run import TrainResult
from recsys.training.stages import StagedSchedule
from recsys.training.strategy import table_weights
from recsys.training.task import CtrTask
from tests.training.interruptions import (
    STEPS,
    Stop,
    check_same,
    interrupted,
    interrupted_at_save,
    interrupted_in_batch,
    interrupted_in_validation,
)
from tests.training.logs import clicks, epochs, make_config, predictions, run, steady, write_config, write_log

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
TABLES: dict[str, dict[str, Any]] = {
    "dedup": {"scheme": "dedup", "blocks": 20},
    "deeplight": {"scheme": "deeplight", "density": 0.25},
}
SERVING = {"dedup": 4 * 8 * 20 + 4 * 34, "deeplight": 4 * (2 * 68 + 34 + 1)}
"""Bytes of the 34 ids of users and items, at width 8."""
TRAIN: dict[str, Any] = {
    "epochs": 4,
    "checkpoint_minutes": 0.0,
    "lr_schedule": {"name": "plateau", "factor": 0.5},
    "regularization": {"rows": 0.000125},
}


def staged(folder: Path, scheme: str, **train: Any) -> Config:
    return make_config(folder, tables={"all": {"features": ["user", "item"]} | TABLES[scheme]}, train=TRAIN | train)


@pytest.fixture(scope="module", params=sorted(TABLES))
def scheme(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def config(scheme: str, tmp_path_factory: pytest.TempPathFactory) -> Config:
    return staged(tmp_path_factory.mktemp(scheme), scheme)


@pytest.fixture(scope="module")
def said() -> list[str]:
    return []


@pytest.fixture(scope="module")
def whole(log: Path, config: Config, said: list[str], tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    said.clear()
    return run(log, tmp_path_factory.mktemp("runs") / "whole", config, log=said.append)


@pytest.fixture(scope="module")
def misleading(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log whose validation clicks are the opposite of its training clicks: each epoch is worse than the former."""
    folder = write_log(tmp_path_factory.mktemp("misleading"))
    clicks(400, seed=1).with_columns(click=1 - pl.col("click")).write_parquet(folder / "valid.parquet")
    return folder


def test_the_best_epoch_is_one_of_the_last_stage(whole: TrainResult, said: list[str]) -> None:
    lines = epochs(whole.folder)
    assert [(line["epoch"], line["stage"]) for line in lines] == [(1, 1), (2, 1), (3, 2), (4, 2)]
    best = max(lines[2:], key=lambda line: line["valid.auc"])
    assert whole.metrics["best_epoch"] == best["epoch"]
    assert whole.metrics["valid.auc"] == best["valid.auc"]
    begins = [line.partition(":")[0] for line in said if line.startswith(("epoch", "stage"))]
    assert begins == ["epoch 1", "epoch 2", "stage 2 of 2", "epoch 3", "epoch 4"]


def test_each_stage_begins_with_the_initial_learning_rates(scheme: str, misleading: Path, tmp_path: Path) -> None:
    run(misleading, tmp_path / "run", staged(tmp_path, scheme, epochs=6))
    lines = epochs(tmp_path / "run")
    assert [(line["stage"], line["lr"]) for line in lines[:4]] == [(1, 0.01), (1, 0.01), (1, 0.005), (2, 0.01)]


def test_served_bytes_are_those_of_what_is_exported(whole: TrainResult, scheme: str, tmp_path: Path) -> None:
    metrics = json.loads((whole.folder / "metrics.json").read_text())
    assert metrics["embedding_bytes.serving"] == SERVING[scheme]
    export_run(whole.folder, tmp_path / "bundle")  # raises if it scores differently
    model = torch.jit.load(tmp_path / "bundle" / "model.pt")  # type: ignore[no-untyped-call]
    tensors = [tensor for name, tensor in model.state_dict().items() if name.startswith("tables.")]
    assert sum(tensor.numel() * tensor.element_size() for tensor in tensors) == SERVING[scheme]


def test_the_best_model_has_the_form_in_which_it_is_served(whole: TrainResult) -> None:
    built = load_run(whole.folder, device=CPU)
    (table,) = built.layout.schemes.values()
    if isinstance(table, Dedup):
        assert len(table.block_map.unique()) == 20
    else:
        assert isinstance(table, DeepLight)
        assert int((table_weights(built.model)["all_table"] != 0).sum()) == table.num_entries == 68


def stop_before_the_switch() -> AbstractContextManager[None]:
    def start_next_stage(self: StagedSchedule) -> None:
        raise Stop

    return interrupted(StagedSchedule, "start_next_stage", start_next_stage)


STOPS: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "after a pruning": lambda: interrupted_in_batch(11),
    "in stage 1": lambda: interrupted_in_batch(STEPS + 6),
    "in the validation of stage 1": lambda: interrupted_in_validation(2),
    "before the switch": stop_before_the_switch,
    "after the switch": lambda: interrupted_at_save(1, is_saved=False),
    "after the saved switch": lambda: interrupted_at_save(1, is_saved=True),
    "first batch of stage 2": lambda: interrupted_in_batch(2 * STEPS + 1),
    "in stage 2": lambda: interrupted_in_batch(2 * STEPS + 5),
}


@pytest.mark.parametrize("where", list(STOPS))
def test_a_run_stopped_anywhere_ends_as_if_it_had_not_been(
    where: str, log: Path, config: Config, whole: TrainResult, tmp_path: Path
) -> None:
    with STOPS[where]():
        run(log, tmp_path / "run", config)
    resumed = run(log, tmp_path / "run", config, resume=True)
    assert steady(resumed.metrics) == steady(whole.metrics)
    check_same(tmp_path / "run", whole.folder)
    same_model(tmp_path / "run", whole.folder)


def same_model(first: Path, second: Path) -> None:
    one, other = (load_run(folder, device=CPU) for folder in (first, second))
    for name, weight in table_weights(one.model).items():
        assert torch.equal(weight, table_weights(other.model)[name])
    for mine, others in zip(one.layout.schemes.values(), other.layout.schemes.values(), strict=True):
        for name, tensor in mine.state_dict().items():
            assert torch.equal(tensor, others.state_dict()[name])


def test_a_run_stopped_in_both_stages_ends_as_if_it_had_not_been(
    log: Path, config: Config, whole: TrainResult, tmp_path: Path
) -> None:
    for resume, where in enumerate(["in stage 1", "after the switch", "in stage 2"]):
        with STOPS[where]():
            run(log, tmp_path / "run", config, resume=bool(resume))
    run(log, tmp_path / "run", config, resume=True)
    check_same(tmp_path / "run", whole.folder)


def test_dedup_goes_on_from_the_best_epoch_when_early_stopping_ends_its_first_stage(
    misleading: Path, tmp_path: Path
) -> None:
    """Validation grows worse with each epoch, so that the first one is the best of both stages."""
    config = staged(tmp_path, "dedup", epochs=12, early_stopping={"patience": 2}, lr_schedule="constant")
    said: list[str] = []
    seen: dict[str, torch.Tensor] = {}
    original = Dedup.next_stage

    def next_stage(self: Dedup, weights: dict[str, torch.Tensor]) -> None:
        seen["begin"] = weights["all_table"].clone()
        original(self, weights)

    def copy(source: Path, folder: Path) -> None:
        copied(source, folder)
        if not (tmp_path / "best").exists():
            shutil.copytree(folder, tmp_path / "best")

    copied = checkpoint_files.link_checkpoint
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Dedup, "next_stage", next_stage)
        patch.setattr(checkpoint_files, "link_checkpoint", copy)
        trained = run(misleading, tmp_path / "run", config, log=said.append)
    built = load_run(tmp_path / "run", device=CPU)
    load_checkpoint(tmp_path / "best", built.model)
    assert [line["stage"] for line in epochs(tmp_path / "run")] == [1, 1, 1, 2, 2, 2]
    assert trained.metrics["best_epoch"] == 4
    assert torch.equal(seen["begin"], table_weights(built.model)["all_table"])
    assert [line for line in said if line.startswith("stage")] == [
        "stage 2 of 2: from epoch 1 on, tables have the form in which they are served: all (dedup)"
    ]


def test_early_stopping_is_resumed_to_the_last_bit(misleading: Path, tmp_path: Path) -> None:
    config = staged(tmp_path, "dedup", epochs=12, early_stopping={"patience": 2}, lr_schedule="constant")
    whole = run(misleading, tmp_path / "whole", config)
    for name in ("before the switch", "after the switch", "after the saved switch"):
        with STOPS[name]():
            run(misleading, tmp_path / name, config)
        run(misleading, tmp_path / name, config, resume=True)
        check_same(tmp_path / name, whole.folder)


def test_deeplight_prunes_for_half_of_the_epochs_whatever_early_stopping_thinks(
    misleading: Path, tmp_path: Path
) -> None:
    config = staged(tmp_path, "deeplight", epochs=8, early_stopping={"patience": 2}, lr_schedule="constant")
    trained = run(misleading, tmp_path / "run", config)
    stages = [line["stage"] for line in epochs(tmp_path / "run")]
    assert stages[:4] == [1, 1, 1, 1]
    assert set(stages[4:]) == {2}
    assert trained.metrics["best_epoch"] > 4


def test_both_schemes_in_one_model(log: Path, tmp_path: Path) -> None:
    tables = {
        "users": {"features": ["user"]} | TABLES["dedup"] | {"blocks": 9},
        "items": {"features": ["item"]} | TABLES["deeplight"],
    }
    said: list[str] = []
    trained = run(log, tmp_path / "run", make_config(tmp_path, tables=tables, train=TRAIN), log=said.append)
    assert trained.metrics["best_epoch"] > 2
    assert [line.partition("served: ")[2] for line in said if line.startswith("stage")] == [
        "users (dedup), items (deeplight)"
    ]
    export_run(tmp_path / "run", tmp_path / "bundle")


def test_a_budget_is_kept_by_the_exported_table(log: Path, scheme: str, tmp_path: Path) -> None:
    table = {"features": ["user", "item"], "scheme": scheme, "budget": 0.3}
    config = make_config(tmp_path, tables={"all": table}, train=TRAIN | {"epochs": 2})
    trained = run(log, tmp_path / "run", config)
    assert 0.2 * 4 * 8 * 34 < trained.metrics["embedding_bytes.serving"] <= 0.3 * 4 * 8 * 34
    export_run(tmp_path / "run", tmp_path / "bundle")
    assert predictions(tmp_path / "run")["score"].n_unique() > 10


def test_a_single_epoch_is_refused_when_the_configuration_is_read(scheme: str, tmp_path: Path) -> None:
    path = write_config(
        tmp_path / "c.yaml", tables={"all": {"features": ["user", "item"]} | TABLES[scheme]}, train={"epochs": 1}
    )
    with pytest.raises(
        ConfigError, match=rf"train\.epochs: must be at least 2, got 1: .* 2 stages are tables all \({scheme}\)"
    ):
        load_config(path)


class ThreeStagesTable(TableSection):
    num_stages: ClassVar[int] = 3

    scheme: Literal["three_stages"]


class ThreeStages(Full):
    """A scheme of a user's own, which tells of all that it is asked to do."""

    section = ThreeStagesTable
    told: list[Any] = []  # noqa: RUF012

    def after_step(self, place: StageStep, weights: Any) -> None:
        self.told.append(place)

    def before_validation(self, weights: Any) -> None:
        self.told.append("validation")

    def next_stage(self, weights: Any) -> None:
        self.told.append("next")


@pytest.fixture
def told() -> Iterator[list[Any]]:
    ThreeStages.told.clear()
    yield ThreeStages.told
    ThreeStages.told.clear()


def custom(folder: Path, kind: type[Scheme], **train: Any) -> Config:
    table = {"features": ["user"], "scheme": f"{__name__}:{kind.__name__}"}
    return make_config(folder, tables={"users": table}, train=TRAIN | train)


@pytest.mark.parametrize(("num_epochs", "expected"), [(3, [1, 2, 3]), (4, [1, 1, 2, 3]), (7, [1, 1, 1, 1, 2, 2, 3])])
def test_every_stage_gets_half_of_what_is_left_and_an_epoch_at_least(
    num_epochs: int, expected: list[int], told: list[Any], log: Path, tmp_path: Path
) -> None:
    trained = run(log, tmp_path / "run", custom(tmp_path, ThreeStages, epochs=num_epochs))
    assert [line["stage"] for line in epochs(tmp_path / "run")] == expected
    assert trained.metrics["best_epoch"] == num_epochs
    steps: list[Any] = []
    for i, stage in enumerate(expected):
        first = expected.index(stage)
        at_most = expected.count(stage) * STEPS
        steps += [StageStep((i - first) * STEPS + step, at_most, STEPS) for step in range(1, STEPS + 1)]
        steps += ["validation"] + ["next"] * (expected[i + 1 : i + 2] == [stage + 1])
    assert told == steps


def test_steps_tell_what_is_left_of_the_learning_rates(told: list[Any], log: Path, tmp_path: Path) -> None:
    run(log, tmp_path / "run", custom(tmp_path, OneStage, epochs=8))
    rates = [place.rate for place in told if isinstance(place, StageStep)][::STEPS]
    lrs = [line["lr"] for line in epochs(tmp_path / "run")]
    assert len(set(lrs)) > 1
    assert rates == [lr / lrs[0] for lr in lrs]


def test_fewer_epochs_than_stages_of_a_users_own_scheme_are_refused(told: list[Any], log: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"train\.epochs: must be at least 3, got 2: .* tables users \(.*Three"):
        run(log, tmp_path / "run", custom(tmp_path, ThreeStages, epochs=2))


class TwoPasses(Full):
    """A scheme of a user's own, which counts its second passes."""

    passes: torch.Tensor

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.register_buffer("passes", torch.zeros(()))
        self.leaf = torch.ones(())

    def combine(self, rows: list[torch.Tensor], id_V: torch.Tensor, feature_index: int) -> torch.Tensor:
        return rows[0] * self.leaf

    def gradient_leaves(self) -> list[torch.Tensor]:
        self.leaf = torch.ones((), requires_grad=True)
        return [self.leaf]

    def apply_gradients(self, gradients: list[torch.Tensor], num_rows: int) -> None:
        assert gradients[0] != 0
        self.leaf = torch.ones(())
        self.passes += 1


def test_a_checkpoint_inside_an_epoch_holds_the_second_pass_of_its_step(log: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def save(self: RunCheckpoints, task: CtrTask, *arguments: Any) -> None:
        (table,) = (one for one in task.model.module.dense_arch.schemes.values() if isinstance(one, TwoPasses))
        seen.append((self.progress.step, int(table.passes)))
        original(self, task, *arguments)

    original = RunCheckpoints.save
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunCheckpoints, "save", save)
        run(log, tmp_path / "run", custom(tmp_path, TwoPasses, epochs=2))
    assert seen == [(step, step) for step in range(1, 2 * STEPS + 1)]


class OneStage(ThreeStages):
    section = CustomTable


def test_schemes_of_one_stage_are_called_too(told: list[Any], log: Path, tmp_path: Path) -> None:
    run(log, tmp_path / "run", custom(tmp_path, OneStage, epochs=2))
    assert told.count("validation") == 2
    assert told[STEPS - 1] == StageStep(STEPS, 2 * STEPS, STEPS)
    assert "next" not in told
    assert "stage" not in epochs(tmp_path / "run")[0]
