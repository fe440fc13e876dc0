"""`recsys COMMAND`: each command names files and an action; what a model is stands in its YAML file."""

import json
import logging
import math
import os
import shlex
import sys
import warnings
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from recsys.cli.checkpoint import app as checkpoint_app
from recsys.cli.progress import console, progress_reports
from recsys.environment.worker import Failure, is_launched, place, tell_launcher
from recsys.errors import DataError, RecsysError, user_message

__all__ = ["app", "main"]

DEFAULT_CACHE = Path(".recsys-cache")

app = typer.Typer(
    help="Train, evaluate and export click-through-rate models that one YAML file describes.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="markdown",
)
app.add_typer(checkpoint_app, name="checkpoint")

ConfigFile = Annotated[Path, typer.Argument(help="A feature config or a run.yaml.", show_default=False)]
RunFolder = Annotated[Path, typer.Argument(help="The folder of a run, e.g. runs/NAME.", show_default=False)]
DataDir = Annotated[Path, typer.Option(help="What the paths in the section `data` are relative to.")]
CacheDir = Annotated[Path, typer.Option(help="Where prepared data is kept between runs.")]
Device = Annotated[Literal["cpu", "cuda"] | None, typer.Option(help="Default: cuda where there is one.")]


def main() -> None:
    """Run the command line; a problem of the user's ends with its message and exit code 2."""
    if not sys.warnoptions:
        _hide_warnings_of_packages()
    try:
        app()
    except (RecsysError, OSError) as error:
        problem = user_message(error)
        if problem is None:
            raise
        _refuse(problem)


@app.command()
def init(
    data: Annotated[Path, typer.Argument(help="A parquet, csv, tsv or Arrow file of training rows.")],
    label: Annotated[str, typer.Option(help="The column with 0 and 1; without a header, col_1 is the first.")],
    separator: Annotated[str | None, typer.Option(help="Of a csv file.")] = None,
    header: Annotated[bool, typer.Option(help="Whether a csv file's first line names its columns.")] = True,
) -> None:
    """Look at the columns of a file and print a commented config.

    Example: `recsys init data/train.parquet --label click > feature_configs/mine.yaml`
    """
    from recsys.suggest.suggest import suggest_for_file

    print(suggest_for_file(data, label=label, separator=separator, header=header), end="")


@app.command()
def check(
    config: ConfigFile,
    data_dir: DataDir = Path(),
    cache_dir: CacheDir = DEFAULT_CACHE,
) -> None:
    """Report every problem of a config at once, or show what it makes of each column.

    Example: `recsys check feature_configs/mine.yaml`
    """
    from recsys.cli.check import show_plan

    show_plan(config, data_dir=data_dir, cache_dir=cache_dir)


@app.command()
def tables(
    config: ConfigFile,
    what_if: Annotated[
        str | None,
        typer.Option(help="Every scheme at this size: a fraction of the full tables (0.1), or bytes (10MB)."),
    ] = None,
    data_dir: DataDir = Path(),
    cache_dir: CacheDir = DEFAULT_CACHE,
) -> None:
    """Show what the embedding tables cost, before anything is trained: bytes, and ids that share their rows.

    Prepares the data first, as `recsys train` would, which then finds it prepared: sizes need whole vocabularies.

    Example: `recsys tables feature_configs/mine.yaml`, then
    `recsys tables feature_configs/mine.yaml --what-if 0.1`
    """
    from recsys.cli.tables import show_tables, show_what_if

    words = shlex.join([str(config), *given_options(data_dir, cache_dir)])
    if what_if is None:
        show_tables(config, data_dir=data_dir, cache_dir=cache_dir, words=words)
    else:
        show_what_if(config, what_if, data_dir=data_dir, cache_dir=cache_dir, words=words)


@app.command("plan")
def plan_tables(
    config: ConfigFile,
    world: Annotated[int, typer.Option(help="Devices in all.", min=1)] = 1,
    per_host: Annotated[int | None, typer.Option(help="Devices of a host. Default: 8, or all.", min=1)] = None,
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="Need not be here.")] = "cuda",
    gpu: Annotated[str, typer.Option(help="a100-40, a100-80, h100-pcie, h100, h200 or b200.")] = "h100",
    memory: Annotated[str | None, typer.Option(help="Of a device, e.g. 80GiB. Default: the GPU's.")] = None,
    host_memory: Annotated[str | None, typer.Option(help="Of a host, e.g. 2TiB.")] = None,
    intra_bandwidth: Annotated[str | None, typer.Option(help="Between devices of a host, a second, one way.")] = None,
    inter_bandwidth: Annotated[str | None, typer.Option(help="From a device to other hosts, a second.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the plan here, for `recsys train --plan`.")] = None,
    data_dir: DataDir = Path(),
    cache_dir: CacheDir = DEFAULT_CACHE,
) -> None:
    """Show which device would hold which part of which table, why, and what a training step would cost.

    Needs none of the devices, and data only if the sizes of tables hang on its vocabularies. If the tables do not fit,
    it says which is too large and what would make it fit.

    Example: `recsys plan run.yaml --world 16 --per-host 8 --memory 80GiB`
    """
    from recsys.cli.plan import Hardware, show_placement

    hardware = Hardware(
        device=device,
        world=world,
        per_host=per_host,
        gpu=gpu,
        memory=memory,
        host_memory=host_memory,
        intra_bandwidth=intra_bandwidth,
        inter_bandwidth=inter_bandwidth,
    )
    words = shlex.join([str(config), *given_options(data_dir, cache_dir)])
    show_placement(config, hardware, out=out, data_dir=data_dir, cache_dir=cache_dir, words=words)


@app.command()
def train(
    config: ConfigFile,
    data_dir: DataDir = Path(),
    name: Annotated[str | None, typer.Option(help="Name of the run. Default: the config's, numbered.")] = None,
    runs_dir: Annotated[Path, typer.Option(help="Where run folders are made.")] = Path("runs"),
    resume: Annotated[Path | None, typer.Option(help="Go on with this run after it was stopped.")] = None,
    cache_dir: CacheDir = DEFAULT_CACHE,
    device: Device = None,
    devices: Annotated[
        int,
        typer.Option(help="Processes that train together, each on a device of this host; torchrun has the say.", min=1),
    ] = 1,
    plan: Annotated[
        Path | None, typer.Option(help="Which device holds what, from `recsys plan --out` or a run.")
    ] = None,
) -> None:
    """Prepare the data (cached), train, and evaluate the best epoch.

    Any number of devices trains the same model, and goes on with a run of any other number. On several hosts, torchrun
    starts the processes. SIGTERM saves and stops; exit code 75.

    Example: `recsys train pipelines/frappe_autoint/run.yaml --data-dir DIR`, then with two processes
    `recsys train run.yaml --devices 2`, or on each of four hosts
    `torchrun --nnodes 4 --nproc-per-node 8 ... -m recsys train run.yaml`
    """
    from recsys.cli.train import Training, train_here, train_on
    from recsys.config import load_config

    loaded = load_config(config)
    words = [str(config), *given_options(data_dir, cache_dir)]
    words += [] if device is None else ["--device", device]
    words += [] if plan is None else ["--plan", str(plan)]
    training = Training(words, resume, lambda: new_run_folder(config, name, runs_dir))
    if devices > 1 and place() is None:
        sys.exit(train_on(devices, training))
    trained = train_here(training, loaded, data_dir=data_dir, cache_dir=cache_dir, device=device, plan=plan)
    if trained is not None:
        print(f"{trained.folder}: {figures(trained.metrics, 'test' if 'test.auc' in trained.metrics else 'valid')}")


@app.command("compare-schemes")
def compare_schemes(
    config: ConfigFile,
    schemes: Annotated[str, typer.Option(help="all, or names such as full,hash,hash/separate.")] = "all",
    budgets: Annotated[str, typer.Option(help="Fractions of the full table, or sizes such as 10MB.")] = "0.5,0.1,0.01",
    seeds: Annotated[int, typer.Option(help="Trainings of each; the first has train.seed.", min=1)] = 3,
    data_dir: DataDir = Path(),
    cache_dir: CacheDir = DEFAULT_CACHE,
    out: Annotated[Path | None, typer.Option(help="Default: compare/NAME, called like the config.")] = None,
    processes: Annotated[int, typer.Option(help="Trainings at a time; they share the cores.", min=1)] = 1,
) -> None:
    """Train every compression of the embeddings at every budget, and recommend one for each.

    All features with ids are put into one table of width model.dim; the rest of the config stays. SCHEME/separate deals
    a scheme's budget to the features instead of letting them share it, unified/probes reads two narrow rows for one.
    Called again, it trains what is not there yet: after an interruption, or with further schemes, budgets or seeds.
    Exit code 1: some trainings failed.

    Example: `recsys compare-schemes run.yaml --schemes full,hash,hash/separate --budgets 0.1,10MB --seeds 3`
    """
    from recsys.cli.compare import run_comparison

    folder = out or Path("compare") / config_name(config)
    options = {"schemes": schemes, "budgets": budgets, "seeds": seeds, "processes": processes}
    if not run_comparison(config, options, data_dir=data_dir, cache_dir=cache_dir, folder=folder):
        sys.exit(1)


@app.command()
def evaluate(
    run: RunFolder,
    data: Annotated[list[str], typer.Argument(help="Files or globs with the label column.")],
    out: Annotated[Path | None, typer.Option(help="Write label, score, weight and group here (parquet).")] = None,
    device: Device = None,
) -> None:
    """Score other files with the best epoch of a run and print the metrics as JSON.

    Example: `recsys evaluate runs/NAME data/other.parquet`
    """
    from recsys.serving.output import check_output
    from recsys.sources.source import find_files
    from recsys.training.evaluate import evaluate_files

    if out is not None:
        check_output(out, find_files(tuple(data), Path(), "data"))
    with progress_reports() as progress:
        metrics = evaluate_files(run, data, out=out, device=device, progress=progress)
    shown = {name: None if math.isnan(value) else value for name, value in metrics.items()}  # JSON has no NaN
    print(json.dumps(shown, indent=2))
    if None in shown.values():
        console.print("null: not defined on these rows; AUC, for example, needs labels of both classes")


@app.command()
def export(
    run: RunFolder,
    out: Annotated[Path, typer.Option(help="Folder of the bundle.")],
) -> None:
    """Write TorchScript that takes raw columns, and check it in a fresh process.

    Example: `recsys export runs/NAME --out bundle/`
    """
    from recsys.export import export_run

    export_run(run, out)
    console.print(f"{out}: model.pt scores its golden rows as training did", markup=False)


@app.command()
def predict(
    bundle: Annotated[Path, typer.Argument(help="A folder written by `recsys export`.")],
    data: Annotated[list[str], typer.Argument(help="Files or globs; the label column is not needed.")],
    out: Annotated[Path, typer.Option(help="Parquet file for the scores.")],
    keep: Annotated[list[str] | None, typer.Option(help="Column to copy beside the scores; may be repeated.")] = None,
) -> None:
    """Score files with a bundle.

    Example: `recsys predict bundle/ data/other.parquet --out scores.parquet --keep user_id`
    """
    from recsys.serving import Scorer
    from recsys.sources.source import find_files

    paths = find_files(tuple(data), Path(), "data")
    scorer = Scorer(bundle)
    for path in scorer.unlabelled(paths):
        console.print(f"{path}: has no header and is short by the label: read without it", markup=False)
    with progress_reports() as progress:
        rows = scorer.score_files(paths, out, keep=keep or [], progress=progress)
    console.print(f"{out}: {rows:,} scores", markup=False)


@app.command("demo-data")
def demo_data(
    folder: Annotated[Path, typer.Argument(help="New folder for the click log.")],
    rows: Annotated[int, typer.Option(help="Rows in all splits together.", min=1000)] = 300_000,
    shape: Annotated[Literal["shop", "criteo"], typer.Option(help="Histories, or 13 numbers and 26 ids.")] = "shop",
    seed: Annotated[int, typer.Option(min=0)] = 1,
) -> None:
    """Make a click log whose best possible AUC is known, with a config.yaml to train on it.

    Example: `recsys demo-data demo/data --rows 300000`
    """
    from recsys.data.synthetic import generate, generate_wide

    with progress_reports() as progress:
        made = (generate if shape == "shop" else generate_wide)(folder, rows=rows, seed=seed, progress=progress)
    best = made.bayes_auc["test"]
    console.print(f"{folder}: {rows:,} rows; the best AUC possible on test is {best:.4f}", markup=False)


@app.command()
def doctor() -> None:
    """Check torch, torchrec and fbgemm, show devices, and say what to install if something does not fit.

    Example: `recsys doctor`
    """
    from recsys.cli.doctor import show_findings

    if not show_findings():
        sys.exit(1)


@app.command()
def schema() -> None:
    """Print the JSON Schema of the configuration, for editors.

    Example: `recsys schema > recsys.schema.json`, then begin a file with
    `# yaml-language-server: $schema=recsys.schema.json`
    """
    from recsys.config import json_schema

    print(json.dumps(json_schema(), indent=2))


def _refuse(problem: str) -> NoReturn:
    if is_launched() and tell_launcher(Failure(int(os.environ["RANK"]), problem, 2)):
        sys.exit(2)
    console.print(f"error: {problem}", markup=False, style="red", soft_wrap=True)
    sys.exit(2)


def _hide_warnings_of_packages() -> None:
    """Deprecations inside the packages below us are for their authors; `python -W default` shows them."""
    logging.getLogger("torchrec").setLevel(logging.ERROR)  # how it has formed its groups
    for package in ("torch", "torchrec", "fbgemm_gpu", "lightning"):
        warnings.filterwarnings("ignore", module=rf"{package}(\.|$)")
    logging.getLogger("torch.fx._symbolic_trace").setLevel(logging.ERROR)  # torchrec calls what torch has renamed


def given_options(data_dir: Path, cache_dir: Path) -> list[str]:
    """Return the options that another command needs to find the same data."""
    given = [("--data-dir", data_dir, Path()), ("--cache-dir", cache_dir, DEFAULT_CACHE)]
    return [word for option, path, default in given if path != default for word in (option, str(path))]


def new_run_folder(config: Path, name: str | None, runs_dir: Path) -> Path:
    """Return a folder for a new run: as named, or called like the config, with a number if that is taken.

    Raises:
        DataError: the named folder is in use.
    """
    if name is not None:
        folder = runs_dir / name
        if folder.exists():
            raise DataError(f"{folder}: exists already; choose another --name, or go on with it by --resume {folder}")
        return folder
    base = config_name(config)
    numbered = (runs_dir / (base if n == 1 else f"{base}-{n}") for n in range(1, sys.maxsize))
    return next(folder for folder in numbered if not folder.exists())


def config_name(config: Path) -> str:
    """Return what is called after a config: its folder's name if its own says nothing."""
    return config.resolve().parent.name if config.stem in ("run", "config") else config.stem


def figures(metrics: dict[str, float], split: str) -> str:
    """Return the metrics of a split in one line."""
    interval = ""
    if f"{split}.auc_low" in metrics:
        interval = f" (95 % interval {metrics[f'{split}.auc_low']:.5f} to {metrics[f'{split}.auc_high']:.5f})"
    shown = [f"{split} AUC {metrics[f'{split}.auc']:.5f}{interval}", f"logloss {metrics[f'{split}.logloss']:.5f}"]
    if f"{split}.gauc" in metrics:
        shown.append(f"GAUC {metrics[f'{split}.gauc']:.5f}")
    return ", ".join(shown)
