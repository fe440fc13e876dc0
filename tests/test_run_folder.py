import json
from pathlib import Path
from typing import Any

import pytest

from recsys.checksums import recording
from recsys.errors import DataError
from recsys.run_folder import RunFolder


def test_a_folder_without_a_configuration_is_no_run(tmp_path: Path) -> None:
    assert not RunFolder(tmp_path).is_run
    with pytest.raises(DataError, match=r"not a run folder: it has no config\.yaml"):
        RunFolder(tmp_path).require_run()
    with pytest.raises(DataError, match=r"not a run folder: it has no config\.yaml"):
        RunFolder(tmp_path / "nowhere").read_metrics()


def test_a_run_that_is_not_finished_has_no_metrics(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").touch()
    with pytest.raises(DataError, match=r"has no metrics\.json: train it to the end first \(recsys train CONFIG --res"):
        RunFolder(tmp_path).read_metrics()


def test_epochs_are_read_in_order_and_none_before_the_first(tmp_path: Path) -> None:
    assert RunFolder(tmp_path).read_epochs() == []
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 1}\n{"epoch": 2}\n')
    assert [line["epoch"] for line in RunFolder(tmp_path).read_epochs()] == [1, 2]


def test_metrics_of_a_finished_run_are_read(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").touch()
    (tmp_path / "metrics.json").write_text('{"test.auc": 0.75}')
    assert RunFolder(tmp_path).read_metrics() == {"test.auc": 0.75}


@pytest.mark.parametrize("name", ["evil.py", "transform/evil.py", "evil.so", "sub/evil.pyc"])
def test_a_run_folder_is_no_place_for_code_that_its_configuration_names(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    (tmp_path / "config.yaml").write_text("model:\n  tower: mlp\n")
    RunFolder(tmp_path).require_run()
    (tmp_path / "config.yaml").write_text("model:\n  tower: runs.a.evil:Tower\n")
    with pytest.raises(DataError, match=rf"{name}: is code in the folder of a run"):
        RunFolder(tmp_path).require_run()


@pytest.mark.parametrize("content", ["", "[]", "{}", "\0", "{" * 10**5, '{"prepared": 1'])
def test_files_of_a_former_version_that_are_damaged_are_named_too(content: str, tmp_path: Path) -> None:
    """They have no checksums."""
    (tmp_path / "config.yaml").touch()
    (tmp_path / "data.json").write_text(content)
    with pytest.raises(DataError, match=r"data\.json: is damaged"):
        RunFolder(tmp_path).read_origin()
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 1}\n' + content + "x\n")
    with pytest.raises(DataError, match=r"metrics\.jsonl: is damaged"):
        RunFolder(tmp_path).read_epochs()


@pytest.mark.parametrize("content", ["", "[]", "null", "3", '"torch"', "{"])
@pytest.mark.parametrize("name", ["metrics", "environment"])
def test_what_is_no_object_is_no_file_of_a_run(name: str, content: str, tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.config.touch()
    getattr(run, name).write_text(content)
    with pytest.raises(DataError, match=rf"{name}\.json: is damaged"):
        getattr(run, f"read_{name}")()


def test_a_run_knows_where_its_raw_files_lie_and_an_old_one_looks_in_the_current_folder(tmp_path: Path) -> None:
    for content, expected in [('{"prepared": "x", "data_dir": "/logs"}', "/logs"), ('{"prepared": "x"}', ".")]:
        (tmp_path / "data.json").write_text(content)
        assert RunFolder(tmp_path).read_data_dir() == Path(expected)


def test_a_line_that_is_being_written_is_no_epoch_yet(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 1}\n{"epoch": 2, "val')
    assert [line["epoch"] for line in RunFolder(tmp_path).read_epochs()] == [1]


def test_recorded_epochs_that_are_deleted_are_missed(tmp_path: Path) -> None:
    with recording(tmp_path / "metrics.jsonl"):
        (tmp_path / "metrics.jsonl").write_text('{"epoch": 1}\n')
    (tmp_path / "metrics.jsonl").unlink()
    with pytest.raises(FileNotFoundError):
        RunFolder(tmp_path).read_epochs()


DATA = {"prepared": "x", "splits": {"test": {"rows": 3, "features": {"user": {"rows": 3, "missing": 0}}}}}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"prepared": None}, "prepared must be the name of the prepared data, got null"),
        ({"splits": []}, r"splits must be an object with keys, got \[\]"),
        ({"splits": {"test": 3}}, "splits.test must be an object with keys, got 3"),
        ({"splits": {"test": {"rows": 3}}}, "splits.test.features must be an object with keys, got null"),
        (
            {"splits": {"test": {"features": {"user": 1}}}},
            "splits.test.features.user must be an object with keys, got 1",
        ),
        (
            {"splits": {"test": {"features": {"user": {"rows": "many"}}}}},
            'splits.test.features.user.rows must be an integer, got "many"',
        ),
    ],
)
def test_an_edited_record_of_the_data_is_refused_with_the_key(
    changes: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path)
    run.config.touch()
    run.data.write_text(json.dumps(DATA))
    assert run.read_coverage() == {"test": {"user": {"rows": 3, "missing": 0}}}
    run.data.write_text(json.dumps(DATA | changes))
    with pytest.raises(DataError, match=rf"data\.json: is damaged: {problem}; restore it from a copy"):
        run.read_coverage()


@pytest.mark.parametrize("content", ['{"test.auc": "high"}', '{"test.auc": true}', '{"test.auc": [0.7]}'])
def test_figures_that_are_no_numbers_are_refused_with_their_name(content: str, tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.config.touch()
    run.metrics.write_text(content)
    with pytest.raises(DataError, match=r"metrics\.json: is damaged: test\.auc must be a number or null, got"):
        run.read_metrics()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "line 2 is not JSON"),
        ("[3]", r"line 2 must be an object with keys, got \[3\]"),
        ('{"valid.auc": 0.7}', "line 2 has no epoch"),
        ('{"epoch": "two"}', 'line 2: epoch must be a number or null, got "two"'),
    ],
)
def test_a_line_that_is_no_epoch_is_refused_with_its_number(line: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text(f'{{"epoch": 1}}\n{line}\n')
    with pytest.raises(DataError, match=rf"metrics\.jsonl: is damaged: {problem}"):
        RunFolder(tmp_path).read_epochs()


def test_a_line_without_a_figure_that_is_needed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 1}\n')
    with pytest.raises(DataError, match=r"line 1 has no valid\.auc"):
        RunFolder(tmp_path).read_epochs(("epoch", "valid.auc"))
