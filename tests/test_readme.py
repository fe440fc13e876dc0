"""Everything that a README says and that a program can check: commands, configurations, Python, links, tables."""

import importlib
import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import typer

import recsys
from recsys.cli.app import app
from recsys.config import Config, load_config, resolve
from recsys.config.feature_types import FEATURE_TYPES
from recsys.config.former import FORMER_DEFAULTS
from recsys.config.losses import LOSSES
from recsys.config.schema import json_schema
from recsys.config.schemes import SCHEMES
from recsys.config.section import Section
from recsys.config.towers import TOWERS
from recsys.evaluation.metrics import METRICS
from tests.pages import PAGES, ROOT, Block, Page, page

COMMANDS = typer.main.get_command(app)
MANUAL = page("feature_configs/README.md")
README = page("README.md")
COLUMNS = ["clicked", "user_id", "sample_weight", "item_id", "C1", "C2", "I1", "price", "genres", "ts", "city"]

all_pages = pytest.mark.parametrize("page", PAGES, ids=str)


def commands() -> Any:
    """Return a parametrization over the pages and their commands."""
    found = [(page, command) for page in PAGES for command in page.commands]
    return pytest.mark.parametrize(("page", "command"), found, ids=[f"{page}: {command}" for page, command in found])


def blocks(language: str) -> Any:
    """Return a parametrization over the pages and their blocks in one language."""
    found = [(page, block) for page in PAGES for block in page.blocks if block.language == language]
    return pytest.mark.parametrize(("page", "block"), found, ids=[f"{page}:{block.line}" for page, block in found])


# --- commands ---------------------------------------------------------------------------------------------------------


@commands()
def test_every_command_is_one_that_its_program_takes(page: Page, command: str) -> None:
    words = shlex.split(command.split(" > ")[0])
    if words[0] == "torchrun":
        words = words[words.index("-m") + 1 :]
    checks = {"recsys": check_recsys, "make": check_make, "python": check_python, "pip": check_pip, "curl": check_curl}
    check = checks[words[0]]
    check(words[1:])


def check_recsys(words: list[str]) -> None:
    command = COMMANDS
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        command, words = command.commands[words[0]], words[1:]
    if words and words != ["..."]:
        command.make_context("recsys", words, resilient_parsing=words in (["--help"], ["--version"]))
    for word in words:
        if word.startswith(("pipelines/", "feature_configs/")):
            assert (ROOT / word).exists(), f"{word} does not exist"


def check_make(words: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for word in words:
        name, _, value = word.partition("=")
        pattern = rf"^{name} \?=" if value else rf"^{name}:"
        assert re.search(pattern, makefile, re.M), f"make knows no {name}"


def check_curl(words: list[str]) -> None:
    url, option, body = words
    keys = {"localhost:8080/score": ["rows"], "localhost:8080/rank": ["user", "candidates"]}[url]
    assert option == "--data"
    assert body == "@request.json" or list(json.loads(body)) == keys


def check_python(words: list[str]) -> None:
    if words[0] == "-m":
        is_known = words[1] == "build" or importlib.util.find_spec(words[1])  # `build` is the releaser's own
        assert is_known, f"there is no module {words[1]}"
    paths = [word for word in words if "/" in word and not word.startswith("-")]
    missing = [word for word in paths if not (ROOT / word).exists() and word != "DIR"]
    assert not missing, f"{missing} do not exist"


def check_pip(words: list[str]) -> None:
    for word in words:
        if word.startswith(".ci/"):
            assert (ROOT / word).exists()
        if word.endswith(".whl"):
            assert word == f"recsys-{recsys.__version__}-py3-none-any.whl"


# --- configurations ---------------------------------------------------------------------------------------------------


@blocks("yaml")
def test_every_configuration_is_valid(page: Page, block: Block, tmp_path: Path, monkeypatch: Any) -> None:
    write_files(page, tmp_path, monkeypatch)
    load_block(block, tmp_path)


def write_files(page: Page, folder: Path, monkeypatch: Any) -> None:
    """Write the files of a page to a folder from which they can be imported; what they register is forgotten."""
    for name, text in page.files().items():
        (folder / name).write_text(text)
        monkeypatch.delitem(sys.modules, name.removesuffix(".py"), raising=False)
    monkeypatch.syspath_prepend(folder)
    for registry in (FEATURE_TYPES, LOSSES, METRICS, SCHEMES, TOWERS):
        monkeypatch.setattr(registry, "_entries", dict(registry.items()))


@pytest.mark.slow
def test_the_metric_of_the_page_passes_the_contract_suite(tmp_path: Path) -> None:
    for name, text in page("recsys/evaluation/README.md").files().items():
        (tmp_path / name).write_text(text)
    suite = run_lines(
        [sys.executable, "-m", "pytest", "-q", "-c", str(ROOT / "pyproject.toml"), str(tmp_path)], tmp_path
    )
    assert " passed" in suite[-1]


def load_block(block: Block, folder: Path) -> Config:
    """Load a configuration; sections that it lacks are those of the manual's example."""
    sections = sections_of(block.text)
    if "include" not in sections and "label" not in sections:
        base = sections_of(next(block.text for block in MANUAL.blocks if block.note == "config: base"))
        if "features" in sections:
            base = {"label": "label: clicked\n"}
        sections = base | sections
    (folder / "feature_configs").symlink_to(ROOT / "feature_configs")
    path = folder / "pipelines" / "mine" / "run.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("".join(sections.values()))
    return load_config(path)


def sections_of(text: str) -> dict[str, str]:
    """Return the text of each section of a YAML file by its name."""
    parts = re.split(r"^(?=\w+:)", text, flags=re.M)
    return {part.partition(":")[0]: part for part in parts if part.strip() and not part.startswith("#")}


def test_the_example_of_the_manual_uses_every_column(tmp_path: Path) -> None:
    block = next(block for block in MANUAL.blocks if block.note == "config: base")
    resolved = resolve(load_block(block, tmp_path), [*COLUMNS, "clicked_items"])
    assert [table.name for table in resolved.tables][:2] == ["items", "rest"]
    assert resolved.field("C2").open
    assert {"ts.hour", "ts.weekday", "clicked_items"} <= {field.name for field in resolved.fields}


def unstated(section: Section, keys: Mapping[str, Any]) -> list[str]:
    """Return the keys, of a section and those in it, that a file leaves to the defaults."""
    found = []
    for key, default in keys.items():
        if isinstance(default, Mapping):
            found += unstated(getattr(section, key), default)
        elif key not in section.model_fields_set:
            found.append(key)
    return found


@pytest.mark.parametrize("path", sorted(ROOT.glob("pipelines/*/*.yaml")), ids=lambda path: "/".join(path.parts[-2:]))
def test_every_pipeline_is_a_valid_configuration_and_has_a_page(path: Path) -> None:
    config = load_config(path)
    assert config.data.train is not None
    assert not unstated(config.train, FORMER_DEFAULTS), "its results would change with the defaults"
    assert (path.parent / "README.md").exists()
    assert path.parent.name in page("pipelines/README.md").text


# --- Python -----------------------------------------------------------------------------------------------------------


@blocks("python")
def test_every_python_example_compiles_and_imports_what_is_there(page: Page, block: Block) -> None:
    compile(block.text, f"{page}:{block.line}", "exec")
    for module, names in re.findall(r"^from (recsys[\w.]*) import \(?([^)\n]+)", block.text, re.M):
        found = importlib.import_module(module)
        for name in re.findall(r"\w+", names):
            assert hasattr(found, name) or importlib.util.find_spec(f"{module}.{name}"), f"{module} has no {name}"


@pytest.mark.slow
def test_the_quick_start_prints_what_the_page_shows_and_the_python_example_runs(tmp_path: Path) -> None:
    for name, text in README.files().items():
        (tmp_path / name).write_text(text)
    printed = []
    for command in README.commands:
        if re.match(r"recsys (?!serve).*\b(log|shop|bundle)\b", command):
            printed += run_lines([sys.executable, "-m", *shlex.split(command)], tmp_path)
    shown = next(block.text for block in README.blocks if block.note == "output").splitlines()
    assert [skeleton(line) for line in printed][: len(shown)] == [skeleton(line) for line in shown]
    for was, now in zip(aucs(shown), aucs(printed), strict=True):
        assert now == pytest.approx(was, abs=0.01)
    script = "\n".join(block.text for block in README.blocks if block.language == "python")
    run_lines([sys.executable, "-c", script], tmp_path)
    check_served(tmp_path)


def check_served(folder: Path) -> None:
    """Run the command that serves, and ask what the page asks, on any port that is free."""
    [serving] = [command for command in README.commands if command.startswith("recsys serve bundle")][:1]
    [asking] = [command for command in README.commands if command.startswith("curl")]
    command = [sys.executable, "-m", *shlex.split(serving), "--port", "0"]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        address = re.search(r"http://(\S+)", server.stderr.readline())
        assert address, "the server does not say its address"
        body = shlex.split(asking)[-1].encode()
        try:
            with urllib.request.urlopen(f"{address[0]}/score", body, timeout=20) as reply:
                [score] = json.loads(reply.read())["scores"]["score.label"]
        finally:
            server.terminate()
        assert server.wait(20) == 0
    assert 0 < score < 1


@pytest.mark.slow
def test_the_plan_of_the_terabyte_is_the_one_the_page_shows(tmp_path: Path) -> None:
    shown = page("pipelines/criteo_1tb/README.md").text
    command = "recsys plan pipelines/criteo_1tb/run.yaml --world 8 --gpu h100"
    assert command in shown
    printed = run_lines([sys.executable, "-m", *shlex.split(command)], ROOT)
    [total] = [line for line in printed if line.startswith("sum ")]
    assert " ".join(total.split()) in re.sub(" +", " ", shown)


def run_lines(argv: list[str], folder: Path) -> list[str]:
    """Run a program in a folder and return the lines that it prints."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return [line for line in (done.stderr + done.stdout).splitlines() if not re.search(r"\d of [\d,]+ rows", line)]


def skeleton(line: str) -> str:
    """Return a line without its figures.

    >>> skeleton("epoch 2: valid AUC 0.75, 1,234 rows/s (best)")
    'epoch #: valid AUC #, # rows/s'
    """
    return re.sub(r"\d[\d.,]*(?<!,)", "#", line.replace(" (best)", ""))


def aucs(lines: list[str]) -> list[float]:
    return [float(figure) for line in lines for figure in re.findall(r"AUC (0\.\d+)", line)]


# --- links and names --------------------------------------------------------------------------------------------------


@all_pages
def test_every_link_leads_somewhere(page: Page) -> None:
    for target in page.links:
        path, _, anchor = target.partition("#")
        found = (page.path.parent / path).resolve() if path else page.path
        assert found.exists(), f"{page}: {target} does not exist"
        if anchor:
            assert anchor in Page(found / "README.md" if found.is_dir() else found).anchors, f"{page}: no {target}"


@all_pages
def test_every_path_in_the_text_exists(page: Page) -> None:
    for code in page.code:
        if re.fullmatch(r"(recsys|tests|pipelines|feature_configs|notebooks)/[\w./*-]+", code):
            assert list(ROOT.glob(re.sub("[A-Z]{4,}", "*", code).rstrip("/"))), f"{page}: {code} does not exist"


@all_pages
def test_every_dotted_name_can_be_imported(page: Page) -> None:
    for name in page.code:
        if re.fullmatch(r"recsys(\.\w+)+(\(.*\))?", name):
            load(name.partition("(")[0])


def load(name: str) -> Any:
    """Return a module, or what a module holds."""
    module, _, attribute = name.rpartition(".")
    if not module:
        return importlib.import_module(name)
    parent = load(module)
    return getattr(parent, attribute) if hasattr(parent, attribute) else importlib.import_module(name)


@all_pages
def test_every_name_said_to_be_in_a_file_is_there(page: Page) -> None:
    for name, path in re.findall(r"`(\w[\w.]*)`(?: \w+)? in `(recsys/[\w/]+\.py)`", page.prose):
        text = (ROOT / path).read_text()
        for part in name.split("."):
            assert re.search(rf"^\s*(?:class |def )?{part}\b", text, re.M), f"{path} has no {name}"


def test_the_readme_is_short() -> None:
    assert len(README.text.encode()) < 9000


def test_trees_name_every_folder_of_the_package() -> None:
    folders = {path.parent.name for path in (ROOT / "recsys").glob("*/__init__.py")}
    for shown in (README, page("recsys/README.md")):
        tree = next(block.text for block in shown.blocks if "recsys/" in block.text and not block.language)
        assert folders <= set(re.findall(r"(\w+)/", tree)), f"{shown}: the tree lacks a folder"


def test_the_way_of_a_value_is_listed_alike_in_both_places() -> None:
    pages = [page(name).prose for name in ("recsys/README.md", "recsys/features/README.md")]
    files = [re.findall(r"^\d+\. `(recsys/[\w./]+)`", text, re.M) for text in pages]
    assert files[0] == files[1]
    assert len(files[0]) == 12


def test_the_tree_is_in_the_order_of_the_import_contract() -> None:
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    level = {name: i for i, layer in enumerate(reversed(contract["layers"])) for name in layer.split(" | ")}
    tree = next(block.text for block in page("recsys/README.md").blocks if block.text.startswith("recsys/"))
    levels = [level[name] for name in re.findall(r"^  (\w+)(?:/|\.py)", tree, re.M)]
    assert levels == sorted(levels)


# --- tables -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shown", [README, MANUAL], ids=str)
def test_every_scheme_and_tower_is_named(shown: Page) -> None:
    assert {*SCHEMES, *TOWERS} <= set(shown.code)
    assert re.findall(r"\[(\d+) schemes\]", shown.prose) in ([], [str(len(SCHEMES))])


def test_the_manual_states_the_facts_of_every_scheme() -> None:
    shown = [(cells[0], cells[2], cells[3]) for cells in MANUAL.table("scheme")]
    facts = [
        (f"`{name}`", f"`{section.size_param}`" if section.size_param else "", "yes" if section.takes_open else "no")
        for name, section in SCHEMES.items()
    ]
    assert shown == facts


def test_the_table_of_metrics_states_the_facts_of_each() -> None:
    better = {True: "higher", False: "lower", None: ""}
    shown = [(cells[0].strip("`"), cells[2]) for cells in page("recsys/evaluation/README.md").table("metric")]
    assert shown == [(name, better[metric.higher_is_better]) for name, metric in METRICS.items()]


def test_the_manual_lists_every_feature_type() -> None:
    assert [cells[0].strip("`") for cells in MANUAL.table("type")] == list(FEATURE_TYPES)


def test_the_manual_explains_every_key() -> None:
    sections = json_schema()["$defs"]
    own = [set(section["properties"]) for name, section in sections.items() if "scheme" in section["properties"]]
    keys = set.intersection(*own)
    for section in sections.values():
        keys |= set() if "scheme" in section["properties"] else set(section["properties"])
    assert not keys - set(re.findall(r"\w+", " ".join(MANUAL.code)))
