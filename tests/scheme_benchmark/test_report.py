import csv
import io
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from recsys.scheme_benchmark.grid import GridEntry, SearchedTables
from recsys.scheme_benchmark.plot import draw
from recsys.scheme_benchmark.report import COLUMNS, ReportHeader, report, results_csv
from tests.scheme_benchmark.fake_results import cells, finished_comparison, grid, result, write_predictions

HEADER = ReportHeader(
    "shop", "the test split (2,000 rows, 1,000 positive)", "mlp, dim 8", "a CPU", "recsys compare-schemes x"
)


def table_rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]


def test_a_budget_has_a_table_with_full_and_the_best_first(tmp_path: Path) -> None:
    header, _, *rows = table_rows(report(finished_comparison(tmp_path), HEADER))
    assert header[:6] == ["scheme", "size", "bytes", "of full", "AUC", "difference to full"]
    assert [row[:4] for row in rows] == [
        ["full (reference)", "", "400 B", "0.1"],
        ["hash", "rows 10", "400 B", "0.1"],
        ["hash/per_feature", "rows 9", "400 B", "0.1"],
    ]
    assert rows[1][5].startswith("-0.0500 +- 0.0")
    assert rows[1][-1] == "2 of 2"


def test_a_significant_lead_is_recommended(tmp_path: Path) -> None:
    text = report(finished_comparison(tmp_path), HEADER)
    lead = "hash is better than hash/per_feature: AUC +0.0500 (95 % interval +0.0"
    assert f"**Recommended: hash** (AUC 0.7001). {lead}" in text
    assert "to be told apart" not in text.partition("## How")[0]


def test_a_lead_that_is_not_significant_is_called_that_and_the_cheaper_scheme_recommended(tmp_path: Path) -> None:
    found = finished_comparison(tmp_path, hash_auc=0.6505)
    for cell in cells()["hash/per_feature"]:
        found.results[cell.name] = replace(found.results[cell.name], rows_per_second=2000.0)
    text = report(found, HEADER)
    lead = "hash and hash/per_feature cannot be told apart: AUC +0.0005 (95 % interval -0.0"
    assert f"**Recommended: hash/per_feature** (AUC 0.6501). The best AUC is 0.6506 (hash). {lead}" in text
    assert " rows would tell it. Not to be told apart from the best: hash, hash/per_feature." in text
    assert "Of them hash/per_feature is the simplest: 1 stage of training, 2,000 rows/s, 1.00 ms per lookup." in text


def test_what_cannot_be_reached_and_what_failed_are_listed_with_the_reason(tmp_path: Path) -> None:
    found = finished_comparison(tmp_path)
    failed = cells()["hash"][1]
    found.results[failed.name] = replace(result(failed), status="failed", reason="training diverged", auc=None)
    text = report(found, HEADER)
    assert "- qr: the least it can be is 900 B, 0.22 of full" in text
    assert "- hash-rows-10-seed-2: training diverged" in text
    assert "All 6 cells are done, 1 failed." in text
    assert [row[-1] for row in table_rows(text)[2:]] == ["2 of 2", "1 of 2", "2 of 2"]


def test_a_comparison_that_is_not_finished_says_so(tmp_path: Path) -> None:
    found = finished_comparison(tmp_path)
    for both in cells().values():
        for cell in both:
            if cell.variant != "full":
                del found.results[cell.name]
    text = report(found, HEADER)
    assert "2 of 6 cells are trained." in text
    draw(found, tmp_path / "pareto.png")


def test_the_report_says_what_was_measured_where_and_how_to_repeat_it(tmp_path: Path) -> None:
    text = report(finished_comparison(tmp_path), HEADER)
    assert text.startswith("# Schemes compared: shop\n")
    for part in ("a CPU", "`recsys compare-schemes x`", "2,000 rows", "4.0 kB", "90% of the fastest"):
        assert part in text


def test_the_csv_has_a_line_for_each_cell_with_all_figures(tmp_path: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(results_csv(finished_comparison(tmp_path)))))
    assert list(rows[0]) == COLUMNS
    assert [row["cell"] for row in rows] == [cell.name for cell in grid().cells()]
    assert [row["budgets"] for row in rows[:3]] == ["", "0.1", "0.1"]
    assert (rows[1]["size_param"], rows[1]["size_value"], rows[1]["serving_bytes"]) == ("rows", "10", "400")


def test_other_metrics_that_reports_show_have_columns_of_their_own(tmp_path: Path) -> None:
    found = finished_comparison(tmp_path)
    assert "GAUC" not in report(found, HEADER)
    for name, value in found.results.items():
        found.results[name] = replace(value, other_metrics={"gauc": 0.75, "unknown": 0.5})
    header, _, *rows = table_rows(report(found, HEADER))
    assert header[6:9] == ["logloss", "GAUC", "unknown"]
    assert [row[6:9] for row in rows] == [["0.5000", "0.7500", "0.5000"]] * 3
    (first, *_) = csv.DictReader(io.StringIO(results_csv(found)))
    assert (first["gauc"], first["unknown"], first["logloss"]) == ("0.75", "0.5", "0.5")


def test_without_matplotlib_the_report_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = finished_comparison(tmp_path)
    assert "](pareto.png)" in report(found, HEADER)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    text = report(found, HEADER)
    assert "](pareto.png)" not in text
    assert "pip install 'recsys[plots]'" in text


def test_the_picture_is_drawn_with_and_without_the_full_table(tmp_path: Path) -> None:
    found = finished_comparison(tmp_path)
    draw(found, tmp_path / "pareto.png")
    first = (tmp_path / "pareto.png").read_bytes()
    assert first.startswith(b"\x89PNG")
    for cell in cells()["full"]:
        del found.results[cell.name]
    draw(found, tmp_path / "pareto.png")
    assert (tmp_path / "pareto.png").read_bytes() != first


def test_a_search_is_explained_where_there_is_one(tmp_path: Path) -> None:
    found = finished_comparison(tmp_path)
    assert "tables.yaml" not in report(found, HEADER)
    tables = SearchedTables(method="dnis", bytes=400)
    found.grid.entries.append(GridEntry(variant="dnis", budget="0.1", allowed=400, spec=tables))
    for cell in found.grid.entries[-1].cells(found.grid.seeds):
        found.results[cell.name] = result(cell)
        write_predictions(tmp_path, cell, 0.5)
    text = report(found, HEADER)
    assert "| dnis | bytes 400 | 400 B |" in text
    assert "dnis: a search that starts from a full table for each feature. `cells/NAME/tables.yaml` is" in text
