from itertools import pairwise

import pytest
import torch

from recsys.config.schemes.md import MdTable
from recsys.embeddings import FeatureVocabulary, Full
from recsys.embeddings.scheme import Scheme
from recsys.embeddings.schemes.md import Md, row_widths

VOCABULARIES = [FeatureVocabulary("a", 3000), FeatureVocabulary("b", 400), FeatureVocabulary("c", 20)]


def parts(alpha: float, dim: int = 16) -> list[Scheme]:
    return Md.build("t", VOCABULARIES, dim, MdTable(features=("a", "b", "c"), scheme="md", alpha=alpha))


@pytest.mark.parametrize("dim", [4, 16, 20])
def test_alpha_0_is_the_plain_table_without_projections(dim: int) -> None:
    assert all(isinstance(part, Full) for part in parts(0.0, dim))


def test_embeddings_of_a_feature_have_at_most_the_rank_of_its_rows() -> None:
    torch.manual_seed(0)
    ranks = []
    for part, vocabulary in zip(parts(0.5), VOCABULARIES, strict=True):
        weights = {t.name: torch.randn(t.rows, t.dim) for t in part.physical_tables()}
        vectors = part.serving(weights)(torch.arange(vocabulary.size), 0)
        assert vectors.shape[1] == 16
        ranks.append(int(torch.linalg.matrix_rank(vectors.double(), rtol=1e-5)))
    assert ranks == row_widths([3000, 400, 20], 16, 0.5) == [1, 4, 16]


def test_narrow_rows_are_neighbours_in_one_physical_row() -> None:
    narrow = parts(0.5)[0]
    (table,) = narrow.tables(0)
    assert (table.rows, table.dim) == (750, 4)
    weight = torch.arange(3000.0).view(750, 4)
    ids = torch.tensor([0, 3, 4, 2999])
    expected = ids.float()[:, None] * narrow.projection
    torch.testing.assert_close(narrow.serving({table.name: weight})(ids, 0), expected)


def test_only_rows_that_are_not_packed_may_be_pooled_by_the_kernel() -> None:
    assert [part.sums_bags for part in parts(0.5)] == [False, True, True]


def test_fresh_vectors_have_the_usual_standard_deviation() -> None:
    mean_squares = []
    for seed in range(50):
        torch.manual_seed(seed)
        narrow = parts(0.5)[1]
        (table,) = narrow.tables(0)
        weight = torch.empty(table.rows, table.dim)
        table.init(weight)
        mean_squares.append(float(narrow.serving({table.name: weight})(torch.arange(400), 0).detach().square().mean()))
    assert (sum(mean_squares) / 50) ** 0.5 == pytest.approx(0.01, rel=0.1)


def test_every_setting_is_smaller_than_the_one_before_and_the_last_as_small_as_can_be() -> None:
    spec = MdTable(features=("a", "b", "c"), scheme="md", alpha=0.0)
    costs = [
        Md.size_for(VOCABULARIES, 16, spec.model_copy(update={"alpha": a}))
        for a in Md.size_candidates(VOCABULARIES, 16, spec)
    ]
    assert costs[0] == 4 * 16 * 3420
    assert all(smaller < larger for larger, smaller in pairwise(costs))
    assert costs[-1] == 4 * (3000 + 16 + 400 + 16 + 20 * 16)


def test_a_table_of_one_feature_cannot_be_compressed() -> None:
    assert list(Md.size_candidates(VOCABULARIES[:1], 16, MdTable(features=("a",), scheme="md", alpha=0.0))) == [0.0]
