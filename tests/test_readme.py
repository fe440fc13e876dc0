"""What README and pipelines say is held against the code."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from recsys.cli.commands import app
from recsys.config import load_config, resolve

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
    plan = resolve(load_config(path), [*columns, "clicked_items"])
    assert [table.name for table in plan.tables][:2] == ["items", "rest"]
    assert plan.field("C2").open
    assert {"ts.hour", "ts.weekday", "clicked_items"} <= {field.name for field in plan.fields}


@pytest.mark.parametrize("line", command_lines())
def test_every_command_line_is_one_the_program_takes(line: str) -> None:
    words = shlex.split(line.split(">")[0])
    command = COMMANDS.commands[words[1]]  # type: ignore[attr-defined]
    with command.make_context(words[1], words[2:], resilient_parsing=False):
        pass


def test_the_tree_names_every_folder_of_the_package() -> None:
    named = set(re.findall(r"^  (\w+)/", README, re.MULTILINE))
    folders = {path.parent.name for path in (ROOT / "recsys").glob("*/__init__.py")}
    assert folders <= named


@pytest.mark.parametrize("path", sorted(ROOT.glob("pipelines/*/*.yaml")), ids=lambda path: "/".join(path.parts[-2:]))
def test_every_pipeline_is_a_valid_config(path: Path) -> None:
    assert load_config(path).data.train is not None
    assert (path.parent / "README.md").exists()
