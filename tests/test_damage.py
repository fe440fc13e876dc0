"""One damaged file of a run, a cache or a bundle is refused by name, or changes nothing: never other figures."""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recsys.api.run import Run
from recsys.checkpoint.folder import find_checkpoint, read_trainer
from recsys.checkpoint.reader import CheckpointReader
from recsys.config import Config, dump, load_config
from recsys.data.part_file import _compared
from recsys.data.prepare import prepare
from recsys.data.window import Columns, list_chunks, load_window
from recsys.errors import DataError
from recsys.features.state import TransformState
from recsys.ranks import SINGLE_PROCESS
from recsys.run_folder import RunFolder
from recsys.serving import Scorer
from recsys.sharding import read_plan
from recsys.training.build import load_run, score_files
from recsys.training.strategy import pick_device
from tests.damages import DAMAGES, damaged_copy, figures_or_refusal, files_of, random_damages
from tests.training.logs import clicks, make_config, run, write_log

pytestmark = pytest.mark.slow

ROWS = clicks(50, seed=9)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_log(tmp_path_factory.mktemp("log"))


@pytest.fixture(scope="module")
def trained(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(log, tmp_path_factory.mktemp("runs") / "run").folder


@pytest.fixture(scope="module")
def bundle(trained: Path) -> Path:
    Run(trained).export(trained.parent / "bundle")
    return trained.parent / "bundle"


def each_damage(folder: Path, scratch: Path, titles: Iterable[str]) -> Iterator[tuple[str, str, Path]]:
    """Yield the name of each file of a folder, each damage of it, and a folder that has it."""
    for name in files_of(folder):
        for seed, title in enumerate(titles):
            copy = scratch / f"{name.replace('/', '.')}-{seed}"
            yield name, title, damaged_copy(folder, name, DAMAGES[title], copy, seed=seed)


HARMLESS = {
    ("checksums.json", "deleted"),
    ("checksums.json", "last byte"),  # a line break
    ("checksums.json", "last byte missing"),
    ("plan.json", "last byte"),
    ("plan.json", "last byte missing"),
    ("__0_0.distcp", "a byte too many"),
    *(("__0_0.distcp", f"random place {number}") for number in range(4)),  # zeros between two tensors
}


def check(
    folder: Path,
    scratch: Path,
    read: Callable[[Path], object],
    needless: dict[str, str],
    titles: Iterable[str] = DAMAGES,
) -> None:
    """Damage each file in each way; `needless` says why a file may be without an effect."""
    whole = read(folder)
    for name, title, copy in each_damage(folder, scratch, titles):
        found = figures_or_refusal(lambda copy=copy: read(copy), name)
        assert found is None or found == whole, f"{name}, {title}: other figures"
        may_pass = name.rsplit("/", 1)[-1] in needless or (name.rsplit("/", 1)[-1], title) in HARMLESS
        assert found is None or may_pass, f"{name}, {title}: not noticed"
        shutil.rmtree(copy)


def tensors_of(folder: Path) -> dict[str, bytes]:
    """Read all that a checkpoint holds, its tensors as bytes."""
    found = find_checkpoint(folder)
    if found is None:  # as `load_checkpoint` says it
        raise DataError(f"{folder}: lacks metadata.json or trainer.pt")
    reader = CheckpointReader(found)
    trainer = read_trainer(found)
    tensors = {name: reader.read_tensor(name) for name in reader.specs}
    tensors |= {"random": trainer["ranks"][0]["random"]}
    values = {
        name: value.reshape(-1).view(torch.uint8).numpy().tobytes() for name, value in tensors.items() if value.dim()
    }
    return values | {"progress": repr(trainer["extra"]["progress"]).encode()}


def arrays_of(state: TransformState) -> dict[str, Any]:
    arrays = {
        f"{name}.{part}": getattr(vocabulary, part).tolist()
        for name, vocabulary in state.vocabularies.items()
        for part in ("keys", "ids", "counts")
    }
    return arrays | {"kinds": state.key_kinds, "numbers": state.numbers, "rows": state.num_rows}


def what_a_run_says(folder: Path) -> dict[str, Any]:
    """Read every file of a run."""
    files, opened = RunFolder(folder), Run(folder)
    return {
        "config": dump(load_config(files.config)),
        "prepared": files.read_origin()["prepared"],
        "golden": files.golden_rows.read_bytes(),
        "metrics": files.read_metrics(),
        "epochs": files.read_epochs(),
        "plan": read_plan(files.sharding_plan, SINGLE_PROCESS),
        "transform": arrays_of(TransformState.load(files.transform)),
        "best": tensors_of(files.best_checkpoint),
        "last": tensors_of(files.last_checkpoint),
        "test": opened.predictions("test").to_dicts(),
        "valid": opened.predictions("valid").to_dicts(),
    }


def test_damaged_files_of_a_run_are_refused_by_name(trained: Path, tmp_path: Path) -> None:
    unread = {"environment.json": "no figure depends on it"}
    check(trained, tmp_path, what_a_run_says, unread)


def test_damaged_files_of_a_bundle_are_refused_by_name(bundle: Path, tmp_path: Path) -> None:
    needless = {"README.md": "may be deleted", "golden.parquet": "may be deleted"}
    check(bundle, tmp_path, lambda folder: Scorer(folder).score(ROWS).tolist(), needless)


@pytest.mark.parametrize("name", ["golden.parquet", "README.md"])
def test_damaged_files_that_scoring_does_not_need_are_noticed_where_it_scores(
    bundle: Path, tmp_path: Path, name: str
) -> None:
    for seed, (title, damage) in enumerate(DAMAGES.items()):
        if title != "deleted":
            copy = damaged_copy(bundle, name, damage, tmp_path / str(seed), seed=seed)
            with pytest.raises(DataError, match=rf"{name}: is damaged .* export the run again"):
                Scorer(copy)


def rows_of_a_cache(config: Config, log: Path, cache: Path) -> dict[str, Any]:
    """Find what is prepared, or prepare it, and read all of it."""
    prepared = prepare(config, log, cache)
    columns = Columns.of(prepared.resolved)
    found: dict[str, Any] = {"transform": arrays_of(prepared.state)}
    for name, split in prepared.splits.items():
        window = load_window(list_chunks(split.files, columns), columns)
        found[name] = [window.ids.tolist(), window.floats.tolist(), split.num_rows, split.positives]
        found[name] += [tensor.tolist() for lists in window.lists.values() for tensor in lists]
    return found


def test_damaged_files_of_a_cache_are_refused_by_name_or_made_anew(log: Path, trained: Path, tmp_path: Path) -> None:
    made_anew = dict.fromkeys(["manifest.json", "state.json", "checksums.json"], "is made anew")
    made_anew |= {name.rsplit("/", 1)[-1]: "is made anew" for name in files_of(log / "cache") if name.endswith(".npy")}
    made_anew |= {"part-00000.arrow": "is made anew if its size is another one"}
    made_anew |= {"raw_files.json": "is for files of other names and times"}
    read = partial(rows_of_a_cache, make_config(tmp_path / "config"), log)
    check(log / "cache", tmp_path, read, made_anew, ["middle", "random place 0", "half", "deleted"])


def test_a_flipped_bit_in_any_row_of_a_prepared_file_is_noticed(log: Path, trained: Path, tmp_path: Path) -> None:
    config = make_config(tmp_path / "config")
    prepared = prepare(config, log, log / "cache")
    columns = Columns.of(prepared.resolved)
    path = prepared.splits["train"].files[0]
    whole = path.read_bytes()
    try:
        for place in np.linspace(0, len(whole) - 1, 300).astype(int):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
            _compared.clear()
            with pytest.raises(DataError, match=rf"{path.name}: (is damaged|cannot be read)"):
                load_window(list_chunks([path], columns), columns)
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("name", ["config.yaml", "golden.parquet", "data.json"])
def test_evaluate_export_and_resume_refuse_what_a_run_was_not_started_with(
    name: str, log: Path, trained: Path, tmp_path: Path
) -> None:
    copy = damaged_copy(trained, name, DAMAGES["half"], tmp_path / "run", seed=0)
    for use in (
        lambda: Run(copy).evaluate(str(log / "test.parquet")),
        lambda: Run(copy).export(tmp_path / "bundle"),
        lambda: run(log, copy, resume=True),
    ):
        with pytest.raises(DataError, match=rf"{name}: is damaged or was edited.*delete .*run/checksums\.json"):
            use()
    assert not (tmp_path / "bundle").exists()


def test_a_config_edited_on_purpose_is_read_once_the_checksums_are_deleted(
    log: Path, trained: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(trained, tmp_path / "run")
    (copy / "config.yaml").write_text("# mine\n" + (copy / "config.yaml").read_text())
    with pytest.raises(DataError, match="delete"):
        Run(copy)
    (copy / "checksums.json").unlink()
    assert Run(copy).metrics == Run(trained).metrics
    assert Run(copy).evaluate(str(log / "test.parquet"))["auc"] == Run(trained).metrics["test.auc"]


def test_a_run_without_checksums_is_read_as_it_is(log: Path, trained: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(trained, tmp_path / "run")
    for path in copy.rglob("checksums.json"):
        path.unlink()
    assert what_a_run_says(copy) == what_a_run_says(trained)
    (copy / "metrics.json").unlink()
    resumed = run(log, copy, resume=True)
    assert resumed.metrics["test.auc"] == Run(trained).metrics["test.auc"]
    assert "metrics.json" in json.loads((copy / "checksums.json").read_text())["files"]


def scores_of_a_run(log: Path, folder: Path) -> list[float]:
    found = score_files(load_run(folder, device=pick_device("cpu")), [log / "test.parquet"], folder / "rows")
    return [float(value) for value in found.probabilities[:, 0]]


@pytest.mark.proof
def test_500_random_damages_of_a_run_a_cache_and_a_bundle_never_give_other_figures(
    log: Path, trained: Path, bundle: Path, tmp_path: Path
) -> None:
    whole_folders: dict[Path, tuple[int, Callable[[Path], object]]] = {
        trained: (200, partial(scores_of_a_run, log)),
        log / "cache": (150, partial(rows_of_a_cache, make_config(tmp_path / "config"), log)),
        bundle: (150, lambda folder: Scorer(folder).score(ROWS).tolist()),
    }
    for folder, (number, read) in whole_folders.items():
        whole = read(shutil.copytree(folder, tmp_path / "whole"))
        shutil.rmtree(tmp_path / "whole")
        names = [name for name in files_of(folder) if not name.startswith("checkpoints/last")]
        refused = 0
        for name, damage, seed in random_damages(names, number, seed=1):
            copy = damaged_copy(folder, name, damage, tmp_path / "copy", seed=seed)
            _compared.clear()
            found = figures_or_refusal(partial(read, copy), name)
            assert found is None or found == whole, name
            refused += found is None
            shutil.rmtree(copy)
        print(f"{number} damages of a {folder.name}: {refused} refused, {number - refused} without effect")
