import pytest

from recsys.cli import progress


def test_a_log_tells_stage_rows_and_remaining_time(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.0)
    with progress.progress_reports() as on_progress:
        on_progress("fit", 0, 2000)
        on_progress("fit", 1000, 2000)
        on_progress("fit", 2000, 2000)
        on_progress("scoring", 7, None)
    assert capsys.readouterr().err.splitlines() == [
        "fit: 0 of 2,000 rows",
        "fit: 1,000 of 2,000 rows, less than a minute left",
        "fit: 2,000 of 2,000 rows",
        "scoring: 7 rows",
    ]


def test_a_log_is_silent_for_a_while_between_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.progress_reports() as on_progress:
        on_progress("fit", 0, 2000)
    assert capsys.readouterr().err == ""


def test_a_terminal_shows_a_bar_for_each_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with progress.progress_reports() as on_progress:
        assert isinstance(on_progress, progress._BarReports)
        on_progress("fit", 0, None)
        on_progress("fit", 5, 10)
        on_progress("cells", 1, 2)
        tasks = [(task.description, task.completed, task.total) for task in on_progress.bar.tasks]
    assert tasks == [("fit", 5, 10), ("cells", 1, 2)]


def test_remaining_time_is_written_for_people() -> None:
    assert progress.time_left(3600 * 5 + 61) == "about 5 h 1 min left"
    assert progress.time_left(125) == "about 2 min left"
