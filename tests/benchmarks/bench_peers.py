"""Seconds until the best validation AUC of other libraries: `python -m tests.benchmarks.bench_peers --out DIR ...`.

Each training is a process of one thread. Its course, a point an epoch, is a file of the folder; what has one is not
trained again, even if it was stopped: delete the file for that. recsys is trained twice, in 32 bits as the peers and as
its pipeline stands. The table has, for each model and set, what a peer took to its best AUC and recsys to the same, or
both to the best AUC of recsys if that is less; the picture has the courses. Peers are no dependencies, and one that is
not installed is left out:

    pip install --no-deps fuxictr deepctr-torch torch-rechub
    pip install pandas scikit-learn h5py tqdm pyyaml requests "ray[data]"
    git clone https://github.com/reczoo/FuxiCTR    # its models; `--fuxictr FuxiCTR`
"""

import argparse
import importlib.util
import itertools
import math
import multiprocessing
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from tests.benchmarks.peers import deepctr, fuxictr, rechub, recsys_runs
from tests.benchmarks.peers.clock import Clock, Course, Point, read_course
from tests.benchmarks.peers.rows import read_rows

RECSYS = {"recsys, 32 bits": "32", "recsys": None}
"""Name of a training of recsys -> the precision of its dense layers; None: as the pipeline has it."""
PEERS = {
    "FuxiCTR": (fuxictr, "fuxictr"),
    "DeepCTR-Torch": (deepctr, "deepctr_torch"),
    "torch-rechub": (rechub, "torch_rechub"),
}
"""Name of a peer -> its module here, and the package that it needs."""
Job = tuple[str, str, str]
"""Set, model, library."""
Courses = dict[Job, Course]


def jobs() -> Iterator[Job]:
    """Yield all trainings."""
    for dataset, model in recsys_runs.SETTINGS:
        yield from ((dataset, model, name) for name in RECSYS)
        for peer, (module, _) in PEERS.items():
            if (dataset, model) in module.SETTINGS:
                yield dataset, model, peer


def why_not(job: Job, data: dict[str, Path], checkout: Path | None) -> str:
    """Say why a training cannot be run; "" if it can."""
    dataset, _, library = job
    if dataset not in data:
        return f"no rows: --data {dataset}=DIR"
    if library in RECSYS:
        return ""
    package = PEERS[library][1]
    if importlib.util.find_spec(package) is None:
        return f"{package} is not installed"
    return "its models are needed: --fuxictr CHECKOUT" if library == "FuxiCTR" and checkout is None else ""


def course_file(out: Path, job: Job) -> Path:
    """Return the file of a course; models that one pipeline stands against share its."""
    dataset, model, library = job
    trained = recsys_runs.SETTINGS[dataset, model] if library in RECSYS else f"{dataset}-{model}"
    return out / f"{trained}-{library}.json".translate({ord(" "): None, ord(","): "_", ord("/"): "-"})


def train(job: Job, folder: Path, file: Path, data_dir: Path, epochs: int, checkout: Path | None) -> None:
    """Train in this process, and write the course."""
    torch.set_num_threads(1)
    dataset, model, library = job
    clock = Clock(file)
    if library in RECSYS:
        recsys_runs.train((dataset, model), data_dir, folder, clock, epochs=epochs, precision=RECSYS[library])
    else:
        rows = read_rows(recsys_runs.config_file((dataset, model)), data_dir)
        module: Any = PEERS[library][0]
        module.train((dataset, model), rows, folder, clock, epochs=epochs, checkout=checkout)
    clock.write(ended=True)


def train_apart(minutes: float | None, job: Job, *arguments: Any) -> str:
    """Train in a process of its own, and say how it ended."""
    with tempfile.TemporaryDirectory() as folder:
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=train, args=(job, Path(folder), *arguments))
        process.start()
        process.join(None if minutes is None else 60 * minutes)
        if process.is_alive():
            process.kill()
            process.join()
            return f"stopped after {minutes:g} minutes"
    return "done" if process.exitcode == 0 else "failed"


def best(points: list[Point]) -> Point:
    """Return the first point of the highest AUC."""
    return max(points, key=lambda point: point[2])


def first_at(points: list[Point], auc: float) -> Point:
    """Return the first point that reaches an AUC."""
    return next(point for point in points if point[2] >= auc)


def table(courses: Courses) -> Iterator[str]:
    """Yield the lines of the table, in Markdown."""
    heads = (
        *("set", "model", "peer", "its best valid AUC", "against", "its best valid AUC", "AUC that both reach"),
        *("CPU s (s) of the peer to it", "of recsys", "ratio of CPU s"),
    )
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    for (dataset, model, peer), name in itertools.product(courses, RECSYS):
        if peer in RECSYS or (dataset, model, name) not in courses:
            continue
        both = (courses[dataset, model, peer], courses[dataset, model, name])
        auc = min(best(points)[2] for points, _ in both)
        reached = [first_at(points, auc) for points, _ in both]
        cells = (
            *(dataset, model, peer, describe_best(both[0]), name, describe_best(both[1]), f"{auc:.5f}"),
            *(f"{cpu:.0f} ({wall:.0f})" for wall, cpu, _ in reached),
            f"{reached[0][1] / reached[1][1]:.1f}",
        )
        yield f"| {' | '.join(cells)} |"


def describe_best(course: Course) -> str:
    """Return the best AUC and when it was found."""
    points, ended = course
    most = best(points)
    return f"{most[2]:.5f}, epoch {points.index(most) + 1} of {len(points)}" + ("" if ended else ", stopped")


def draw(courses: Courses, path: Path) -> None:
    """Draw the AUC over CPU seconds, a panel for each model and set that a peer was trained on."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt
    from matplotlib import ticker

    panels = list(dict.fromkeys((dataset, model) for dataset, model, library in courses if library in PEERS))
    colours = dict(zip([*RECSYS, *PEERS], ("#7fb8d1", "#0b6e99", "#d9730d", "#6b7f2a", "#8a5a9e"), strict=True))
    columns = min(3, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = plt.figure(figsize=(3.6 * columns, 3.2 * rows), layout="constrained")
    for place, (dataset, model) in enumerate(panels, 1):
        axis = figure.add_subplot(rows, columns, place)
        lowest = []
        for library, points in (
            (job[2], course.points) for job, course in courses.items() if job[:2] == (dataset, model)
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
        axis.set(title=f"{model} on {dataset}", xscale="log")
        axis.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter(ticker.ScalarFormatter())
        axis.xaxis.set_minor_formatter(ticker.NullFormatter())
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    figure.supxlabel("CPU seconds")
    figure.supylabel("valid AUC")
    figure.savefig(path, dpi=90)


def main() -> None:
    """Train what is missing, print the table, draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of courses and picture")
    parser.add_argument("--data", nargs="+", default=[], metavar="SET=DIR", help="folders of parquet files")
    parser.add_argument("--fuxictr", type=Path, help="checkout of FuxiCTR")
    parser.add_argument("--epochs", type=int, default=100, help="most epochs of each training")
    parser.add_argument("--minutes", type=float, help="most minutes of each training; it keeps what it has by then")
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
            ending = train_apart(options.minutes, job, file, data[job[0]], options.epochs, options.fuxictr)
            print(f"{' / '.join(job)}: {ending}", flush=True)
        if file.exists():
            courses[job] = read_course(file)
    print("\n".join(table(courses)))
    if any(library in PEERS for *_, library in courses):
        draw(courses, options.out / "peers.png")


if __name__ == "__main__":
    main()
