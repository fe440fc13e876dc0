from pathlib import Path

import recsys
from tests.judging.judged_models import write_run


def test_runs_are_compared_from_python_and_say_so_when_printed(tmp_path: Path) -> None:
    new = recsys.Run(write_run(tmp_path / "new", noise=0.2))
    old = write_run(tmp_path / "old", noise=1, seed=2)
    found = recsys.compare(old, new)
    assert found.best == str(new.path)
    assert found.verdict.word == "better"
    assert str(found).startswith(found.headline)
    assert found.facts()["verdict"] == found.headline
    assert repr(found) == f"<ModelComparison: {found.headline}>"
