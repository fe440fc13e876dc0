"""Files are data: nothing in the package unpickles one, or runs what one says."""

import ast
from pathlib import Path

import pytest

import recsys

ROOT = Path(recsys.__file__).parent
FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))

MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "jsonpickle", "yaml"}
CALLS = {
    "eval",
    "exec",
    "read_pickle",
    "deserialize",
    "unsafe_load",
    "FileSystemReader",
    "dcp_to_torch_save",
    "memmap",
    "fromstring",
    "all_gather_object",
    "broadcast_object_list",
    "gather_object",
    "scatter_object_list",
}
ALLOWED = {
    ("checkpoint/former_metadata.py", "pickle"),  # an unpickler that knows records without any code
    ("checkpoint/load.py", "all_gather_object"),  # from the other ranks of the same training, as the next three
    ("checkpoint/saver.py", "gather_object"),
    ("ranks/collectives.py", "broadcast_object_list"),
    ("judging/report/svg.py", "fromstring"),  # a picture that was drawn in memory just before
    ("serving/bundle.py", "jit.load"),  # a bundle is a program, and its README says so
    ("export/verify.py", "jit.load"),
    ("testing/calibrations.py", "jit.load"),  # what was saved in memory just before, as the next two
    ("testing/losses.py", "jit.load"),
    ("testing/towers.py", "jit.load"),
}


def finds(source: str) -> set[str]:
    """Return what a module uses that could run what a file says."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names} & MODULES
        elif isinstance(node, ast.ImportFrom):
            found |= {(node.module or "").split(".")[0]} & MODULES
            found |= {alias.name for alias in node.names} & CALLS
        elif isinstance(node, ast.Call):
            found |= _of_call(node)
    return found


def _of_call(node: ast.Call) -> set[str]:
    name = ast.unparse(node.func)
    last = name.rsplit(".", 1)[-1]
    options = {option.arg: ast.unparse(option.value) for option in node.keywords}
    if last in CALLS and not name.endswith(".eval"):  # that is a module's mode
        return {last}
    if name.endswith("jit.load"):
        return {"jit.load"}
    if name == "torch.load" and options.get("weights_only") != "True":
        return {name}
    if name in ("np.load", "numpy.load") and options.get("allow_pickle") != "False":
        return {name}
    return set()


@pytest.mark.parametrize("name", FILES)
def test_no_module_runs_what_a_file_says(name: str) -> None:
    found = {(name, what) for what in finds((ROOT / name).read_text(encoding="utf-8"))}
    assert found <= ALLOWED, f"{name}: read files as data, without {found - ALLOWED}"


def test_exceptions_are_still_needed() -> None:
    found = {(name, what) for name in FILES for what in finds((ROOT / name).read_text(encoding="utf-8"))}
    assert found == ALLOWED


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from pickle import loads",
        "import torch; torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "import joblib",
        "import yaml",
        "eval(text)",
        "exec(text)",
        "pd.read_pickle(path)",
        "pl.LazyFrame.deserialize(path)",
        "from torch.distributed.checkpoint import FileSystemReader",
        "torch.jit.load(path)",
    ],
)
def test_what_would_be_found(line: str) -> None:
    assert finds(line)
