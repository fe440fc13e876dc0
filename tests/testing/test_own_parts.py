"""A scheme, a tower, a loss and a calibration of the user's own, as the pages say, in one file, in every command."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from torch import Tensor

import recsys as package
from recsys.cli import main
from recsys.config import json_schema, load_config
from recsys.config.calibrations import CALIBRATIONS
from recsys.config.losses import LOSSES
from recsys.config.schemes import SCHEMES
from recsys.config.towers import TOWERS
from recsys.config.variants import all_variants
from recsys.errors import ConfigError
from recsys.registry import load_object
from tests.pages import ROOT, page
from tests.training.logs import write_config

pytestmark = pytest.mark.slow

PAGES = [page(f"recsys/{room}/README.md") for room in ("embeddings", "towers", "losses", "calibration")]
NAMES = {
    "scheme": "own_parts:Folded",
    "tower": "own_parts:Gated",
    "loss": {"name": "own_parts:Focal", "gamma": 1.0},
    "calibration": "own_parts:Binned",
}


@pytest.fixture
def own_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """All of them in one module that can be imported, and registered without a trace."""
    files = [text for one in PAGES for name, text in one.files().items() if not name.startswith("test_")]
    (tmp_path / "own_parts.py").write_text("\n\n".join(files))
    monkeypatch.syspath_prepend(tmp_path)
    for registry in (SCHEMES, TOWERS, LOSSES, CALIBRATIONS):
        monkeypatch.setattr(registry, "_entries", dict(registry.items()))
    yield "own_parts"
    sys.modules.pop("own_parts", None)


def own_config(folder: Path, **names: Any) -> Path:
    named = NAMES | names
    table = {"features": ["user", "item"], "scheme": named["scheme"], "budget": 0.5}
    model = {"tower": named["tower"], "dim": 8, "hidden": 16}
    train = {"loss": named["loss"], "epochs": 2}
    return write_config(
        folder / "config.yaml", calibration=named["calibration"], tables={"all": table}, model=model, train=train
    )


def call(*arguments: str | Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["recsys", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert not stop.value.code


@pytest.mark.usefixtures("own_parts")
def test_all_commands_take_them_by_their_import_path(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    config, run, bundle, scores = (
        own_config(tmp_path),
        tmp_path / "mine",
        tmp_path / "bundle",
        tmp_path / "scores.parquet",
    )
    here = ["--data-dir", log, "--cache-dir", tmp_path / "cache"]
    call("check", config, "--data-dir", log, monkeypatch=monkeypatch)
    call("tables", config, *here, monkeypatch=monkeypatch)
    assert "own_parts:Folded" in capfd.readouterr().out
    call("train", config, *here, "--runs-dir", tmp_path, "--name", "mine", "--device", "cpu", monkeypatch=monkeypatch)
    assert "test.auc" in json.loads((run / "metrics.json").read_text())
    call("evaluate", run, log / "test.parquet", "--device", "cpu", monkeypatch=monkeypatch)
    call("export", run, "--out", bundle, monkeypatch=monkeypatch)
    call("predict", bundle, log / "test.parquet", "--out", scores, monkeypatch=monkeypatch)
    exported = pl.read_parquet(scores)["score"].to_numpy()
    trained = pl.read_parquet(run / "predictions" / "test.parquet")["score"].to_numpy()
    assert exported == pytest.approx(trained, abs=1e-6)


def test_registered_they_are_known_by_their_names_everywhere(own_parts: str, tmp_path: Path) -> None:
    package.register_scheme(load_object(f"{own_parts}:Folded"))
    package.register_tower(load_object(f"{own_parts}:Gated"))
    package.register_loss(load_object(f"{own_parts}:Focal"))
    package.register_calibration(load_object(f"{own_parts}:Binned"))
    config = load_config(own_config(tmp_path, scheme="folded", tower="gated", loss="focal", calibration="binned"))
    assert [config.tables["all"].scheme, config.model.tower, config.train.loss.name] == ["folded", "gated", "focal"]
    assert config.calibration.method == "binned"
    schema = json.dumps(json_schema())
    assert {"FoldedTable", "GatedModel", "FocalSection", "BinnedSection"} <= set(json.loads(schema)["$defs"])
    assert list(all_variants())[-1] == "folded"
    with pytest.raises(ConfigError, match=r"all.scheme: must be one of full, .*, folded, .* did you mean 'folded'"):
        load_config(own_config(tmp_path, scheme="foldet", tower="gated", loss="focal"))


def test_a_bundle_is_scored_where_they_are_not_installed(own_parts: str, log: Path, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for registry in (SCHEMES, TOWERS, LOSSES, CALIBRATIONS):
            patch.setattr(registry, "_entries", dict(registry.items()))
        package.register_scheme(load_object(f"{own_parts}:Folded"))
        package.register_tower(load_object(f"{own_parts}:Gated"))
        package.register_loss(load_object(f"{own_parts}:Focal"))
        config = load_config(own_config(tmp_path, scheme="folded", tower="gated", loss="focal"))
        trained = package.train(config, data_dir=log, cache_dir=tmp_path / "cache", runs_dir=tmp_path, device="cpu")
        trained.export(tmp_path / "bundle")
    assert "folded" not in SCHEMES
    assert len(package.Bundle(tmp_path / "bundle").predict(pl.read_parquet(log / "test.parquet"))) == 400


def test_a_name_is_registered_once(own_parts: str) -> None:
    folded = load_object(f"{own_parts}:Folded")
    assert package.register_scheme(folded) is package.register_scheme(folded)
    with pytest.raises(ConfigError, match="Scheme must have a section of its own in the attribute `section`"):
        package.register_scheme(load_object("recsys.embeddings:Scheme"))


@pytest.mark.usefixtures("own_parts")
def test_keys_of_a_section_of_the_users_own_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model.hidden: must be at least 1, got 0"):
        load_config(
            write_config(tmp_path / "config.yaml", model={"tower": "own_parts:Gated", "hidden": 0}, tables={}, train={})
        )


def test_the_link_of_a_loss_is_that_of_its_exported_model(own_parts: str) -> None:
    class Probit(torch.nn.Module):
        def forward(self, logits: Tensor) -> Tensor:
            return torch.special.ndtr(logits.double())

    focal = load_object(f"{own_parts}:Focal")
    loss = type("ProbitFocal", (focal,), {"link": lambda self: Probit()})(focal.section(name="focal"))
    logits = torch.linspace(-2, 2, 5)
    assert torch.equal(torch.jit.script(loss.link())(logits), torch.special.ndtr(logits.double()))


def test_the_contract_suites_run_on_them_as_the_pages_say(tmp_path: Path) -> None:
    for one in PAGES:
        for name, text in one.files().items():
            (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml")]
    done = subprocess.run(
        [*command, "--rootdir", str(tmp_path), *map(str, sorted(tmp_path.glob("test_own_*.py")))],
        cwd=tmp_path,
        env={**__import__("os").environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout
