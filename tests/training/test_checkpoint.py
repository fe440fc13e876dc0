from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from recsys.data.prepare import prepare
from recsys.errors import DataError
from recsys.training import checkpoint
from recsys.training.build import Built, build
from recsys.training.strategy import table_weights
from recsys.training.task import dense_optimizer
from tests.training.logs import make_config


@pytest.fixture
def make_built(log: Path, tmp_path: Path) -> Callable[[int], Built]:
    def make(seed: int) -> Built:
        prepared = prepare(make_config(tmp_path, train={"seed": seed}), log, log / "cache", None)
        return build(prepared.plan, prepared.state, device=torch.device("cpu"))

    return make


def test_what_is_loaded_is_what_was_saved(make_built: Callable[[int], Built], tmp_path: Path) -> None:
    saved, other = make_built(1), make_built(2)
    optimizer = dense_optimizer(saved.model, saved.plan.config.train.dense_optimizer)
    checkpoint.save(tmp_path / "last", saved.model, optimizer, {"step": 7})
    assert checkpoint.load(tmp_path / "last", other.model) == {"step": 7}
    for name, table in table_weights(saved.model).items():
        assert torch.equal(table_weights(other.model)[name], table)
    for one, same in zip(other.model.module.tower.parameters(), saved.model.module.tower.parameters(), strict=True):
        assert torch.equal(one, same)


def test_a_copy_is_the_same_files(make_built: Callable[[int], Built], tmp_path: Path) -> None:
    built = make_built(1)
    optimizer = dense_optimizer(built.model, built.plan.config.train.dense_optimizer)
    checkpoint.save(tmp_path / "last", built.model, optimizer, {})
    checkpoint.copy(tmp_path / "last", tmp_path / "best")
    assert (tmp_path / "best" / "trainer.pt").samefile(tmp_path / "last" / "trainer.pt")
    checkpoint.save(tmp_path / "last", built.model, optimizer, {"step": 8})
    assert checkpoint.load(tmp_path / "best", built.model) == {}


def test_no_checkpoint_is_not_taken_for_one(make_built: Callable[[int], Built], tmp_path: Path) -> None:
    (tmp_path / ".last.tmp").mkdir()
    (tmp_path / ".last.tmp" / "trainer.pt").write_bytes(b"half")
    assert checkpoint.find(tmp_path / "last") is None
    with pytest.raises(DataError, match="last: no complete checkpoint there"):
        checkpoint.load(tmp_path / "last", make_built(1).model)


def test_ctrl_c_while_tables_are_written_is_still_ctrl_c_and_spares_the_former_checkpoint(
    make_built: Callable[[int], Built], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    built = make_built(1)
    optimizer = dense_optimizer(built.model, built.plan.config.train.dense_optimizer)
    checkpoint.save(tmp_path / "last", built.model, optimizer, {"step": 1})
    with monkeypatch.context() as patch:
        patch.setattr("torch.distributed.checkpoint.filesystem._write_item", interrupted)
        with pytest.raises(KeyboardInterrupt):
            checkpoint.save(tmp_path / "last", built.model, optimizer, {"step": 2})
    assert checkpoint.load(tmp_path / "last", built.model) == {"step": 1}
