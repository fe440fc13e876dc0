"""What all methods promise: a supernet that their schedule trains, candidates within budgets, test rows unread."""

from pathlib import Path

import pytest
import torch

from recsys.config import dump, resolve
from recsys.data.prepared import Prepared, PreparedSplit
from recsys.search.evolution import Evolution
from recsys.search.methods import METHODS
from recsys.search.methods.base import Request, find_method
from recsys.search.methods.optembed import OptEmbed
from recsys.search.supernet import score_shapes, table_bytes
from recsys.training.build import LoadedModel, load_run
from tests.search.nets import make_prepared
from tests.training.logs import run

pytestmark = pytest.mark.slow

FULL = 4 * 8 * (21 + 13)
BUDGETS = [FULL // 2, FULL // 4]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return make_prepared(tmp_path_factory.mktemp("log"), train={"epochs": 2, "early_stopping": {"patience": 1}})


@pytest.fixture(scope="module", params=list(METHODS))
def name(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(scope="module")
def supernet(name: str, prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    method = find_method(name)()
    data = prepared.folder.parents[1] / "data"
    folder = tmp_path_factory.mktemp("runs") / name
    run(data, folder, method.supernet(prepared), schedule=method.schedule)
    return load_run(folder, device=torch.device("cpu"))


def test_candidates_keep_to_the_budgets_and_test_rows_are_never_read(
    name: str, supernet: LoadedModel, prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OptEmbed, "evolution", Evolution(generations=2))
    missing = PreparedSplit((Path("there is no such file"),), 400, {})
    splits = {**prepared.splits, "test": missing, "train": missing}
    fenced = Prepared(prepared.resolved, prepared.state, splits, prepared.folder)
    request = Request(loaded=supernet, prepared=fenced, budgets=BUDGETS, state=tmp_path)
    found = list(find_method(name)().candidates(request))
    sizes = [table_bytes(supernet, one.shapes).serving for one in found]
    assert all(any(0 < size <= budget for size in sizes) for budget in BUDGETS)
    assert len({one.name for one in found}) == len(found)
    for one in found:
        assert all(width % 4 == 0 for shape in one.shapes.values() for width in shape.widths)
        assert score_shapes(supernet, prepared.splits["valid"], one.shapes).metrics(["label"])["auc"] > 0.4
    again = list(find_method(name)().candidates(request))
    assert [one.name for one in again] == [one.name for one in found]


def test_a_method_says_what_it_is(name: str, prepared: Prepared) -> None:
    method = find_method(name)()
    assert method.name == name
    assert method.title
    config = method.supernet(prepared)
    assert dump(resolve(config, [])) == dump(resolve(method.supernet(prepared), []))
