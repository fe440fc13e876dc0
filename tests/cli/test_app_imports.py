"""Which packages each command imports: start-up is the sum of them, so a new one is a decision, not an accident.

`python -m tests.benchmarks.bench_startup` has the seconds.
"""

from pathlib import Path

import pytest

from tests.startup import start
from tests.training.logs import write_config, write_log

CLI = {"annotated_doc", "rich", "shellingham", "typer"}
HELP = CLI | {"attr", "markdown_it", "mdurl", "pygments"}  # rich renders the texts
CONFIG = CLI | {"annotated_types", "pydantic", "pydantic_core", "typing_extensions", "typing_inspection"}
DATA = CONFIG | {
    "numpy",
    "polars",
    "polars_hash",
    "pyarrow",
    "cloudpickle",
    "dateutil",
    "pytz",
}  # the last three: pyarrow
TORCH = DATA | {"torch", "torchgen", "functorch", "tqdm"}
TRAIN = TORCH | {"fbgemm_gpu", "lightning", "lightning_utilities", "tensordict", "torchmetrics", "torchrec"}
TRAIN |= {"fsspec", "mpmath", "mypy_extensions", "packaging", "pyre_extensions", "pyvers", "sympy", "typing_inspect"}
TRAIN |= {"yaml"}  # Lightning
SERVE = {"starlette", "uvicorn", "grpc", "google", "prometheus_client", "anyio", "h11", "click", "idna"}
IF_INSTALLED = {
    "tensorboard": {"tensorboard", "absl", "google", "grpc", "protobuf"},
    "scipy and matplotlib, which torchmetrics looks for": {
        *("scipy", "matplotlib", "mpl_toolkits", "PIL", "contourpy", "cycler", "fontTools", "kiwisolver", "pyparsing"),
        *("dateutil", "six"),
    },
}
"""What packages below us import where it is there; `pip install recsys` alone brings none of it."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    log = write_log(tmp_path_factory.mktemp("log"))
    write_config(log / "run.yaml", train={"epochs": 1})
    write_config(log / "hashed.yaml", tables={"users": {"features": ["user"], "scheme": "hash", "rows": 8}})
    return log


@pytest.mark.slow
@pytest.mark.parametrize(
    ("argv", "allowed"),
    [
        ("--help", HELP),
        ("train --help", HELP | CONFIG),  # typer takes defaults apart with pydantic
        ("--version", CLI),
        ("schema", CONFIG),
        ("check nowhere.yaml", CONFIG),
        ("init train.parquet --label click", DATA),
        ("demo-data demo --rows 2000", DATA),
        ("check run.yaml", DATA),
        ("check hashed.yaml", TORCH),
        ("tables run.yaml", TORCH),
        ("checkpoint inspect nowhere", TORCH | {"sympy", "mpmath"}),  # torch.distributed.tensor
        ("serve nowhere", TORCH | SERVE),
    ],
)
def test_a_command_imports_what_it_uses(argv: str, allowed: set[str], folder: Path) -> None:
    started = start(argv.split(), folder)
    assert started.code == (2 if "nowhere" in argv else 0)
    assert started.packages - allowed == set()


@pytest.mark.slow
def test_training_imports_no_more_than_its_frameworks_do(folder: Path) -> None:
    started = start(["train", "run.yaml", "--device", "cpu"], folder)
    assert started.code == 0
    assert started.packages - TRAIN - set().union(*IF_INSTALLED.values()) == set()
    ours = {name.split(".")[1] for name in started.modules if name.startswith("recsys.")}
    assert not ours & {"export", "scheme_benchmark", "serving", "suggest"}


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_import_few_modules_of_ours(option: str, folder: Path) -> None:
    """A tenth of all that there are; their seconds follow from that and from the packages above."""
    ours = [name for name in start([option], folder).modules if name.startswith("recsys")]
    assert len(ours) < 60
