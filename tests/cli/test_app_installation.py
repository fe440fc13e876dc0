"""Commands where a package is not installed, does not fit or cannot be loaded: a stand-in for it fails."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from recsys.reasons import broken_package, user_message
from tests.cli.small_log import write_log_and_config

SYMBOL = "/usr/lib/fbgemm_gpu_py.so: undefined symbol: _ZN3c106detail14torchCheckFailEPKcS2_jRKSs"
FAILURES = {
    "is not there": "raise ModuleNotFoundError(\"No module named '{package}'\", name='{package}')",
    "lacks a symbol": f"raise OSError('{SYMBOL}')",
    "lacks a name": "raise ImportError(\"cannot import name 'KeyedTensor' from '{package}'\")",
    "has another schema": "raise RuntimeError('Tried to register an operator with the same name')",
    "lacks an attribute": "raise AttributeError(\"module 'torch' has no attribute 'uint64'\")",
}
COMMANDS = [
    "train run.yaml --device cpu",
    "train run.yaml --device cpu --devices 2",
    "evaluate . log.csv",
    "export . --out bundle",
    "predict . log.csv --out scores.parquet",
    "serve .",
    "tables run.yaml",
    "check hashed.yaml",
    "plan run.yaml",
    "compare-schemes run.yaml",
    "checkpoint inspect .",
]


def fail_instead(package: str, failure: str, command: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run a command with a package that fails as it is imported in the place of the installed one."""
    (folder / "instead" / package).mkdir(parents=True)
    (folder / "instead" / package / "__init__.py").write_text(FAILURES[failure].format(package=package))
    paths = [str(folder / "instead"), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, "-m", "recsys", *command.split()],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log, its configuration and what looks like a run and a bundle from outside."""
    monkeypatch.chdir(tmp_path)
    write_log_and_config(tables={"users": {"features": ["user"], "scheme": "hash", "rows": 8}})
    (tmp_path / "run.yaml").rename(tmp_path / "hashed.yaml")
    write_log_and_config()
    (tmp_path / "config.yaml").write_bytes((tmp_path / "run.yaml").read_bytes())
    (tmp_path / "metrics.json").write_text("{}")
    (tmp_path / "checkpoints").mkdir()
    return tmp_path


def check(ended: "subprocess.CompletedProcess[str]", package: str) -> None:
    assert (ended.returncode, ended.stdout) == (2, ""), ended.stderr
    assert "Traceback" not in ended.stderr
    (line,) = (line for line in ended.stderr.splitlines() if line.startswith("error: "))
    assert line.startswith(f"error: {package} does not work as it is installed: ")
    assert line.endswith("; `recsys doctor` says what to install")


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_that_needs_a_broken_package_advises_to_run_doctor(command: str, folder: Path) -> None:
    check(fail_instead("torch", "lacks a symbol", command, folder), "torch")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("package", "failure"),
    [
        *(("fbgemm_gpu", failure) for failure in FAILURES),
        *((package, "lacks a symbol") for package in ("torchrec", "lightning", "polars", "pyarrow")),
    ],
)
def test_a_package_may_be_broken_in_any_way(package: str, failure: str, folder: Path) -> None:
    check(fail_instead(package, failure, "train run.yaml --device cpu", folder), package)


@pytest.mark.parametrize(
    "error",
    [
        AttributeError("'_OpNamespace' 'fbgemm' object has no attribute 'asynchronous_complete_cumsum'"),
        RuntimeError("operator fbgemm::split_embedding_codegen_lookup_sgd_function does not exist"),
        NotImplementedError("Could not run 'fbgemm::jagged_to_padded_dense' with arguments from the 'CPU' backend."),
    ],
)
def test_an_operator_that_is_missing_is_a_broken_installation(error: Exception) -> None:
    assert broken_package(error) == "fbgemm_gpu"


def test_a_fault_of_ours_is_none() -> None:
    assert user_message(ImportError("cannot import name 'x' from 'recsys.files'", name="recsys.files")) is None
    assert user_message(RuntimeError("index 9 out of bounds in fbgemm::bounds_check_indices")) is None
    assert user_message(AttributeError("'NoneType' object has no attribute 'x'")) is None
