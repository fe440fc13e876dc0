from pathlib import Path

import pytest
import torch

from recsys.errors import ConfigError, EnvironmentError_
from recsys.training.run import train
from recsys.training.strategy import pick_device
from tests.training.logs import make_config, run


def test_adam_for_tables_is_refused_on_a_cpu(log: Path, tmp_path: Path) -> None:
    config = make_config(tmp_path, train={"sparse_optimizer": {"name": "adam", "lr": 0.001}})
    with pytest.raises(ConfigError, match=r"sparse_optimizer\.name: adam runs on CUDA only; on a CPU use rowwise"):
        run(log, tmp_path / "run", config)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_cuda_is_refused_where_there_is_none(log: Path, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentError_, match="torch sees no CUDA device; see `recsys doctor`"):
        train(make_config(tmp_path), data_dir=log, cache_dir=log / "cache", folder=tmp_path / "run", device="cuda")
    assert pick_device().type == "cpu"


def test_another_device_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^device: must be cpu or cuda, got 'tpu'$"):
        pick_device("tpu")
