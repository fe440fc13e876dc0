from typing import Any

import pytest
import torch
from torch import Tensor

from recsys.config.schemes.dpq import DpqTable
from recsys.embeddings import FeatureVocabulary, Full
from recsys.embeddings.schemes.codebook import bits_of, nearest, pack, packed_bytes, unpack
from recsys.embeddings.schemes.dpq import Dpq
from recsys.export import script


def make(num_ids: int = 40, *, dim: int = 8, **keys: Any) -> Dpq:
    spec = DpqTable(features=("item",), scheme="dpq", **{"parts": 2, "choices": 5, **keys})
    torch.manual_seed(0)
    return Dpq("t", [FeatureVocabulary("item", num_ids)], dim, spec)


def weights_of(scheme: Dpq, scale: float = 0.01) -> dict[str, Tensor]:
    return {t.name: scale * torch.randn(t.rows, t.dim) for t in scheme.physical_tables()}


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("num_parts", [1, 2, 3, 5, 8, 16])
def test_codes_are_packed_and_unpacked(bits: int, num_parts: int) -> None:
    codes = torch.randint(0, 2**bits, (50, num_parts))
    codes[0], codes[1] = 0, 2**bits - 1
    packed = pack(codes, bits)
    assert packed.dtype == torch.uint8
    assert packed.shape == (50, packed_bytes(num_parts, bits))
    assert torch.equal(unpack(packed, bits, num_parts), codes)
    assert pack(codes[:0], bits).shape == (0, packed.shape[1])


def test_codes_have_as_many_bits_as_they_need() -> None:
    assert [bits_of(choices) for choices in (2, 3, 4, 32, 33, 64, 255, 256)] == [1, 2, 2, 5, 6, 6, 8, 8]


@pytest.mark.parametrize("num_rows", [0, 1, 3000])
def test_the_nearest_centroid_is_that_of_the_least_distance(num_rows: int) -> None:
    torch.manual_seed(0)
    rows, codebook = torch.randn(num_rows, 6).double(), torch.randn(3, 200, 2).double()
    distance = (rows.view(-1, 3, 1, 2) - codebook).square().sum(dim=3)
    assert torch.equal(nearest(rows, codebook), distance.argmin(dim=2))


def test_nearly_equal_distances_do_not_depend_on_the_batch() -> None:
    """Rows far from two centroids that differ in the last bits: float32 cannot tell which is nearer."""
    torch.manual_seed(0)
    rows = 100 * torch.randn(4000, 16)
    centroid = torch.randn(1, 1, 16)
    codebook = torch.cat([centroid, centroid + 1e-6 * torch.randn(1, 7, 16)], dim=1)
    together = nearest(rows, codebook)
    assert len(together.unique()) > 1
    assert torch.equal(torch.cat([nearest(row, codebook) for row in rows.split(1)]), together)


def test_with_the_parts_of_the_rows_as_centroids_it_is_the_plain_table() -> None:
    made = make(40, choices=40)
    weights = weights_of(made)
    (rows,) = weights.values()
    with torch.no_grad():
        made.codebook.copy_(rows.view(40, 2, 4).transpose(0, 1))
    ids = torch.arange(40)
    assert torch.equal(made.combine([rows], ids, 0), rows)
    assert torch.equal(made.serving(weights)(ids, 0), rows)


@pytest.mark.parametrize(("choices", "parts", "num_bytes"), [(32, 8, 5), (32, 4, 3), (2, 4, 1), (256, 8, 8)])
def test_served_are_packed_codes_and_the_codebook(choices: int, parts: int, num_bytes: int) -> None:
    made = make(100, choices=choices, parts=parts)
    serving = made.serving(weights_of(made))
    assert {name: tuple(tensor.shape) for name, tensor in serving.state_dict().items() if tensor.numel()} == {
        "hot_codes": (100, num_bytes),
        "codebook": (parts, choices, 8 // parts),
    }
    assert made.serving_bytes() == 100 * num_bytes + 4 * choices * 8


def test_the_trained_model_is_larger_than_the_served_one() -> None:
    made = make(1000)
    assert made.bytes("training", sparse="sgd", dense="sgd") == 4 * 1000 * 8 + 4 * 5 * 8 > made.serving_bytes()


@pytest.mark.parametrize("training", [True, False])
def test_the_gradient_goes_straight_through_to_the_row(training: bool) -> None:
    made = make().train(training)
    rows = (0.01 * torch.randn(40, 8)).requires_grad_()
    ids = torch.tensor([0, 39, 7, 7])
    vectors = made.combine([rows[ids]], ids, 0)
    upstream = torch.randn(4, 8)
    vectors.backward(upstream)
    assert rows.grad is not None
    assert torch.equal(rows.grad, torch.zeros(40, 8).index_add_(0, ids, upstream))
    assert made.codebook.grad is None


def test_the_codebook_learns_from_its_own_loss_alone_which_leaves_the_rows_alone() -> None:
    made = make()
    rows = (0.01 * torch.randn(4, 8)).requires_grad_()
    vectors = made.combine([rows], torch.arange(4), 0)
    loss = made.pop_aux_loss()
    assert loss is not None
    torch.testing.assert_close(loss, (vectors - rows).square().mean())
    loss.backward()
    assert rows.grad is None
    used = nearest(rows, made.codebook)
    assert made.codebook.grad is not None
    for part in range(2):
        has_gradient = made.codebook.grad[part].abs().sum(dim=1) > 0
        assert has_gradient.nonzero().flatten().tolist() == used[:, part].unique().tolist()


def test_the_loss_is_that_of_all_uses_since_it_was_taken_and_there_is_none_in_eval_mode() -> None:
    made, rows = make(), 0.01 * torch.randn(4, 8)
    made.combine([rows], torch.arange(4), 0)
    one = made.pop_aux_loss()
    made.combine([rows], torch.arange(4), 0)
    made.combine([rows], torch.arange(4), 0)
    two = made.pop_aux_loss()
    assert one is not None
    assert two is not None
    torch.testing.assert_close(two, 2 * one)
    assert made.pop_aux_loss() is None
    made.eval().combine([rows], torch.arange(4), 0)
    assert made.pop_aux_loss() is None


def test_an_empty_batch_has_a_loss_of_zero() -> None:
    made = make()
    assert made.combine([torch.zeros(0, 8)], torch.arange(0), 0).shape == (0, 8)
    loss = made.pop_aux_loss()
    assert loss is not None
    assert float(loss.detach()) == 0
    loss.backward()
    assert made.codebook.grad is not None
    assert not made.codebook.grad.any()
    assert script(made.serving(weights_of(made)))(torch.arange(0), 0).shape == (0, 8)


def test_the_codebook_follows_the_rows() -> None:
    """Alternating nearest centroids and gradient steps is k-means: planted clusters are found."""
    made = make(300, parts=1, choices=16)
    centers = torch.randn(4, 8)
    rows = centers[torch.arange(300) % 4] + 0.01 * torch.randn(300, 8)
    with torch.no_grad():
        made.codebook.copy_(rows[:16].unsqueeze(0))
    optimizer = torch.optim.Adam(made.parameters(), lr=0.001)
    losses = []
    for _ in range(100):
        made.combine([rows], torch.arange(300), 0)
        loss = made.pop_aux_loss()
        assert loss is not None
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]
    assert losses[-1] < 1.2 * 0.01**2


def test_the_parts_to_choose_from_are_the_divisors_of_dim_from_the_largest() -> None:
    vocabularies, spec = [FeatureVocabulary("item", 100)], DpqTable(features=("item",), scheme="dpq", budget=0.5)
    assert list(Dpq.size_candidates(vocabularies, 12, spec)) == [12, 6, 4, 3, 2, 1]


def test_vocabularies_smaller_than_a_codebook_stay_plain() -> None:
    spec = DpqTable(features=("a", "b"), scheme="dpq", parts=4)
    found = Dpq.build("t", [FeatureVocabulary("a", 1000), FeatureVocabulary("b", 32)], 8, spec)
    assert [type(part) for part in found] == [Dpq, Full]
