import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from sklearn.metrics import roc_auc_score

from recsys.data.synthetic import SyntheticLog
from recsys.data.synthetic.log import CHUNK_ROWS, Sample, make_chunk
from recsys.data.synthetic.wide import PAIRS, VOCABULARIES, Wide
from tests.data.synthetic.samples import column, read


def test_the_wide_log_has_the_shape_of_criteo(wide: Sample) -> None:
    names = ["clicked", *(f"I{n}" for n in range(1, 14)), *(f"C{c}" for c in range(1, 27))]
    assert wide.table.column_names == names
    types = [wide.table.schema.field(f"C{c}").type for c in (1, 2)]
    assert types == [pa.int64(), pa.string()]
    assert column(wide, "clicked").mean() == pytest.approx(0.25, abs=0.05)
    assert all(len(text) == 8 and int(text, 16) >= 0 for text in column(wide, "C2")[:100])
    sizes = [pc.count_distinct(wide.table[f"C{c + 1}"]).as_py() for c in range(26)]
    assert all(size <= most for size, most in zip(sizes, VOCABULARIES, strict=True))
    assert sizes[8] == 4
    assert max(sizes) > 15_000
    missing = [wide.table[f"I{n}"].null_count / CHUNK_ROWS for n in range(1, 14)]
    assert 0 <= min(missing) < 0.2 < max(missing) < 0.42


def test_every_value_of_a_wide_id_is_a_different_one() -> None:
    values = [column for column in Wide(rows=100, seed=5).values if len(column) <= 100_000]
    assert len(values) == 20
    assert all(pc.count_distinct(column).as_py() == len(column) for column in values)


def test_wide_pairs_matter_and_their_columns_alone_say_little(wide: Sample) -> None:
    recipe, clicked = Wide(rows=CHUNK_ROWS, seed=5), column(wide, "clicked")
    a, b = PAIRS[3]
    classes = []
    for c in (a, b):
        rank = pc.index_in(wide.table[f"C{c + 1}"].combine_chunks(), recipe.values[c]).to_numpy()
        classes.append(recipe.class_of[c][np.minimum(rank, recipe.class_of.shape[1] - 1)])
    effect = recipe.pair_effect[3][classes[0], classes[1]]
    assert clicked[effect > 0.5].mean() > clicked[effect < -0.5].mean() + 0.1
    np.testing.assert_allclose(recipe.pair_effect.sum(axis=1), 0, atol=1e-9)
    np.testing.assert_allclose(recipe.pair_effect.sum(axis=2), 0, atol=1e-9)


def test_wide_truth_is_that_of_the_true_probabilities(wide_log: SyntheticLog) -> None:
    test = make_chunk(Wide(rows=20_000, seed=5), 0).probability[18_000:]
    assert wide_log.truth["test"].auc == pytest.approx(
        roc_auc_score(read(wide_log, "test")["clicked"], test), abs=1e-12
    )
    assert 0.75 < wide_log.truth["train"].auc < 0.9
