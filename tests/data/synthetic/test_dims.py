import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from recsys.data.synthetic import SyntheticLog
from recsys.data.synthetic.dims import NEEDED_DIMS, NUM_IDS, NUM_NOISY, NUM_TRAITS, STRENGTH, Dims
from recsys.data.synthetic.log import CHUNK_ROWS, Sample, make_chunk
from tests.data.synthetic.samples import column, read

TRAITS = [f"trait_{t:02}" for t in range(1, NUM_TRAITS + 1)]


def test_the_log_of_dims_has_five_ids_and_the_traits(dims: Sample) -> None:
    assert dims.table.column_names == ["clicked", *NEEDED_DIMS, "noisy", *TRAITS]
    assert column(dims, "clicked").mean() == pytest.approx(0.45, abs=0.05)
    for name in NEEDED_DIMS:
        assert set(column(dims, name)) == set(range(NUM_IDS))
    assert set(column(dims, "noisy")) == set(range(NUM_NOISY))
    assert {value for name in TRAITS for value in column(dims, name)} == {-1, 1}


@pytest.mark.parametrize("name", NEEDED_DIMS)
def test_the_weights_of_a_column_span_the_dims_that_it_needs_and_all_of_them_matter(name: str) -> None:
    weight_IT, num_dims = Dims(rows=100, seed=5).weights[name], NEEDED_DIMS[name]
    values = np.linalg.svd(weight_IT, compute_uv=False)
    assert (values > 1e-9).sum() == num_dims
    if num_dims:
        assert values[num_dims - 1] > 0.4 * values[0]
        # Half of the dims explain little more than half of the effect.
        assert (values[: num_dims // 2] ** 2).sum() < 0.75 * (values**2).sum()
        assert (weight_IT**2).sum(axis=1).mean() == pytest.approx(STRENGTH[name] ** 2, rel=0.15)


def test_an_id_alone_says_nothing_but_with_the_traits_it_does(dims: Sample) -> None:
    clicked, rich = column(dims, "clicked"), column(dims, "rich")
    traits_RT = np.stack([column(dims, name) for name in TRAITS], axis=1)
    tilt = (Dims(rows=CHUNK_ROWS, seed=5).weights["rich"][rich] * traits_RT).sum(axis=1)
    assert clicked[tilt > 1].mean() > clicked[tilt < -1].mean() + 0.3
    rates = [clicked[rich == number].mean() for number in range(NUM_IDS)]
    assert np.std(rates) < 0.05


def test_nine_in_ten_noisy_ids_do_nothing_whatever_their_frequency(dims: Sample) -> None:
    effect = Dims(rows=CHUNK_ROWS, seed=5).noisy_effect
    matters = effect != 0
    assert matters.mean() == pytest.approx(0.1)
    assert matters[: NUM_NOISY // 2].sum() == matters[NUM_NOISY // 2 :].sum()
    clicked, noisy = column(dims, "clicked"), column(dims, "noisy")
    low, none, high = (
        clicked[np.isin(noisy, np.flatnonzero(which))].mean() for which in (effect < 0, ~matters, effect > 0)
    )
    assert low + 0.1 < none < high - 0.1


def test_the_truth_of_dims_is_that_of_the_true_probabilities(dims_log: SyntheticLog) -> None:
    test = make_chunk(Dims(rows=20_000, seed=5), 0).probability[18_000:]
    assert dims_log.truth["test"].auc == pytest.approx(
        roc_auc_score(read(dims_log, "test")["clicked"], test), abs=1e-12
    )
    assert 0.8 < dims_log.truth["train"].auc < 0.9
    facts = json.loads((dims_log.folder / "truth.json").read_text())
    assert facts["needed_dims"] == NEEDED_DIMS
    assert len(facts["noisy_ids_that_matter"]) == NUM_NOISY // 10
