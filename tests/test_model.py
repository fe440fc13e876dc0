"""The model on TorchRec's tables against plain indexing, row by row."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torchrec.distributed.model_parallel import DistributedModelParallel

from recsys.config import Config, ResolvedConfig, SparseOptimizer, resolve
from recsys.data.rows import Jagged, Rows
from recsys.embeddings import FeatureVocabulary, Layout
from recsys.errors import DataError
from recsys.model import CtrModel, Output
from recsys.towers import Behaviour
from recsys.training.strategy import shard, table_weights

NUM_IDS = {"user": 6, "item": 7, "shop": 4, "tags": 5, "marks": 4, "moods": 3}
FEATURES: dict[str, Any] = {
    "user": {"type": "id"},
    "item": {"type": "id"},
    "price": {"type": "number"},
    "shop": {"type": "id"},
    "tags": {"type": "ids"},
    "marks": {"type": "sequence", "behaviour": "clicks"},
    "items": {"type": "sequence", "of": "item", "behaviour": "clicks"},
    "shops": {"type": "sequence", "of": "shop", "behaviour": "clicks"},
    "moods": {"type": "sequence"},
}
SINGLE = {"user": [1, 5, 0], "item": [6, 2, 2], "shop": [3, 0, 1]}
LISTS: dict[str, list[list[int]]] = {
    "tags": [[4, 4, 1], [], [2]],
    "items": [[1, 6], [], [2, 2, 3]],
    "shops": [[3, 0], [], [1, 1, 2]],
    "marks": [[2, 1], [], [0, 3, 3]],
    "moods": [[], [2, 1], [1]],
}
PRICES = [0.5, -1.0, 2.0]


def rows(lists: dict[str, list[list[int]]] = LISTS) -> Rows:
    return Rows(
        single={name: torch.tensor(ids, dtype=torch.int32) for name, ids in SINGLE.items()},
        lists={
            name: Jagged(
                torch.tensor([one for row in ids for one in row], dtype=torch.int32),
                torch.tensor([len(row) for row in ids], dtype=torch.int32),
            )
            for name, ids in lists.items()
        },
        numbers=torch.tensor(PRICES).unsqueeze(1),
        labels=torch.zeros(3, 1),
        weights=None,
        groups=None,
        num_rows=3,
        batch_rows=3,
    )


def make(
    model: dict[str, Any], *, tables: dict[str, Any] | None = None, pooling: str = "mean", regularized: bool = False
) -> tuple[ResolvedConfig, Layout, DistributedModelParallel]:
    features = FEATURES | {"tags": {"type": "ids", "pooling": pooling}}
    config = Config.model_validate(
        {"label": "y", "features": features, "tables": tables or {}, "model": model}, strict=False
    )
    resolved = resolve(config, [])
    jagged = config.model.uses_behaviours
    layout = Layout(
        resolved, {n: FeatureVocabulary(n, size) for n, size in NUM_IDS.items()}, jagged=jagged, regularized=regularized
    )
    torch.manual_seed(3)
    core = CtrModel(resolved, layout)
    for parameter in core.tower.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    sharded = shard(core, SparseOptimizer(name="sgd", lr=0.1), device=torch.device("cpu")).eval()
    for table in table_weights(sharded).values():
        table.normal_()  # fresh rows are too alike to tell one from another
    return resolved, layout, sharded


class Plain:
    """The same model by plain indexing: full tables, whose vocabularies lie one behind the other."""

    def __init__(self, resolved: ResolvedConfig, model: DistributedModelParallel) -> None:
        self.resolved = resolved
        self.weights = table_weights(model)
        self.first: dict[str, tuple[str, int]] = {}
        for table in resolved.tables:
            offset = 0
            for name in table.fields:
                owner = resolved.vocabulary_of(resolved.field(name))
                if owner not in self.first:
                    self.first[owner] = (f"{table.name}_table", offset)
                    offset += NUM_IDS[owner]

    def vectors(self, name: str, ids: list[int]) -> Tensor:
        table, offset = self.first[self.resolved.vocabulary_of(self.resolved.field(name))]
        return self.weights[table][[offset + one for one in ids]]

    def pooled(self, name: str, row: int, pooling: str) -> Tensor:
        vectors = self.vectors(name, LISTS[name][row])
        return vectors.sum(dim=0) / (max(len(vectors), 1) if pooling == "mean" else 1)


@pytest.mark.parametrize("regularized", [False, True])
@pytest.mark.parametrize("pooling", ["mean", "sum"])
@pytest.mark.parametrize(
    "tables", [{}, {"things": {"features": ["user", "shop", "item"]}}, {"words": {"features": ["tags"], "dim": 8}}]
)
def test_an_mlp_reads_pooled_lists_and_sequences_beside_single_ids(
    tables: dict[str, Any], pooling: str, regularized: bool
) -> None:
    model = {"tower": "mlp", "dim": 4, "mlp": [6]}
    resolved, layout, sharded = make(model, tables=tables, pooling=pooling, regularized=regularized)
    plain = Plain(resolved, sharded)
    expected = []
    for row in range(3):
        fields = [
            plain.vectors("user", [SINGLE["user"][row]])[0],
            plain.vectors("item", [SINGLE["item"][row]])[0],
            plain.vectors("shop", [SINGLE["shop"][row]])[0],
            plain.pooled("tags", row, pooling),
            *(plain.pooled(name, row, "mean") for name in ("marks", "items", "shops", "moods")),
        ]
        expected.append(sharded.module.tower(torch.cat(fields)[None], torch.tensor([[PRICES[row]]]), [])[0])
    found: Output = sharded(layout.collate(rows()))
    torch.testing.assert_close(found.logits, torch.stack(expected))
    assert found.logits.std() > 0.1


@pytest.mark.parametrize("softmax", [False, True])
@pytest.mark.parametrize("tables", [{}, {"things": {"features": ["shop", "item", "user"]}}])
def test_din_reads_aligned_sequences_entry_by_entry_and_pools_one_that_has_no_target(
    tables: dict[str, Any], softmax: bool
) -> None:
    model = {"tower": "din", "dim": 4, "mlp": [6], "attention": [5], "attention_softmax": softmax}
    resolved, layout, sharded = make(model, tables=tables)
    plain = Plain(resolved, sharded)
    expected = []
    for row in range(3):
        user, item, shop = (plain.vectors(name, [SINGLE[name][row]])[0] for name in ("user", "item", "shop"))
        history = torch.cat([plain.vectors(name, LISTS[name][row]) for name in ("items", "shops", "marks")], 1)
        behaviour = Behaviour(torch.cat([item, shop])[None], history, torch.tensor([len(history)]))
        fields = torch.cat([user, item, shop, *(plain.pooled(name, row, "mean") for name in ("tags", "moods"))])
        expected.append(sharded.module.tower(fields[None], torch.tensor([[PRICES[row]]]), [behaviour])[0])
    found: Output = sharded(layout.collate(rows()))
    torch.testing.assert_close(found.logits, torch.stack(expected))
    assert found.logits.std() > 0.1


def test_the_penalty_is_the_squared_length_of_each_row_once_over_its_uses_in_the_data() -> None:
    resolved, layout, sharded = make({"tower": "lr", "dim": 4}, regularized=True)
    plain = Plain(resolved, sharded)
    counts = {name: torch.full((table.rows,), 5.0) for name, table in layout.physical_tables.items()}
    found: Output = sharded(layout.collate(rows(), row_counts=counts))
    read = {"user": SINGLE["user"], "item": [*SINGLE["item"], 1, 6, 2, 2, 3], "shop": [*SINGLE["shop"], 3, 0, 1, 1, 2]}
    read |= {"tags": [4, 4, 1, 2], "marks": [2, 1, 0, 3, 3], "moods": [2, 1, 1]}
    expected = sum(plain.vectors(name, sorted(set(ids))).square().sum() / 5 / 2 for name, ids in read.items())
    torch.testing.assert_close(found.penalty, torch.as_tensor(expected))


def test_sequences_of_one_behaviour_that_differ_in_length_are_refused() -> None:
    _, layout, _ = make({"tower": "din", "dim": 4})
    misaligned = LISTS | {"shops": [[3, 0], [1], [1, 1, 2]]}
    with pytest.raises(DataError, match="items, shops: sequences of one behaviour must be equally long, got 0 and 1"):
        layout.collate(rows(misaligned))
