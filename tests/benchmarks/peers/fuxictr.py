"""FuxiCTR: its models from `model_zoo` of its repository, its own loop, the hyper-parameters that BARS published.

The package holds loop and layers, the repository the models: a checkout is needed beside `pip install fuxictr`.
"""

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.peers.clock import Clock
from tests.benchmarks.peers.rows import Field, PeerRows

_SOURCES = {"DNN": "model_zoo/DNN/DNN_torch/src", "AutoInt": "model_zoo/AutoInt/src", "DIN": "model_zoo/DIN/src"}
_COMMON = {"batch_size": 4096, "learning_rate": 1e-3, "embedding_dim": 10}
_PLUS = {"dnn_hidden_units": [400, 400, 400], "net_dropout": 0.1, "batch_norm": True}
_OF_LATEST = {"attention_layers": 2, "num_heads": 4, "attention_dim": 128, "use_scale": True, "layer_norm": True}
_DIN = {
    "dnn_activations": "Dice",
    "attention_hidden_activations": "Dice",
    "din_target_field": ["item_id"],
    "din_sequence_field": ["hist_item_ids"],
    "din_use_softmax": True,
}
SETTINGS: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {
    # BARS, Frappe_x1
    ("frappe", "MLP"): (
        "DNN",
        _COMMON
        | {"hidden_units": [400, 400, 400], "net_dropout": 0.2, "batch_norm": True, "embedding_regularizer": 0.05},
    ),
    ("frappe", "AutoInt"): (
        "AutoInt",
        _COMMON
        | {"attention_layers": 6, "num_heads": 4, "attention_dim": 128, "embedding_regularizer": 0.05}
        | {"dnn_hidden_units": []},
    ),
    ("frappe", "AutoInt+"): (
        "AutoInt",
        _COMMON | _PLUS | _OF_LATEST | {"attention_layers": 5, "embedding_regularizer": 0.1},
    ),
    # BARS, MovielensLatest_x1; it has none for this set
    ("movielens1m", "AutoInt"): (
        "AutoInt",
        _COMMON | _OF_LATEST | {"embedding_regularizer": 0.01, "use_wide": True, "dnn_hidden_units": []},
    ),
    ("movielens1m", "AutoInt+"): (
        "AutoInt",
        _COMMON | _PLUS | _OF_LATEST | {"embedding_regularizer": 0.01, "use_wide": True},
    ),
    # BARS, AmazonElectronics_x1; it has none for this set
    ("beauty", "DIN"): (
        "DIN",
        _DIN
        | {"batch_size": 1024, "learning_rate": 5e-4, "embedding_dim": 64, "embedding_regularizer": 0.005}
        | {"attention_hidden_units": [512, 256], "attention_dropout": 0.1}
        | {"dnn_hidden_units": [1024, 512, 256], "net_dropout": 0.1, "batch_norm": True},
    ),
    # the sizes of pipelines/beauty_din
    ("beauty", "DIN, small"): (
        "DIN",
        _DIN
        | {"batch_size": 1024, "learning_rate": 1e-3, "embedding_dim": 16, "embedding_regularizer": 0.005}
        | {"attention_hidden_units": [80, 40], "dnn_hidden_units": [200, 80]},
    ),
}


def train(case: tuple[str, str], rows: PeerRows, folder: Path, clock: Clock, *, epochs: int, checkout: Path) -> None:
    """Train with `BaseModel.fit`, which stops after two epochs without a better AUC."""
    name, settings = SETTINGS[case]
    settings = dict(settings)
    batch_size = settings.pop("batch_size")
    feature_map = feature_map_of(rows.fields, folder, settings["embedding_dim"])
    files = {split: _write(rows, split, folder) for split in rows.splits}
    train_rows, valid_rows = importlib.import_module("fuxictr.pytorch.dataloaders").RankDataLoader(
        feature_map,
        stage="train",
        train_data=files["train"],
        valid_data=files["valid"],
        batch_size=batch_size,
        data_format="npz",
        num_workers=0,
    )
    model = build(name, feature_map, settings, folder, checkout)
    evaluate = model.evaluate

    def watched(*arguments: Any, **options: Any) -> Any:
        found = evaluate(*arguments, **options)
        clock.note(found["AUC"])
        return found

    model.evaluate = watched
    clock.start()
    model.fit(train_rows, epochs=epochs, validation_data=valid_rows)


def build(name: str, feature_map: Any, settings: dict[str, Any], folder: Path, checkout: Path) -> Any:
    """Return a model of the model zoo, ready to train."""
    sys.path.insert(0, str(checkout / _SOURCES[name]))
    model_class = getattr(importlib.import_module(name), name)
    importlib.import_module("fuxictr.pytorch.torch_utils").seed_everything(2021)
    (folder / feature_map.dataset_id).mkdir()  # for its checkpoints
    return model_class(
        feature_map,
        **settings,
        optimizer="adam",
        loss="binary_crossentropy",
        task="binary_classification",
        metrics=["AUC", "logloss"],
        monitor={"AUC": 1},
        model_root=str(folder),
        verbose=0,
    )


def feature_map_of(fields: list[Field], folder: Path, dim: int) -> Any:
    """Return what FuxiCTR's preprocessing would say of these columns."""
    feature_map = importlib.import_module("fuxictr.features").FeatureMap("rows", str(folder))
    feature_map.labels, feature_map.default_emb_dim = ["label"], dim
    for field in fields:
        spec: dict[str, Any] = {"source": "", "padding_idx": 0, "vocab_size": field.num_ids}
        if field.max_len is None:
            spec["type"] = "categorical"
        else:
            spec |= {"type": "sequence", "max_len": field.max_len}
            spec |= {"feature_encoder": None if field.history_of else "layers.MaskedAveragePooling()"}
        if field.history_of:
            spec["share_embedding"] = field.history_of
        feature_map.features[field.name] = spec
    feature_map.num_fields = feature_map.get_num_fields()
    feature_map.total_features = sum(field.num_ids for field in fields if not field.history_of)
    feature_map.set_column_index()
    return feature_map


def _write(rows: PeerRows, split: str, folder: Path) -> str:
    path = folder / f"{split}.npz"
    np.savez(path, **rows.splits[split], label=rows.labels[split])
    return str(path)
