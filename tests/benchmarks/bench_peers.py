"""Seconds until the best validation AUC of other libraries: `python -m tests.benchmarks.bench_peers --out DIR ...`.

Each training is a process of one thread. Its course, a point an epoch, is a file of the folder; what has one is not
trained again. The table has, for each model and set, what a peer took to its best AUC and what recsys took to the same
AUC; the picture has the courses. Peers are no dependencies, and one that is not installed is left out:

    pip install --no-deps fuxictr deepctr-torch torch-rechub
    pip install pandas scikit-learn h5py tqdm pyyaml requests "ray[data]"
    git clone https://github.com/reczoo/FuxiCTR    # its models; `--fuxictr FuxiCTR`
"""

import argparse
import importlib.util
import json
import multiprocessing
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from tests.benchmarks.peers import deepctr, fuxictr, rechub, recsys_runs
from tests.benchmarks.peers.clock import Clock, Point
from tests.benchmarks.peers.rows import read_rows

RECSYS = "recsys"
PEERS = {
    "FuxiCTR": (fuxictr, "fuxictr"),
    "DeepCTR-Torch": (deepctr, "deepctr_torch"),
    "torch-rechub": (rechub, "torch_rechub"),
}
"""Name of a peer -> its module here, and the package that it needs."""
Job = tuple[str, str, str]
"""Set, model, library."""
Courses = dict[Job, list[Point]]


def jobs() -> Iterator[Job]:
    """Yield all trainings."""
    for dataset, model in recsys_runs.SETTINGS:
        yield dataset, model, RECSYS
        for peer, (module, _) in PEERS.items():
            if (dataset, model) in module.SETTINGS:
                yield dataset, model, peer


def why_not(job: Job, data: dict[str, Path], checkout: Path | None) -> str:
    """Say why a training cannot be run; "" if it can."""
    dataset, _, library = job
    if dataset not in data:
        return f"no rows: --data {dataset}=DIR"
    if library == RECSYS:
        return ""
    package = PEERS[library][1]
    if importlib.util.find_spec(package) is None:
        return f"{package} is not installed"
    return "its models are needed: --fuxictr CHECKOUT" if library == "FuxiCTR" and checkout is None else ""


def course_file(out: Path, job: Job) -> Path:
    return out / f"{'-'.join(job).replace(' ', '').replace(',', '_')}.json"


def train(job: Job, data_dir: Path, out: Path, epochs: int, checkout: Path | None) -> None:
    """Train in this process, and write the course."""
    torch.set_num_threads(1)
    dataset, model, library = job
    clock = Clock()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if library == RECSYS:
            recsys_runs.train((dataset, model), data_dir, folder, clock, epochs=epochs)
        else:
            rows = read_rows(recsys_runs.config_file((dataset, model)), data_dir)
            module: Any = PEERS[library][0]
            module.train((dataset, model), rows, folder, clock, epochs=epochs, checkout=checkout)
    course_file(out, job).write_text(json.dumps(clock.points))


def best(points: list[Point]) -> Point:
    """Return the first point of the highest AUC."""
    return max(points, key=lambda point: point[2])


def first_at(points: list[Point], auc: float) -> Point | None:
    """Return the first point that reaches an AUC."""
    return next((point for point in points if point[2] >= auc), None)


def table(courses: Courses) -> Iterator[str]:
    """Yield the lines of the table, in Markdown."""
    heads = (
        *("set", "model", "peer", "its best valid AUC", "after", "s (CPU s)"),
        *("recsys to that AUC: s (CPU s)", "ratio of CPU s", "best of recsys"),
    )
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    for (dataset, model, library), points in courses.items():
        ours = courses.get((dataset, model, RECSYS))
        if library == RECSYS or not points or not ours:
            continue
        wall, cpu, auc = best(points)
        epoch = points.index((wall, cpu, auc)) + 1
        reached = first_at(ours, auc)
        shown = "never" if reached is None else f"{reached[0]:.0f} ({reached[1]:.0f})"
        ratio = "" if reached is None else f"{cpu / reached[1]:.1f}"
        most = best(ours)
        yield (
            f"| {dataset} | {model} | {library} | {auc:.5f} | {epoch} of {len(points)} epochs | {wall:.0f} ({cpu:.0f}) "
            f"| {shown} | {ratio} | {most[2]:.5f} after {most[0]:.0f} ({most[1]:.0f}) |"
        )


def draw(courses: Courses, path: Path) -> None:
    """Draw the AUC over CPU seconds, a panel for each model and set."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt
    from matplotlib import ticker

    panels = list(dict.fromkeys((dataset, model) for dataset, model, _ in courses))
    colours = dict(zip([RECSYS, *PEERS], ("#0b6e99", "#d9730d", "#6b7f2a", "#8a5a9e"), strict=True))
    figure, axes = plt.subplots(1, len(panels), figsize=(3.6 * len(panels), 3.4), squeeze=False, layout="constrained")
    for axis, (dataset, model) in zip(axes[0], panels, strict=True):
        lowest = []
        for (_, _, library), points in (
            (job, points) for job, points in courses.items() if job[:2] == (dataset, model)
        ):
            axis.plot(
                [point[1] for point in points],
                [point[2] for point in points],
                marker=".",
                label=library,
                color=colours[library],
            )
            lowest.append(best(points)[2])
        top = max(lowest)
        axis.set_ylim(min(lowest) - 0.02, top + 0.002)
        axis.set(title=f"{model} on {dataset}", xlabel="CPU seconds", xscale="log")
        axis.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter(ticker.ScalarFormatter())
        axis.xaxis.set_minor_formatter(ticker.NullFormatter())
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8, loc="lower right")
    axes[0][0].set_ylabel("valid AUC")
    figure.savefig(path, dpi=110)


def main() -> None:
    """Train what is missing, print the table, draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of courses and picture")
    parser.add_argument("--data", nargs="+", default=[], metavar="SET=DIR", help="folders of parquet files")
    parser.add_argument("--fuxictr", type=Path, help="checkout of FuxiCTR")
    parser.add_argument("--epochs", type=int, default=100, help="most epochs of each training")
    parser.add_argument("--only", nargs="+", default=[], metavar="SET/MODEL/LIBRARY", help="trainings to run")
    options = parser.parse_args()
    data = {name: Path(folder) for name, _, folder in (text.partition("=") for text in options.data)}
    options.out.mkdir(parents=True, exist_ok=True)
    os.environ["OMP_NUM_THREADS"] = "1"
    courses: Courses = {}
    for job in jobs():
        file = course_file(options.out, job)
        is_chosen = not options.only or "/".join(job) in options.only
        if not file.exists() and is_chosen:
            reason = why_not(job, data, options.fuxictr)
            if reason:
                print(f"{' / '.join(job)}: skipped, {reason}", flush=True)
                continue
            arguments = (job, data[job[0]], options.out, options.epochs, options.fuxictr)
            process = multiprocessing.get_context("spawn").Process(target=train, args=arguments)
            process.start()
            process.join()
            print(f"{' / '.join(job)}: {'done' if process.exitcode == 0 else 'failed'}", flush=True)
        if file.exists():
            courses[job] = [(wall, cpu, auc) for wall, cpu, auc in json.loads(file.read_text())]
    print("\n".join(table(courses)))
    if courses:
        draw(courses, options.out / "peers.png")


if __name__ == "__main__":
    main()
