"""The examples in the docstrings of the surface and in its README run as they stand."""

import inspect
import linecache
import re
import shutil
import sys
import textwrap
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

import recsys
from tests.training.logs import clicks, run, write_config, write_log

README = Path(recsys.__file__).with_name("api") / "README.md"


def blocks(text: str) -> list[str]:
    return [textwrap.dedent(block) for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL)]


EXAMPLES = {f"README-{number}": block for number, block in enumerate(blocks(README.read_text()))}
EXAMPLES |= {
    f"{name}-{number}": block
    for name in ["", *recsys.__all__]
    for number, block in enumerate(blocks(inspect.getdoc(getattr(recsys, name) if name else recsys) or ""))
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log in `data`, its run.yaml, the run runs/shop and its bundle."""
    folder = tmp_path_factory.mktemp("examples")
    log = write_log(folder / "data")
    clicks(300, seed=8).write_parquet(log / "other.parquet")
    config = recsys.load_config(write_config(folder / "run.yaml", train={"epochs": 1}))
    recsys.Run(run(log, folder / "runs" / "shop", config).folder).export(folder / "bundle")
    for name in ("new", "old"):
        shutil.copytree(folder / "runs" / "shop", folder / "runs" / name)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    frame = clicks(2400, seed=0)
    path = folder / "example.py"  # a file, since TorchScript reads the source of classes
    path.write_text(EXAMPLES[name])
    spec = spec_from_file_location("example", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "example", module)
    linecache.clearcache()
    vars(module).update(recsys=recsys, frame=frame)
    spec.loader.exec_module(module)


def test_the_readme_names_all_of_the_surface() -> None:
    assert {name for name in recsys.__all__ if not re.search(rf"\b{name}\b", README.read_text())} == set()
