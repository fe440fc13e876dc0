from pathlib import Path

import pytest
import torch

from recsys.config import Config, load_config
from recsys.config.towers import TOWERS
from recsys.errors import DataError
from recsys.run_folder import RunFolder
from recsys.training import precision
from recsys.training.precision import choose_precision, resolve_precision, slow_precision_warnings
from tests.training.logs import make_config, run, write_config

CPU = torch.device("cpu")
OLD = frozenset({"avx2", "avx512f"})


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (OLD, "32"),
        (frozenset(), "32"),
        (OLD | {"avx512_bf16"}, "bf16-mixed"),
        (OLD | {"amx_bf16"}, "bf16-mixed"),
        (frozenset({"neon", "bf16"}), "bf16-mixed"),
    ],
)
def test_a_cpu_trains_in_bf16_only_if_it_computes_in_it(flags: frozenset[str], expected: str) -> None:
    for tower in TOWERS.values():
        on_cpu = "32" if tower.uses_behaviours else expected  # batches of histories differ in their number of entries
        assert choose_precision(CPU, tower.model_construct(), cpu_flags=lambda: flags) == on_cpu


@pytest.mark.parametrize(("is_supported", "expected"), [(True, "bf16-mixed"), (False, "32")])
def test_a_gpu_trains_in_bf16_only_if_it_computes_in_it(
    is_supported: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *, including_emulation: is_supported)
    for tower in TOWERS.values():
        assert choose_precision(torch.device("cuda", 0), tower.model_construct(), cpu_flags=lambda: OLD) == expected


@pytest.fixture
def auto(tmp_path: Path) -> Config:
    return make_config(tmp_path, train={"precision": "auto"})


def test_auto_is_resolved_and_nothing_else_is(auto: Config, tmp_path: Path) -> None:
    assert resolve_precision(auto, CPU, cpu_flags=lambda: {"amx_bf16"}).train.precision == "bf16-mixed"
    given = make_config(tmp_path, train={"precision": 32})
    assert resolve_precision(given, CPU, cpu_flags=lambda: {"amx_bf16"}) is given


def test_a_resumed_run_keeps_its_precision_on_another_machine(auto: Config, tmp_path: Path) -> None:
    write_config(tmp_path / "run" / "config.yaml", train={"precision": "bf16-mixed"})
    resumed = RunFolder(tmp_path / "run")
    assert resolve_precision(auto, CPU, resumed=resumed, cpu_flags=lambda: OLD).train.precision == "bf16-mixed"
    with pytest.raises(DataError, match="nowhere: not a run folder"):
        resolve_precision(auto, CPU, resumed=RunFolder(tmp_path / "nowhere"))


def test_bf16_on_a_cpu_without_it_is_warned_of_at_its_line(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("label: y\nfeatures: {a: {type: id}}\ntrain:\n  precision: bf16-mixed\n")
    config = load_config(tmp_path / "run.yaml")
    (warning,) = slow_precision_warnings(config, CPU, cpu_flags=lambda: OLD)
    assert "run.yaml:4: train.precision" in warning
    assert "takes about twice the time of 32 on this CPU" in warning
    assert slow_precision_warnings(config, CPU, cpu_flags=lambda: {"avx512_bf16"}) == []
    assert slow_precision_warnings(config, torch.device("cuda", 0), cpu_flags=lambda: OLD) == []


def test_the_resolved_precision_is_in_the_runs_configuration_and_kept_by_resume(
    auto: Config, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(tmp_path / "c", train={"precision": "auto", "epochs": 1})
    monkeypatch.setattr(precision, "choose_precision", lambda *_, **__: "bf16-mixed")
    first = run(log, tmp_path / "run", config)
    assert load_config(tmp_path / "run" / "config.yaml").train.precision == "bf16-mixed"
    monkeypatch.setattr(precision, "choose_precision", lambda *_, **__: "32")
    assert run(log, tmp_path / "run", config, resume=True).metrics == first.metrics
