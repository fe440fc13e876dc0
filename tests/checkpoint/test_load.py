"""Loading a checkpoint into a model."""

from pathlib import Path

import pytest
import torch
from torchrec.distributed.model_parallel import DistributedModelParallel

from recsys.checkpoint import saver
from recsys.checkpoint.diff import differences
from recsys.checkpoint.folder import find_checkpoint
from recsys.checkpoint.load import load_checkpoint
from recsys.checkpoint.metadata import read_metadata
from recsys.checkpoint.snapshot import tensors_of
from recsys.checkpoint.tensor_names import former_name
from recsys.config import SparseOptimizer
from recsys.model import CtrModel
from recsys.testing.tiny_tables import make_layout
from recsys.training.strategy import shard, table_weights


def make_model(seed: int) -> DistributedModelParallel:
    torch.manual_seed(seed)
    layout = make_layout({}, jagged=True)
    optimizer = SparseOptimizer(name="adagrad")
    return shard(CtrModel(layout.resolved, layout), optimizer, device=torch.device("cpu"), seed=seed)


def test_checkpoints_with_the_names_of_a_former_version_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, other = make_model(1), make_model(2)
    with monkeypatch.context() as patch:
        patch.setattr(saver, "tensors_of", lambda model: {former_name(n): t for n, t in tensors_of(model).items()})
        saver.save(tmp_path / "best", model, torch.optim.SGD(model.module.dense_arch.parameters()), {})
    found = find_checkpoint(tmp_path / "best")
    assert found is not None
    assert any(name.startswith("model.lookup.slots.") for name in read_metadata(found))
    saver.save(tmp_path / "last", model, torch.optim.SGD(model.module.dense_arch.parameters()), {})
    assert list(differences(tmp_path / "best", tmp_path / "last")) == []
    assert list(differences(tmp_path / "last", tmp_path / "best")) == []
    load_checkpoint(tmp_path / "best", other)
    for name, value in model.module.dense_arch.state_dict().items():
        assert torch.equal(value, other.module.dense_arch.state_dict()[name])
    tables = (table_weights(one) for one in (model, other))
    for first, second in zip(*(weights.values() for weights in tables), strict=True):
        assert torch.equal(first, second)
