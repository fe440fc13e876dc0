import pytest
from rich.table import Table

from recsys.console import log, print_table


def test_tables_are_neither_cut_nor_wrapped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    table = Table("what", box=None)
    table.add_row("x" * 200)
    print_table(table)
    assert capsys.readouterr().out.split() == ["what", "x" * 200]


def test_cells_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("what", box=None)
    table.add_row("[bold]a :smile:")
    print_table(table)
    assert "[bold]a :smile:" in capsys.readouterr().out


def test_a_log_line_goes_to_stderr_as_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    line = f"[red]a[/red] {'x' * 100}"
    log(line)
    assert capsys.readouterr() == ("", f"{line}\n")
