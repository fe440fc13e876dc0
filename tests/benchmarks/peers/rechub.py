"""torch-rechub: its own loop and, since it publishes none for these sets, the hyper-parameters of its examples."""

import importlib
from pathlib import Path
from typing import Any

from tests.benchmarks.peers.clock import Clock
from tests.benchmarks.peers.rows import PeerRows
from tests.benchmarks.peers.unpublished import BATCH_SIZES, DIM, SETTINGS

__all__ = ["SETTINGS", "train"]


def train(case: tuple[str, str], rows: PeerRows, folder: Path, clock: Clock, *, epochs: int, checkout: Path) -> None:
    """Train with `CTRTrainer.fit`; a logger, as it has them, notes the AUC."""
    features = importlib.import_module("torch_rechub.basic.features")
    ranking = importlib.import_module("torch_rechub.models.ranking")
    data = importlib.import_module("torch_rechub.utils.data")
    single = [features.SparseFeature(field.name, field.num_ids, DIM) for field in rows.single]
    lists = [
        features.SequenceFeature(
            field.name,
            field.num_ids,
            DIM,
            pooling="concat" if field.history_of else "mean",
            shared_with=field.history_of,
            padding_idx=0,
        )
        for field in rows.lists
    ]
    model: Any
    if case[1] == "DIN":  # it needs a field beside the target: the target's copy
        copy = features.SparseFeature("copy", rows.single[0].num_ids, DIM, shared_with=rows.single[0].name)
        model = ranking.DIN(
            features=[copy],
            history_features=lists,
            target_features=single,
            mlp_params={"dims": [256, 128]},
            attention_mlp_params={"dims": [256, 128]},
        )
    else:
        mlp = {"dims": [400, 400, 400], "dropout": 0.2, "activation": "relu"} if case[1] == "AutoInt+" else None
        model = ranking.AutoInt([*single, *lists], [], mlp_params=mlp)

    class Watch:
        def log_hyperparams(self, params: dict[str, Any]) -> None:
            clock.start()

        def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
            if "val/auc" in metrics:
                clock.note(metrics["val/auc"])

        def finish(self) -> None:
            pass

    columns = {split: dict(found) for split, found in rows.splits.items()}
    if case[1] == "DIN":
        for found in columns.values():
            found["copy"] = found[rows.single[0].name]
    train_rows, valid_rows, _ = data.DataGenerator(columns["train"], rows.labels["train"]).generate_dataloader(
        x_val=columns["valid"],
        y_val=rows.labels["valid"],
        x_test=columns["valid"],
        y_test=rows.labels["valid"],
        batch_size=BATCH_SIZES[case[0]],
    )
    trainer = importlib.import_module("torch_rechub.trainers").CTRTrainer(
        model, n_epoch=epochs, earlystop_patience=2, model_path=str(folder), model_logger=Watch()
    )
    trainer.fit(train_rows, valid_rows)
