"""Training with native kernels: what a run comes to, also one that was stopped."""

from pathlib import Path
from typing import Any

import pytest

from recsys.kernels import attention, dice
from tests.kernels.plain import needs_kernels, without_kernels
from tests.training.interruptions import STEPS, check_same, interrupted_in_batch
from tests.training.logs import make_config, run, steady

pytestmark = [pytest.mark.slow, needs_kernels]

MODELS: dict[str, dict[str, Any]] = {
    "autoint": {
        "tower": "autoint",
        "dim": 8,
        "layers": 2,
        "attention_dim": 8,
        "attention_dropout": 0.1,
        "mlp": [16],
        "dropout": 0.2,
    },
    "din": {"tower": "din", "dim": 8, "attention": [6], "mlp": [16], "activation": "dice", "dropout": 0.2},
}
OPERATORS = {"autoint": (attention, "_attention"), "din": (dice, "_dice")}


@pytest.mark.parametrize("tower", list(MODELS))
def test_a_run_with_kernels_that_was_stopped_ends_as_if_it_had_not_been(
    tower: str, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, name = OPERATORS[tower]
    calls, operator = [], getattr(module, name)
    monkeypatch.setattr(module, name, lambda *given: calls.append(name) or operator(*given))
    config = make_config(tmp_path, model=MODELS[tower], train={"checkpoint_minutes": 0.0})
    whole = run(log, tmp_path / "whole", config)
    assert len(calls) >= 3 * STEPS
    with interrupted_in_batch(STEPS + 4):
        run(log, tmp_path / "run", config)
    resumed = run(log, tmp_path / "run", config, resume=True)
    assert steady(resumed.metrics) == steady(whole.metrics)
    check_same(tmp_path / "run", whole.folder)


@pytest.mark.parametrize("tower", list(MODELS))
def test_kernels_do_not_change_what_a_run_learns(tower: str, log: Path, tmp_path: Path) -> None:
    config = make_config(tmp_path, model=MODELS[tower])
    native = run(log, tmp_path / "native", config)
    with without_kernels():
        plain = run(log, tmp_path / "plain", config)
    for metric in ("test.auc", "test.logloss"):
        assert native.metrics[metric] == pytest.approx(plain.metrics[metric], abs=1e-4)
