"""What a package exports is what it says it exports."""

import importlib
import inspect
import pkgutil
import subprocess
import sys
from types import ModuleType

import pytest

import recsys

MODULES = sorted(
    module.name for module in pkgutil.walk_packages(recsys.__path__, "recsys.") if not module.name.endswith("__main__")
)
PACKAGES = ["recsys", *(name for name in MODULES if hasattr(importlib.import_module(name), "__path__"))]


def public(package: ModuleType) -> set[str]:
    """Return the names without underscore that are no modules and were not made in other packages."""
    return {
        name
        for name, value in vars(package).items()
        if not name.startswith("_")
        and name != "TYPE_CHECKING"
        and not isinstance(value, ModuleType)
        and (getattr(value, "__module__", None) or package.__name__).startswith(package.__name__)
    }


@pytest.mark.parametrize("name", MODULES)
def test_every_name_in_all_exists_once(name: str) -> None:
    module = importlib.import_module(name)
    exported = getattr(module, "__all__", [])
    assert len(exported) == len(set(exported))
    assert [export for export in exported if not hasattr(module, export)] == []


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_exports_what_it_shows(name: str) -> None:
    package = importlib.import_module(name)
    assert public(package) - set(getattr(package, "__all__", [])) == set()


@pytest.mark.parametrize("name", [name for name in MODULES if name not in PACKAGES])
def test_a_module_says_what_it_exports(name: str) -> None:
    assert hasattr(importlib.import_module(name), "__all__")


def test_the_surface_shows_what_it_exports() -> None:
    shown = [name for name in dir(recsys) if not name.startswith("_") or name == "__version__"]
    assert shown == sorted(recsys.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        recsys.trian  # noqa: B018


@pytest.mark.parametrize("name", sorted(set(recsys.__all__) - {"__version__"}))
def test_every_name_of_the_surface_is_typed_and_documented(name: str) -> None:
    found = getattr(recsys, name)
    assert (found.__doc__ or "").strip()
    functions = [found] if inspect.isfunction(found) else [*inspect.getmembers(found, inspect.isfunction)]
    for function in functions:
        function = function[1] if isinstance(function, tuple) else function
        if function.__module__.startswith("recsys.api") and not function.__name__.startswith("_"):
            assert "return" in function.__annotations__, function
            assert (function.__doc__ or "").strip(), function


def imported_by(statement: str) -> set[str]:
    printed = subprocess.run(
        [sys.executable, "-c", f"{statement}; import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.split(".")[0] for name in printed.stdout.split()}


def test_the_package_alone_imports_nothing_heavy() -> None:
    heavy = {"torch", "lightning", "polars", "numpy", "pyarrow", "pydantic", "typer", "rich"}
    assert not imported_by("import recsys") & heavy
    assert not imported_by("import recsys; recsys.load_config") & (heavy - {"pydantic", "typer", "rich"})
    assert not imported_by("import recsys; recsys.Run") & {"torch", "polars"}


def test_the_configuration_needs_neither_torch_nor_polars() -> None:
    assert not imported_by("import recsys.config") & {"torch", "torchrec", "lightning", "polars", "pyarrow"}


@pytest.mark.slow
def test_the_command_line_begins_without_torch() -> None:
    assert not imported_by("import recsys.cli, recsys.cli.check") & {"torch", "torchrec", "lightning"}


@pytest.mark.slow
def test_serving_needs_no_training_stack() -> None:
    assert not imported_by("import recsys.serving") & {"lightning", "torchrec"}
