"""Models of a Triton model repository: read as Triton reads them, but for its server."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from recsys.errors import ExportError
from recsys.export.triton import config_text, write_triton_model
from recsys.features.transform import canonical_inputs

pytestmark = pytest.mark.slow
TYPES = {model_config_pb2.TYPE_INT64: torch.int64, model_config_pb2.TYPE_FP64: torch.float64}


def test_the_model_scores_its_golden_rows_from_exactly_the_inputs_of_its_configuration(
    bundle: Path, tmp_path: Path
) -> None:
    folder = write_triton_model(bundle, tmp_path / "models")
    assert folder == tmp_path / "models" / "shop"
    config = text_format.Parse((folder / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())
    assert (config.name, config.backend, config.max_batch_size) == (folder.name, "pytorch", 0)
    assert [group.kind for group in config.instance_group] == [model_config_pb2.ModelInstanceGroup.KIND_CPU]
    golden = pl.read_parquet(folder / "golden.parquet")
    given = canonical_inputs(golden.drop("score.click", "score.buy"))
    inputs = {one.name: torch.tensor(given[one.name], dtype=TYPES[one.data_type]) for one in config.input}
    assert all(list(one.dims) == [-1] for one in config.input)
    scores = torch.jit.load(folder / "1" / "model.pt")(inputs)
    (output,) = config.output
    assert (output.name, TYPES[output.data_type], list(output.dims)) == ("OUTPUT__0", scores.dtype, [-1, 2])
    np.testing.assert_allclose(scores.numpy(), golden.select("score.click", "score.buy").to_numpy(), rtol=0, atol=1e-6)


def test_a_former_model_is_replaced_and_nothing_else(bundle: Path, tmp_path: Path) -> None:
    write_triton_model(bundle, tmp_path)
    (tmp_path / "shop" / "1" / "model.pt").write_text("old")
    write_triton_model(bundle, tmp_path)
    assert (tmp_path / "shop" / "1" / "model.pt").read_bytes() == (bundle / "model.pt").read_bytes()
    (tmp_path / "shop" / "config.pbtxt").unlink()
    with pytest.raises(ExportError, match=r"is not a model of Triton \(it has no config.pbtxt\)"):
        write_triton_model(bundle, tmp_path)


def test_names_of_any_characters_are_kept() -> None:
    name = 'Größe "x"\\y'
    inputs = [{"dtype": "float64", "tensors": {name: "(rows,)"}}]
    text = config_text("shop", {"inputs": inputs, "outputs": [{}]})
    assert text_format.Parse(text, model_config_pb2.ModelConfig()).input[0].name == name
