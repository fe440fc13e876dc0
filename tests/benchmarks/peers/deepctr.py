"""DeepCTR-Torch: its own loop and, since it publishes none for these sets, its default hyper-parameters."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.peers.clock import Clock
from tests.benchmarks.peers.rows import Field, PeerRows
from tests.benchmarks.peers.unpublished import BATCH_SIZES, DIM, SETTINGS

__all__ = ["SETTINGS", "train"]

MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "AutoInt": ("AutoInt", {"dnn_hidden_units": ()}),
    "AutoInt+": ("AutoInt", {"dnn_hidden_units": (400, 400, 400)}),
    "DIN": ("DIN", {"att_weight_normalization": True}),
}


def train(case: tuple[str, str], rows: PeerRows, folder: Path, clock: Clock, *, epochs: int, checkout: Path) -> None:
    """Train with `BaseModel.fit`; a callback notes the AUC, and stops after two epochs without a better one."""
    inputs = importlib.import_module("deepctr_torch.inputs")
    callbacks = importlib.import_module("deepctr_torch.callbacks")
    columns: list[Any] = [inputs.SparseFeat(field.name, field.num_ids, DIM) for field in rows.single]
    for field in rows.lists:
        name = _name(field)
        sparse = inputs.SparseFeat(name, field.num_ids, DIM, embedding_name=field.history_of or name)
        columns.append(inputs.VarLenSparseFeat(sparse, field.max_len, length_name=f"{name}_length"))

    class Watch(callbacks.Callback):  # type: ignore[misc, name-defined]
        def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
            clock.note(logs["val_auc"])

    name, settings = MODELS[case[1]]
    model_class = getattr(importlib.import_module("deepctr_torch.models"), name)
    if name == "DIN":
        model = model_class(columns, [field.history_of for field in rows.lists if field.history_of], **settings)
    else:
        model = model_class(columns, columns, **settings)
    model.compile("adam", "binary_crossentropy", metrics=["auc"])
    ((train_x, train_y), valid) = (_inputs(rows, split) for split in ("train", "valid"))
    clock.start()
    model.fit(
        train_x,
        train_y,
        batch_size=BATCH_SIZES[case[0]],
        epochs=epochs,
        verbose=0,
        validation_data=valid,
        callbacks=[Watch(), callbacks.EarlyStopping(monitor="val_auc", mode="max", patience=2)],
    )


def _name(field: Field) -> str:
    """Return the name under which the model's DIN knows a history."""
    return f"hist_{field.history_of}" if field.history_of else field.name


def _inputs(rows: PeerRows, split: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    columns = {field.name: rows.splits[split][field.name] for field in rows.single}
    for field in rows.lists:
        ids = rows.splits[split][field.name]
        columns |= {_name(field): ids, f"{_name(field)}_length": (ids > 0).sum(axis=1)}
    return columns, rows.labels[split]
