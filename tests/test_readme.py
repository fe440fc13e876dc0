"""What README and pipelines say is held against the code."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from recsys.cli.app import app
from recsys.config import load_config, resolve
from recsys.config.schemes import SCHEMES

ROOT = Path(__file__).parent.parent
COMMANDS = typer.main.get_command(app)
README = (ROOT / "README.md").read_text()


def command_lines() -> list[str]:
    pages = [ROOT / "README.md", *sorted(ROOT.glob("pipelines/*/README.md"))]
    lines = [line.split("#")[0].strip() for page in pages for line in page.read_text().splitlines()]
    return [line for line in lines if line.startswith("recsys ")]


def test_the_example_config_is_valid_and_uses_every_column(tmp_path: Path) -> None:
    block = re.search(r"<!-- test: config -->\n```yaml\n(.*?)```", README, re.DOTALL)
    assert block is not None
    path = tmp_path / "mine.yaml"
    path.write_text(block.group(1))
    columns = ["clicked", "user_id", "sample_weight", "item_id", "C1", "C2", "I1", "price", "genres", "ts", "city"]
    resolved = resolve(load_config(path), [*columns, "clicked_items"])
    assert [table.name for table in resolved.tables][:2] == ["items", "rest"]
    assert resolved.field("C2").open
    assert {"ts.hour", "ts.weekday", "clicked_items"} <= {field.name for field in resolved.fields}


def test_the_example_tables_fit_the_example_config(tmp_path: Path) -> None:
    config, tables = (
        re.search(rf"<!-- test: {name} -->\n```yaml\n(.*?)```", README, re.DOTALL) for name in ("config", "tables")
    )
    assert config is not None
    assert tables is not None
    head, _, rest = config.group(1).partition("tables:")
    path = tmp_path / "mine.yaml"
    path.write_text(head + tables.group(1) + rest[rest.index("data:") :])
    columns = ["clicked", "user_id", "sample_weight", "item_id", "C1", "C3", "I1", "price", "genres", "ts", "city"]
    resolved = resolve(load_config(path), [*columns, "clicked_items"])
    assert resolved.tables[0].fields == ("user_id", "C1", "C3")


def test_the_example_of_shards_is_valid(tmp_path: Path) -> None:
    config, shards = (
        re.search(rf"<!-- test: {name} -->\n```yaml\n(.*?)```", README, re.DOTALL) for name in ("config", "shards")
    )
    assert config is not None
    assert shards is not None
    head, _, rest = config.group(1).partition("tables:")
    tables, _, keys = shards.group(1).partition("train:\n")
    path = tmp_path / "mine.yaml"
    path.write_text(head + tables.replace("[user_id]", "[city]") + rest[rest.index("data:") :] + keys)
    columns = ["clicked", "user_id", "sample_weight", "item_id", "C1", "C3", "I1", "price", "genres", "ts", "city"]
    resolved = resolve(load_config(path), [*columns, "clicked_items"])
    assert [table.spec.sharding for table in resolved.tables[:3]] == ["row_wise", None, None]
    assert resolved.config.train.communication == "fp16"


def test_every_scheme_is_in_the_table_of_schemes() -> None:
    assert set(SCHEMES) <= set(re.findall(r"`(\w+)`", README))


@pytest.mark.parametrize("line", command_lines())
def test_every_command_line_is_one_the_program_takes(line: str) -> None:
    words = shlex.split(line.split(">")[0])
    command, rest = COMMANDS, words[1:]
    while hasattr(command, "commands"):
        command, rest = command.commands[rest[0]], rest[1:]
    with command.make_context(words[1], rest, resilient_parsing=False):
        pass


def test_the_tree_names_every_folder_of_the_package() -> None:
    named = set(re.findall(r"^  (\w+)/", README, re.MULTILINE))
    folders = {path.parent.name for path in (ROOT / "recsys").glob("*/__init__.py")}
    assert folders <= named


@pytest.mark.parametrize("path", sorted(ROOT.glob("pipelines/*/*.yaml")), ids=lambda path: "/".join(path.parts[-2:]))
def test_every_pipeline_is_a_valid_config(path: Path) -> None:
    assert load_config(path).data.train is not None
    assert (path.parent / "README.md").exists()
