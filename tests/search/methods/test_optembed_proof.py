"""The acceptance checks 19 to 21 of OptEmbed, on data with a field of noise."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from recsys.config import Config, load_config
from recsys.data.prepared import Prepared
from recsys.search.best_yaml import shape_changes, write_yaml
from recsys.search.methods.base import Request
from recsys.search.methods.optembed import OptEmbed
from recsys.search.shape import TableShape
from recsys.search.supernet import gated_tables, score_shapes, table_bytes
from recsys.training.build import LoadedModel, load_run
from recsys.training.run import train
from recsys.training.strategy import table_weights
from tests.search.low_rank import make_low_rank, train_supernet

pytestmark = pytest.mark.proof

SEEDS = (1, 2, 3, 4)


class Searched(NamedTuple):
    """A trained supernet, and what is proposed for half of the bytes."""

    data: Path
    """Folder of the log and its config.yaml."""
    loaded: LoadedModel
    prepared: Prepared
    shapes: dict[str, TableShape]


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> list[Searched]:
    found = []
    for seed in SEEDS:
        folder = tmp_path_factory.mktemp(f"seed{seed}")
        prepared = make_low_rank(folder, seed=seed, fields=("user", "item", "noise"))
        loaded = train_supernet(OptEmbed(), prepared, folder / "run")
        budget = table_bytes(loaded, {}).serving // 2
        request = Request(loaded=loaded, prepared=prepared, budgets=[budget], state=folder)
        (candidate,) = OptEmbed().candidates(request)
        found.append(Searched(folder, loaded, prepared, dict(candidate.shapes)))
    return found


def test_19_more_rows_of_noise_are_pruned_than_of_fields_that_matter(searched: list[Searched]) -> None:
    for one in searched:
        left = {name: shape.serving_bytes / (shape.num_ids * shape.dim) for name, shape in one.shapes.items()}
        assert left["noise"] <= min(left["user"], left["item"])
        weights = table_weights(one.loaded.model)
        kept = {name: scheme.kept_rows(weights) for name, scheme in gated_tables(one.loaded).items()}
        shares = {name: float(rows[1:].float().mean()) for name, rows in kept.items() if rows is not None}
        assert shares["noise"] <= min(shares["user"], shares["item"])


def test_20_a_model_that_is_trained_again_is_the_same_each_time_and_keeps_what_it_was_given(
    searched: list[Searched], tmp_path: Path
) -> None:
    config = best_yaml(searched[0], tmp_path)
    aucs = {auc_of_test_rows(config, searched[0], tmp_path / name) for name in ("once", "again")}
    assert len(aucs) == 1
    loaded = load_run(tmp_path / "again", device=torch.device("cpu"))
    found = {name: one.serving_bytes() for name, one in loaded.layout.schemes.items()}
    assert sum(found.values()) == sum(shape.serving_bytes for shape in searched[0].shapes.values())


def test_21_a_model_that_is_trained_again_beats_the_masked_supernet(searched: list[Searched], tmp_path: Path) -> None:
    masked, trained, plain = [], [], []
    for seed, one in zip(SEEDS, searched, strict=True):
        test = one.prepared.splits["test"]
        masked.append(score_shapes(one.loaded, test, one.shapes).metrics(["label"])["auc"])
        trained.append(auc_of_test_rows(best_yaml(one, tmp_path / f"best{seed}"), one, tmp_path / f"trained{seed}"))
        plain.append(auc_of_test_rows(one.prepared.resolved.config, one, tmp_path / f"plain{seed}"))
        print(f"\nseed {seed}: masked {masked[-1]:.4f}, trained again {trained[-1]:.4f}, plain {plain[-1]:.4f}")
    assert sum(again >= before for again, before in zip(trained, masked, strict=True)) >= 3
    assert np.mean(trained) > np.mean(plain) - 0.002


def best_yaml(one: Searched, folder: Path) -> Config:
    """Return what a search writes for the user: a dropped feature is not read, and pruned ids are unknown."""
    path = one.data / "config.yaml"
    found = shape_changes(load_config(path), one.prepared, one.shapes, kept=folder / "kept")
    write_yaml(path, found.keys, folder / "best.yaml", files=found.files)
    return load_config(folder / "best.yaml")


def auc_of_test_rows(config: Config, one: Searched, folder: Path) -> float:
    result = train(
        config, data_dir=one.data, cache_dir=one.data / "cache", folder=folder, device="cpu", log=lambda _: None
    )
    return result.metrics["test.auc"]
