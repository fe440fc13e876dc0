from typing import Any

import pytest
import torch

from recsys.config.schemes.qr import QrTable
from recsys.embeddings import FeatureVocabulary, Full
from recsys.embeddings.schemes.qr import Qr


def make(size: int, divisor: int, **keys: Any) -> Qr:
    return Qr(
        "t", [FeatureVocabulary("item", size)], 4, QrTable(features=("item",), scheme="qr", divisor=divisor, **keys)
    )


@pytest.mark.parametrize(("operation", "neutral"), [("mul", 1.0), ("add", 0.0)])
def test_divisor_1_with_a_neutral_remainder_is_the_plain_table(operation: str, neutral: float) -> None:
    plain = torch.randn(20, 4)
    weights = {"t_table_quotient": plain, "t_table_remainder": torch.full((1, 4), neutral)}
    serving = make(20, 1, operation=operation).serving(weights)
    assert torch.equal(serving(torch.arange(20), 0), plain)


@pytest.mark.parametrize(("size", "divisor"), [(100, 10), (101, 10), (99, 7), (5, 4), (1000, 31)])
def test_pairs_of_rows_are_unique(size: int, divisor: int) -> None:
    table = make(size, divisor)
    rows_KV = table.remap(torch.arange(size), 0)
    assert torch.unique(rows_KV, dim=1).shape[1] == size
    assert rows_KV.amax(dim=1).tolist() <= [t.rows - 1 for t in table.tables(0)]


def test_pairs_of_all_vocabularies_of_a_joint_table_are_unique() -> None:
    spec = QrTable(features=("a", "b"), scheme="qr", divisor=7)
    joint = Qr("t", [FeatureVocabulary("a", 40), FeatureVocabulary("b", 33)], 4, spec)
    rows_KV = torch.cat([joint.remap(torch.arange(40), 0), joint.remap(torch.arange(33), 1)], dim=1)
    assert torch.unique(rows_KV, dim=1).shape[1] == 73
    assert [t.rows for t in joint.tables(1)] == [11, 7]


def test_separate_tables_have_one_divisor_and_leave_small_vocabularies_plain() -> None:
    spec = QrTable(features=("a", "b", "c"), scheme="qr", divisor=5, per_feature=True)
    a, b, c = Qr.build("t", [FeatureVocabulary("a", 40), FeatureVocabulary("b", 6), FeatureVocabulary("c", 7)], 4, spec)
    assert [t.rows for t in a.tables(0)] == [8, 5]
    assert isinstance(b, Full)
    assert isinstance(c, Full)  # 2 + 5 rows are no fewer than 7


def test_a_joint_table_that_would_not_be_smaller_is_plain() -> None:
    vocabularies = [FeatureVocabulary("a", 4), FeatureVocabulary("b", 3)]
    (small,) = Qr.build("t", vocabularies, 4, QrTable(features=("a", "b"), scheme="qr", divisor=2))
    (large,) = Qr.build("t", vocabularies, 4, QrTable(features=("a", "b"), scheme="qr", divisor=4))
    assert isinstance(small, Qr)  # 4 + 2 rows
    assert isinstance(large, Qr)  # 2 + 4 rows
    (plain,) = Qr.build("t", vocabularies, 4, QrTable(features=("a", "b"), scheme="qr", divisor=5))  # 2 + 5 rows
    assert isinstance(plain, Full)
    assert plain.vocabularies == tuple(vocabularies)


@pytest.mark.parametrize("operation", ["mul", "add"])
def test_fresh_vectors_have_the_usual_standard_deviation(operation: str) -> None:
    torch.manual_seed(0)
    table = make(10_000, 100, operation=operation)
    weights = {t.name: torch.empty(t.rows, t.dim) for t in table.physical_tables()}
    for t in table.physical_tables():
        t.init(weights[t.name])
    vectors = table.serving(weights)(torch.arange(10_000), 0)
    assert float(vectors.std()) == pytest.approx(0.01, rel=0.1)
    assert float(vectors.mean()) == pytest.approx(0, abs=0.001)


def test_gradients_follow_the_product_rule() -> None:
    table = make(20, 4)
    quotient, remainder = torch.randn(1, 4, requires_grad=True), torch.randn(1, 4, requires_grad=True)
    upstream = torch.randn(1, 4)
    table.combine([quotient, remainder], torch.tensor([3]), 0).backward(upstream)
    torch.testing.assert_close(quotient.grad, upstream * remainder.detach())
    torch.testing.assert_close(remainder.grad, upstream * quotient.detach())


def test_only_a_sum_may_be_pooled_by_the_kernel() -> None:
    assert make(20, 4, operation="add").sums_bags
    assert not make(20, 4).sums_bags
