from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from recsys.config.schemes.tt_rec import TtRecTable
from recsys.embeddings import FeatureVocabulary, Full, Layout
from recsys.embeddings.schemes.tt_rec import TtRec, most_rank
from recsys.testing.tiny_tables import look_up, rows, sharded
from recsys.training.strategy import table_weights


def make(size: int, rank: int, dim: int = 16) -> TtRec:
    return TtRec(
        "t", [FeatureVocabulary("item", size)], dim, TtRecTable(features=("item",), scheme="tt_rec", rank=rank)
    )


def stored(table: TtRec, cores: list[Tensor]) -> dict[str, Tensor]:
    """Lay cores (rows, any width) into the physical tables of a scheme."""
    weights = {}
    for i, core in enumerate(cores):
        pieces = [t for t in table.physical_tables() if f"_core{i}" in t.name]
        columns = sum(t.dim for t in pieces)
        physical = torch.zeros(pieces[0].rows * columns)
        physical[: core.numel()] = core.flatten()
        split = physical.view(-1, columns).split([t.dim for t in pieces], dim=1)
        weights |= {t.name: piece.contiguous() for t, piece in zip(pieces, split, strict=True)}
    return weights


def tt_svd(matrix: Tensor, table: TtRec) -> list[Tensor]:
    """Decompose a matrix (ids, width) into cores of the scheme's rank, by two singular value decompositions."""
    (a, b, c), (p, q, s), R = table.rows, table.factors, table.rank
    padded = torch.zeros(a * b * c, p * q * s, dtype=matrix.dtype)
    padded[: len(matrix)] = matrix
    tensor = padded.view(c, b, a, p, q, s).permute(2, 3, 1, 4, 0, 5)  # the lowest digit of an id is the first core's
    U, S, V = torch.linalg.svd(tensor.reshape(a * p, -1), full_matrices=False)
    r = len(S)
    first = torch.zeros(a, p, R, dtype=matrix.dtype)
    first[:, :, :r] = U.view(a, p, r)
    U, S2, V2 = torch.linalg.svd((S[:, None] * V).reshape(r * b * q, c * s), full_matrices=False)
    k = len(S2)
    middle = torch.zeros(b, R, q, R, dtype=matrix.dtype)
    middle[:, :r, :, :k] = U.view(r, b, q, k).permute(1, 0, 2, 3)
    last = torch.zeros(c, R, s, dtype=matrix.dtype)
    last[:, :k] = (S2[:, None] * V2).view(k, c, s).permute(1, 0, 2)
    return [core.reshape(len(core), -1) for core in (first, middle, last)]


@pytest.mark.parametrize(("size", "dim", "rank"), [(60, 16, 16), (27, 16, 13), (100, 4, 10)])
def test_a_full_rank_reproduces_any_table(size: int, dim: int, rank: int) -> None:
    torch.manual_seed(0)
    table = make(size, rank, dim)
    matrix = torch.randn(size, dim, dtype=torch.float64)
    cores = [core.float() for core in tt_svd(matrix, table)]
    found = table.serving(stored(table, cores))(torch.arange(size), 0)
    assert float((found - matrix).abs().max()) < 1e-5


@pytest.mark.parametrize("size", [1, 2, 7, 27, 28, 1000, 93_145])
def test_slices_are_unique_and_inside_their_cores(size: int) -> None:
    table = make(size, 4)
    digits = torch.stack(table._digits(torch.arange(size)))
    assert torch.unique(digits, dim=1).shape[1] == size
    for digit, bound in zip(digits, table.rows, strict=True):
        assert int(digit.max()) < bound


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_unfoldings_have_at_most_the_rank(rank: int) -> None:
    torch.manual_seed(0)
    table = make(125, rank)
    cores = [torch.randn(n, width) for n, width in zip(table.rows, table.widths, strict=True)]
    vectors = table.serving(stored(table, cores))(torch.arange(125), 0).double()
    tensor = vectors.view(5, 5, 5, 2, 2, 4).permute(2, 3, 1, 4, 0, 5)
    assert torch.linalg.matrix_rank(tensor.reshape(10, 200), rtol=1e-5) == rank
    assert torch.linalg.matrix_rank(tensor.reshape(100, 20), rtol=1e-5) == rank


@pytest.mark.parametrize("rank", [1, 4, 16])
def test_fresh_vectors_have_the_usual_standard_deviation(rank: int) -> None:
    torch.manual_seed(0)
    table = make(50_000, rank)
    weights = {t.name: torch.empty(t.rows, t.dim) for t in table.physical_tables()}
    for t in table.physical_tables():
        t.init(weights[t.name])
    vectors = table.serving(weights)(torch.arange(50_000), 0)
    assert float(vectors.std()) == pytest.approx(0.01, rel=0.25)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [33, 128])
def test_wide_cores_are_looked_up_and_updated_rightly(make_layout: Callable[..., Layout], rank: int) -> None:
    """Beyond 1024 columns, and 32,768 in all, where the kernel's row-wise Adagrad would crash."""
    item = {"features": ["item"], "scheme": "tt_rec", "rank": rank, "dim": 16}
    layout = make_layout({"wide": item}, num_ids={"user": 10, "item": 10**6, "tags": 5}, jagged=True)
    model = sharded(layout, optimizer="rowwise_adagrad", lr=0.1)
    scheme = layout.schemes["wide/item"]
    before = {name: weight.clone().requires_grad_() for name, weight in table_weights(model).items()}
    ids = [999_999, 3, 999_999]
    batch = layout.collate(rows(user=[0, 1, 2], item=ids, tags=[[], [], []], clicks=[[7], [], []]))
    found = look_up(model, layout, batch)["item"]
    looked = [before[t.name][row] for t, row in zip(scheme.tables(0), scheme.remap(torch.tensor(ids), 0), strict=True)]
    assert all(torch.equal(x, y) for x, y in zip(found, looked, strict=True))
    scheme.combine(found, torch.tensor(ids), 0).square().sum().backward()
    scheme.combine(looked, torch.tensor(ids), 0).square().sum().backward()
    after = table_weights(model)
    for t in scheme.tables(0):
        gradient = before[t.name].grad
        assert gradient is not None
        mean_square = gradient.square().mean(dim=1, keepdim=True)
        expected = before[t.name].detach() - 0.1 * gradient / (mean_square.sqrt() + 1e-8)
        torch.testing.assert_close(after[t.name], expected, rtol=1e-3, atol=1e-4)


def test_small_vocabularies_are_plain() -> None:
    spec = TtRecTable(features=("a", "b"), scheme="tt_rec", rank=8)
    a, b = TtRec.build("t", [FeatureVocabulary("a", 10_000), FeatureVocabulary("b", 27)], 16, spec)
    assert isinstance(a, TtRec)
    assert isinstance(b, Full)


def test_a_rank_above_the_highest_setting_compresses_nothing() -> None:
    rank = most_rank(10_131_227, 16)
    assert make(10_131_227, rank + 1).serving_bytes() > 4 * 16 * 10_131_227
