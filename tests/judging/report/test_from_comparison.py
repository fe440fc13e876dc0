import json
from pathlib import Path

import pytest

from recsys.evaluation.predictions import ScoreColumns
from recsys.judging.compare_runs import compare_contenders
from recsys.judging.contenders import read_contenders
from recsys.judging.report.from_comparison import write_comparison
from tests.judging.judged_models import write_run, write_scores


def test_the_page_has_the_verdict_the_means_over_seeds_and_every_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for seed in (1, 2):
        write_run(Path(f"new-{seed}"), noise=0.2, seed=seed)
        write_run(Path(f"old-{seed}"), noise=1, seed=seed + 2)
    write_scores(Path("other.parquet"), noise=2)
    found = compare_contenders(
        read_contenders(["old-*", "new-*", "other.parquet"], split="test", columns=ScoreColumns()), metric="logloss"
    )
    text = write_comparison(Path("out"), found, about="test split").read_text()
    assert "<h1>new-* against old-* against other.parquet</h1>" in text
    assert "5 runs, test split, 2,000 rows" in text
    assert text.index("new-* is better than old-*") < text.index("logloss: difference") < text.index("Other pairs")
    assert "Means over seeds" in text
    metrics = json.loads(Path("out/metrics.json").read_text())
    assert list(metrics) == ["new-1", "new-2", "old-1", "old-2", "other.parquet"]
    assert metrics["new-1"]["auc_low"] < metrics["new-1"]["auc"]
