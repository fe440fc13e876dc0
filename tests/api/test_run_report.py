from pathlib import Path

import recsys
from tests.judging.untrained_run import click_rows, untrained_run, write_parts


def test_a_run_writes_its_report_with_the_slices_that_are_asked_for(tmp_path: Path) -> None:
    write_parts(tmp_path / "data", click_rows())
    run = recsys.Run(untrained_run(tmp_path / "run", tmp_path / "data").path)
    page = run.report(tmp_path / "out", by="country")
    assert page == tmp_path / "out" / "report.html"
    assert ">country<" in page.read_text()
    assert "Where it is weak" not in run.report(tmp_path / "out").read_text()
    assert sorted(path.name for path in page.parent.iterdir()) == ["metrics.json", "report.html"]
