"""What the wheel and the sdist hold, and that the wheel works where there is no checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path
from zipfile import ZipFile

import pytest

import recsys

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow


def build(source: Path, out: Path, kind: str) -> Path:
    """Build an sdist or a wheel as a front end would, with the setuptools that is installed."""
    code = f"import sys; from setuptools import build_meta; build_meta.build_{kind}(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, out], cwd=source, check=True, capture_output=True, env=bare())
    return next(path for path in out.iterdir() if (path.suffix == ".whl") == (kind == "wheel"))


def bare() -> dict[str, str]:
    """Return the environment without what would lead to the checkout."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "recsys", source / "recsys", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    return build(source, tmp_path_factory.mktemp("sdist"), "sdist")


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    unpacked = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        if hasattr(tarfile, "data_filter"):  # Python 3.11.4
            archive.extraction_filter = staticmethod(tarfile.data_filter)
        archive.extractall(unpacked)
    return build(next(unpacked.iterdir()), tmp_path_factory.mktemp("wheel"), "wheel")


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment with the wheel, which borrows the packages of this one."""
    venv = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    python = venv / "bin" / "python"
    site = next((venv / "lib").iterdir()) / "site-packages"
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(pip, check=True, env=bare())
    return venv / "bin"


def output(installed: Path, *command: str) -> str:
    done = subprocess.run(
        [installed / command[0], *command[1:]], cwd=installed, capture_output=True, text=True, check=True, env=bare()
    )
    return done.stdout


def test_the_wheel_holds_the_package_its_marker_of_types_and_its_license(wheel: Path) -> None:
    names = ZipFile(wheel).namelist()
    assert {"recsys/__init__.py", "recsys/py.typed"} <= set(names)
    assert [name for name in names if name.endswith("licenses/LICENSE")]
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "recsys").rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == modules


def test_the_installed_wheel_says_its_version_from_the_one_source(installed: Path, wheel: Path) -> None:
    assert wheel.name == f"recsys-{recsys.__version__}-py3-none-any.whl"
    assert recsys.__version__ in output(installed, "recsys", "--version")
    code = "import recsys; from importlib.metadata import version; print(version('recsys'), recsys.__file__)"
    version, file = output(installed, "python", "-c", code).split()
    assert version == recsys.__version__
    assert Path(file).is_relative_to(installed.parent)


def test_the_readme_and_the_changelog_name_the_version(wheel: Path) -> None:
    assert wheel.name in (ROOT / "README.md").read_text()
    assert f"\n## {recsys.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_installed_wheel_has_the_commands(installed: Path) -> None:
    shown = output(installed, "recsys", "--help")
    assert all(command in shown for command in ("init", "check", "train", "evaluate", "export", "predict", "doctor"))
