"""Parts of the graph that no scheme or tower of the package reaches by itself."""

import torch
from torch import Tensor, nn

from recsys.config import FullTable
from recsys.embeddings import FeatureVocabulary, PhysicalTable, Scheme
from recsys.export import script
from recsys.export.graph import Fields, Histories, Numbers, TableReader


class TwoPlusOne(Scheme):
    """Two lookups in one table and one in another, joined by a trained weight."""

    sums_bags = False
    takes_open = False

    def __init__(self) -> None:
        super().__init__("t", [FeatureVocabulary("a", 6), FeatureVocabulary("b", 6)], 2, FullTable(features=("a", "b")))
        self.factor = nn.Parameter(torch.tensor([3.0]))

    def tables(self, feature_index: int) -> list[PhysicalTable]:
        shared = PhysicalTable("t.shared", 4, 1)
        return [shared, PhysicalTable("t.other", 6, 1), shared]

    def remap(self, id_V: Tensor, feature_index: int) -> Tensor:
        return torch.stack([id_V % 2, id_V, 2 + torch.div(id_V, 4, rounding_mode="floor") + 0 * feature_index])

    def combine(self, rows: list[Tensor], id_V: Tensor, feature_index: int) -> Tensor:
        return torch.cat([rows[0] * rows[2] * self.factor, rows[1] + id_V.unsqueeze(1) * feature_index], dim=1)


def test_lookups_that_share_a_physical_table_each_read_their_own_rows() -> None:
    weights = {
        "t.shared": torch.tensor([[1.0], [2.0], [10.0], [20.0]]),
        "t.other": torch.arange(100.0, 106.0).unsqueeze(1),
    }

    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = TableReader(TwoPlusOne().serving(weights), {"first": 0, "second": 1})

        def forward(self, ids: dict[str, Tensor]) -> dict[str, Tensor]:
            vectors: dict[str, Tensor] = {}
            self.table(ids, vectors)
            return vectors

    vectors = script(Reader())({"first": torch.tensor([0, 5]), "second": torch.tensor([3])})
    assert vectors["first"].tolist() == [[1 * 10 * 3, 100], [2 * 20 * 3, 105]]
    assert vectors["second"].tolist() == [[2 * 10 * 3, 103 + 3]]


def test_a_history_holds_its_sequences_side_by_side_and_so_does_its_target() -> None:
    vectors = {
        "item": torch.tensor([[1.0]]),
        "shop": torch.tensor([[2.0]]),
        "items": torch.tensor([[3.0], [4.0]]),
        "shops": torch.tensor([[5.0], [6.0]]),
    }
    lengths = {"items": torch.tensor([2]), "shops": torch.tensor([2])}
    (behaviour,) = script(Histories([["items", "shops"]], [["item", "shop"]]))(vectors, lengths)
    assert behaviour.target.tolist() == [[1, 2]]
    assert behaviour.history.tolist() == [[3, 5], [4, 6]]
    assert behaviour.lengths.tolist() == [2]


def test_each_list_is_pooled_as_its_field_says() -> None:
    entries = torch.tensor([[1.0], [3.0], [7.0]])
    vectors = {"one": torch.tensor([[5.0], [6.0]]), "mean": entries, "sum": entries}
    lengths = {"mean": torch.tensor([2, 1]), "sum": torch.tensor([2, 1])}
    pooled = script(Fields({"one": "none", "mean": "mean", "sum": "sum"}))(vectors, lengths)
    assert torch.cat(pooled, dim=1).tolist() == [[5, 2, 4], [6, 7, 7]]


class Constant(nn.Module):
    """An encoder of numbers that gives the same row whatever it is given."""

    def __init__(self, row: list[float]) -> None:
        super().__init__()
        self.register_buffer("row", torch.tensor([row]))

    def forward(self, raw: dict[str, Tensor]) -> Tensor:
        return self.row


def test_numbers_of_several_encoders_come_in_the_order_of_the_model() -> None:
    raw = {"x": torch.zeros(1)}
    assert script(Numbers([Constant([1, 3]), Constant([2])], [0, 2, 1]))(raw, 1).tolist() == [[1, 2, 3]]
