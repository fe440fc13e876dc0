import json
from dataclasses import asdict
from pathlib import Path

from recsys.scheme_benchmark.result import delete_large_files, read_result, result_path, write_result
from tests.scheme_benchmark.fake_results import grid, result


def test_a_result_is_read_as_it_was_written_and_none_where_a_cell_is_not_done(tmp_path: Path) -> None:
    written = result(grid().cells()[1], reason="none")
    write_result(tmp_path, written)
    assert read_result(tmp_path, written.cell) == written
    assert read_result(tmp_path, "other") is None


def test_results_with_former_names_of_keys_are_read(tmp_path: Path) -> None:
    written = result(grid().cells()[1])
    write_result(tmp_path, written)
    former = {"size_param": "knob", "size_value": "value"}
    content = {former.get(key, key): value for key, value in asdict(written).items()}
    result_path(tmp_path, written.cell).write_text(json.dumps(content))
    assert read_result(tmp_path, written.cell) == written


def test_large_files_of_a_run_are_deleted_and_figures_and_predictions_of_the_split_are_kept(tmp_path: Path) -> None:
    for name in ("checkpoints/best/x", "transform/state.json", "predictions/valid.parquet", "golden.parquet"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name in ("metrics.json", "config.yaml", "predictions/test.parquet"):
        (tmp_path / name).touch()
    delete_large_files(tmp_path, split="test")
    kept = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert kept == ["config.yaml", "metrics.json", "predictions/test.parquet"]
