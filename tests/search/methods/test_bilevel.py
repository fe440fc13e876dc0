"""The schedules of bi-level methods: who moves on which batch, when stages end, and what an interruption changes.

The acceptance check 10 of DNIS is here.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from recsys.config import Config
from recsys.data.prepared import Prepared
from recsys.embeddings.gates.gated import Gated
from recsys.errors import ConfigError
from recsys.ranks import World
from recsys.run_folder import RunFolder
from recsys.search.methods.bilevel import AlternatingSchedule, WarmStartSchedule
from recsys.search.methods.dnis import Dnis
from recsys.towers.layers import Dice
from recsys.training.run import TrainResult
from recsys.training.schedule import ScheduleContext
from recsys.training.task import frozen_batch_norm
from tests.search.nets import build_supernet, make_prepared
from tests.training.interruptions import check_same, interrupted_in_batch
from tests.training.logs import epochs, run

EPOCHS = 2


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Return data for a configuration whose learning rates are set in each step, which must not thaw the dense part."""
    model = {"tower": "mlp", "dim": 8, "mlp": [16], "batch_norm": True, "dropout": 0.1}
    train = {"epochs": EPOCHS, "early_stopping": {"patience": 1}, "checkpoint_minutes": 0.0, "lr_schedule": "cosine"}
    return make_prepared(tmp_path_factory.mktemp("log"), model=model, train=train)


@pytest.fixture(scope="module")
def config(prepared: Prepared) -> Config:
    return Dnis().supernet(prepared)


@pytest.fixture(scope="module")
def log(prepared: Prepared) -> Path:
    return prepared.folder.parents[1] / "data"


class Watched(WarmStartSchedule):
    """Notes what moved in each half of a step of the search."""

    moved: ClassVar[list[dict[str, set[str]]]] = []
    averaging: ClassVar[set[bool]] = set()
    """Whether batch normalization took the averages of a batch when the gates learnt."""

    def train_step(self) -> None:
        with self.noting("train"):
            super().train_step()

    def learn_gates(self) -> None:
        layers = self.context.loaded.model.module.dense_arch.tower.modules()
        self.averaging |= {layer.training for layer in layers if hasattr(layer, "running_mean")}
        with self.noting("gates"):
            super().learn_gates()

    @contextmanager
    def noting(self, half: str) -> Iterator[None]:
        before = self.state()
        yield
        after = self.state()
        moved = {kind for kind, tensors in after.items() if not all(map(torch.equal, tensors, before[kind]))}
        if self.context.progress.stage == 1:
            self.moved.append({half: moved})

    def state(self) -> dict[str, list[Tensor]]:
        model = self.context.loaded.model.module
        schemes = [scheme for scheme in self.schemes if isinstance(scheme, Gated)]
        return {
            "tables": [weight.clone() for weight in self.weights.values()],
            "dense": [one.detach().clone() for one in model.dense_arch.tower.parameters()],
            "statistics": [one.clone() for one in model.dense_arch.tower.buffers()],
            "gates": [leaf.clone() for scheme in schemes for leaf in scheme.gate.leaves()],
        }


@pytest.fixture(scope="module")
def searched(config: Config, log: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    Watched.moved.clear()
    Watched.averaging.clear()
    return run(log, tmp_path_factory.mktemp("runs") / "searched", config, schedule=Watched)


def test_10_a_validation_batch_moves_gates_alone_and_a_training_batch_tables_alone(searched: TrainResult) -> None:
    assert searched
    halves: dict[str, list[set[str]]] = {"train": [], "gates": []}
    for step in Watched.moved:
        for half, moved in step.items():
            halves[half].append(moved)
    assert all(moved == {"gates"} for moved in halves["gates"])
    assert halves["gates"]
    assert all(moved == {"tables", "gates"} for moved in halves["train"])  # of which the gates moved in their half


def test_gates_and_tables_learn_for_the_batch_norm_that_is_scored(searched: TrainResult) -> None:
    assert searched
    assert Watched.averaging == {False}


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(3), Dice(3)], ids=["batch norm", "Dice"])
def test_frozen_batch_norm_is_that_of_evaluation(layer: nn.Module) -> None:
    model = nn.Sequential(nn.Linear(2, 3), layer)
    rows = torch.randn(9, 2) + 3
    model(rows)
    before = [one.clone() for one in model.buffers()]
    with frozen_batch_norm(model):
        frozen = model(rows)
    assert all(map(torch.equal, model.buffers(), before))
    assert all(one.training for one in model.modules())
    assert not torch.equal(frozen, model(rows))
    for buffer, kept in zip(model.buffers(), before, strict=True):
        buffer.copy_(kept)
    torch.testing.assert_close(frozen, model.eval()(rows))


def test_the_search_is_half_as_long_as_the_warm_start_up_to_its_best_epoch(searched: TrainResult) -> None:
    lines = epochs(searched.folder)
    rates = [line["lr"] for line in lines]
    warm = len([rate for rate in rates if rate > 0])
    assert 1 <= warm <= EPOCHS
    assert len(rates) - warm == 1  # half of 1 or 2
    assert rates[warm:] == [0.0]
    assert searched.metrics["best_epoch"] > warm


def test_a_search_that_was_interrupted_goes_on_to_the_same_bits(
    searched: TrainResult, config: Config, log: Path, tmp_path: Path
) -> None:
    steps_per_epoch = 13
    step = steps_per_epoch * (len(epochs(searched.folder)) - 1) + 5
    with interrupted_in_batch(step, is_saved=True):
        run(log, tmp_path / "resumed", config, schedule=WarmStartSchedule)
    run(log, tmp_path / "resumed", config, schedule=WarmStartSchedule, resume=True)
    assert RunFolder(tmp_path / "resumed").read_metrics()["valid.auc"] == searched.metrics["valid.auc"]
    check_same(tmp_path / "resumed", searched.folder)


def test_gates_and_weights_take_turns_from_the_first_step_where_there_is_no_warm_start(
    prepared: Prepared, config: Config, log: Path, tmp_path: Path
) -> None:
    train = config.train.model_copy(update={"epochs": 1})
    once = config.replaced(train=train)
    result = run(log, tmp_path / "run", once, schedule=AlternatingSchedule)
    (line,) = epochs(result.folder)
    assert 0 < line["lr"] < 0.01  # the last of a cosine


class Kept(AlternatingSchedule):
    """A schedule that outlives its training, as in a notebook."""

    made: ClassVar[list["Kept"]] = []

    def __init__(self, context: ScheduleContext) -> None:
        super().__init__(context)
        self.reader.batch_size = 1  # so that the split is not read to its end
        self.made.append(self)


def test_no_validation_batches_are_prepared_when_training_is_over(config: Config, log: Path, tmp_path: Path) -> None:
    once = config.replaced(train=config.train.model_copy(update={"epochs": 1}))
    run(log, tmp_path / "run", once, schedule=Kept)
    (kept,) = Kept.made
    assert kept.reader.num_batches > 100
    assert not [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def test_several_processes_are_refused(prepared: Prepared) -> None:
    loaded = build_supernet(prepared, gate="dnis")
    several = type(loaded)(loaded.resolved, loaded.state, loaded.layout, loaded.model, World(0, 2, 0, 2))
    context: Any = ScheduleContext(several, *[None] * 3, 1, print, prepared.splits)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="start it without --devices"):
        AlternatingSchedule(context)
