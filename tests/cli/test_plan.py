"""`recsys plan`: sharding plans for machines that are not here."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys.sharding import ShardingPlan
from tests.cli.command_line import Recsys
from tests.training.logs import write_config, write_log

pytestmark = pytest.mark.slow

Refused = Callable[..., str]
PIPELINE = Path(__file__).parents[2] / "pipelines" / "criteo_1tb"
OPEN = """\
label: y
features:
  a: {type: id, vocabulary: open}
  b: {type: id, vocabulary: [x, y, z]}
  c: {type: bucket, boundaries: [1, 2]}
  t: {type: datetime, parts: [hour]}
  n: {type: number}
tables:
  big: {features: [a], scheme: hash, rows: 1000000}
model: {dim: 64, mlp: [32]}
train: {batch_size: 1000}
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A config whose tables have sizes without any data, alone in the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("run.yaml").write_text(OPEN, encoding="utf-8")
    return Path("run.yaml")


def figure(out: str, row: str) -> float:
    """Return the milliseconds of a row of the table of a step."""
    found = re.search(rf"^{row} +(\S+)", out, re.MULTILINE)
    assert found is not None
    return float(found[1])


@pytest.mark.parametrize("world", [8, 16, 128])
def test_a_terabyte_of_clicks_is_planned_without_data_or_devices(world: int, recsys: Recsys) -> None:
    shown = recsys(
        "plan", PIPELINE / "run.yaml", "--world", world, "--per-host", 8, "--device", "cuda", "--memory", "80GiB"
    )
    assert shown.code == 0
    lines = shown.out.splitlines()
    hosts = f" on {world // 8} hosts" if world > 8 else ""
    assert (
        lines[0] == f"26 tables on {world} x H100 SXM{hosts}; batch size 65,536, {65_536 // world:,} on each; adagrad"
    )
    tables = [line for line in lines if re.match(r"t\d+ ", line)]
    assert len(tables) == 26
    assert "data_parallel" not in shown.out
    ranks = lines[next(i for i, line in enumerate(lines) if line.startswith("rank ")) + 1 :]
    assert ranks[0].split()[0] == ("0" if world <= 16 else "min")
    parts = [
        figure(shown.out, row)
        for row in ("embedding lookup", "embedding exchange", "dense part", "gradient all-reduce")
    ]
    assert figure(shown.out, "sum") == pytest.approx(sum(parts), rel=0.01)
    assert "estimated, not measured" in shown.out
    assert "fits: " in shown.out


def test_one_device_is_too_small_and_the_message_says_what_would_do(recsys: Recsys, refused: Refused) -> None:
    first, *advice = refused("plan", PIPELINE / "run.yaml").splitlines()
    assert first.startswith("tables.t1: 40,000,000 rows x 128 (fp32) are the largest of tables that need 209.1 GB")
    assert advice[1:3] == ["  4 devices", "  placement: uvm for tables.t1, tables.t10, tables.t20, tables.t21"]
    shown = recsys("plan", PIPELINE / "uvm.yaml")
    assert "table_wise, uvm" in shown.out
    assert "6.4 GB/s of the host's, over a link of 64 GB/s" in shown.out


def test_every_id_of_a_row_is_counted(recsys: Recsys) -> None:
    one, many = (recsys("plan", PIPELINE / name, "--world", 8).out for name in ("run.yaml", "multi_hot.yaml"))
    assert figure(many, "embedding lookup") > 4 * figure(one, "embedding lookup")
    assert "rows are assumed to be full: max_len ids of C1, C2" in many


def test_sizes_that_the_config_tells_need_no_data(config: Path, recsys: Recsys) -> None:
    shown = recsys("plan", config, "--world", 2)
    assert [line.split()[0] for line in shown.out.splitlines() if " x 64" in line] == ["big", "b", "c", "t.hour"]
    assert "4 x 64" in shown.out  # three values, and what is none of them
    assert not Path(".recsys-cache").exists()


def test_learnt_sizes_come_from_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recsys: Recsys, refused: Refused
) -> None:
    monkeypatch.chdir(tmp_path)
    write_config(tmp_path / "run.yaml")
    found = refused("plan", "run.yaml", "--device", "cpu")
    assert found.splitlines()[0].startswith("data.train: there is no file ")
    assert found.endswith("the plan needs the data: its vocabularies are learned, so they size the tables")
    write_log(tmp_path)
    shown = recsys("plan", "run.yaml", "--world", 2, "--device", "cpu")
    assert shown.code == 0
    assert "21 x 8" in shown.out


def test_the_plan_is_written_and_read_again(config: Path, recsys: Recsys) -> None:
    shown = recsys(
        "plan", config, "--world", 4, "--out", "plan.json", "--intra-bandwidth", "1GB", "--host-memory", "1TiB"
    )
    command = "recsys train run.yaml --devices 4 --plan plan.json"
    assert shown.out.endswith(f"plan.json: the sharding plan; train with it: {command}\n")
    plan = ShardingPlan.from_json(Path("plan.json").read_text(), where="plan.json")
    machine = plan.machine
    assert (machine.world_size, machine.intra_bandwidth, machine.host_memory) == (4, 10**9, 2**40)
    assert [table.rows for table in plan.tables] == [1_000_000, 4, 4, 25]
    assert json.loads(Path("plan.json").read_text())["version"] == 2
    assert sorted(path.name for path in Path().iterdir()) == ["plan.json", "run.yaml"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--gpu", "h1000"), "--gpu: must be one of a100-40, a100-80, h100-pcie, h100, h200, b200, got 'h1000'"),
        (("--world", "12", "--per-host", "8"), "--world: must be a multiple of the 8 devices of a host, got 12"),
        (("--memory", "80"), "--memory: must be bytes with a unit, such as 80GiB or 2TiB, got 80"),
        (("--memory", "0.5"), "--memory: must be bytes with a unit, such as 80GiB or 2TiB, got 0.5"),
        (("--memory", "1MB"), "tables.big: 1,000,000 rows x 64 (fp32) need 260.0 MB on one device"),
    ],
)
def test_a_machine_that_cannot_be_is_refused(
    options: tuple[str, ...], problem: str, config: Path, refused: Refused
) -> None:
    assert refused("plan", config, *options).startswith(problem)
