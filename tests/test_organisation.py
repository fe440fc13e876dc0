"""How the tests are kept: they mirror `recsys/`, and their names say what is expected."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"
FILES = sorted(path.relative_to(TESTS) for path in TESTS.rglob("*.py"))
TEST_FILES = [path for path in FILES if path.name.startswith("test_")]
SUITES = {
    "contract": "runs a suite of recsys.testing on every entry of a registry",
    "contract_ranks": "the same on two ranks",
    "examples": "examples in documentation",
    "own_parts": "parts that users write themselves",
    "capabilities": "tables in documentation",
    "coverage_proof": "intervals of all metrics over many test sets",
    "figures": "all metrics against independent implementations",
    "influence": "influence values of all metrics",
    "init": "the package itself, `__init__.py`",
    "full_disk": "every command on a disk that fills up",
    "fuzzed_files": "raw files of all formats, damaged or odd, through every command",
    "hostile_run": "run folders of others, through every command",
    "signals": "Ctrl-C and SIGTERM at any moment of a command",
    "two_at_once": "two commands on one folder",
    "fuzz_files": "raw files of all formats, damaged or odd",
    "planted": "search methods on data whose dims are known",
    "tour": "notebooks/",
    "what_is_worth_its_bytes": "notebooks/",
}
"""Names of test files that are about no single module, and why."""
MAX_LINES = 400


def has_counterpart(path: Path) -> bool:
    """Return whether test_MODULE.py or test_MODULE_TOPIC.py has the module, or the package, in the same room."""
    words = path.stem.removeprefix("test_").split("_")
    room = ROOT / "recsys" / path.parent
    names = ["_".join(words[: i + 1]) for i in range(len(words))]
    return any((room / f"{name}.py").exists() or (room / name).is_dir() for name in names)


@pytest.mark.parametrize("path", [path for path in TEST_FILES if path.parent != Path()], ids=str)
def test_a_test_file_is_named_after_the_module_that_it_tests(path: Path) -> None:
    assert has_counterpart(path) or path.stem.removeprefix("test_") in SUITES


@pytest.mark.parametrize("path", FILES, ids=str)
def test_no_test_file_is_too_long_to_read(path: Path) -> None:
    assert len((TESTS / path).read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", FILES, ids=str)
def test_helpers_are_imported_from_plain_modules_and_not_from_conftest_or_tests(path: Path) -> None:
    text = (TESTS / path).read_text(encoding="utf-8")
    assert not re.search(r"^(from|import) \S*\b(conftest|test_\w+)\b", text, flags=re.MULTILINE)


def test_names_of_tests_say_behaviours_and_not_numbers_of_checks() -> None:
    names = [name for path in TEST_FILES for name in re.findall(r"def (test_\w+)", (TESTS / path).read_text())]
    assert [name for name in names if re.search(r"check_?\d", name)] == []
