"""What the defaults cost against tuned pipelines: `python -m tests.benchmarks.bench_defaults --out DIR --data ...`.

    python -m tests.benchmarks.bench_defaults --out defaults --data frappe=DIR movielens1m=DIR beauty=DIR \\
        --change 'heavier={train: {regularization: {rows: 0.1}}}'

Trains each pipeline as it stands ("tuned"), with the same features and tower and nothing else stated ("default"), and
the latter with each change, all in 32 bits. Changes to keys that a tower does not have are left out for it. A training
is a process of one thread. What it came to is a file of the folder, by which it is not trained again: another state of
the code or of the changes needs another folder. The synthetic log is made. `--data histories=DIR` has MovieLens-1M's
histories. CPU seconds are those from the first step to the last validation.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML

PIPELINES = Path(__file__).parents[2] / "pipelines"
SHOP = "shop"
CASES = {
    "Frappe, MLP": ("frappe", "frappe_mlp/run.yaml"),
    "Frappe, AutoInt": ("frappe", "frappe_autoint/run.yaml"),
    "Frappe, AutoInt+": ("frappe", "frappe_autoint/plus.yaml"),
    "MovieLens-1M, AutoInt": ("movielens1m", "movielens1m_autoint/run.yaml"),
    "MovieLens-1M histories, DIN": ("histories", "movielens1m_din/run.yaml"),
    "MovieLens-1M histories, mean": ("histories", "movielens1m_din/mean_pooling.yaml"),
    "Beauty, DIN": ("beauty", "beauty_din/run.yaml"),
    "Beauty, mean": ("beauty", "beauty_din/mean_pooling.yaml"),
    "synthetic log, DIN": (SHOP, "config.yaml"),
}
"""What is trained: the set, and the file of what is tuned for it."""
TUNED, DEFAULT = "tuned", "default"
Changes = Mapping[str, Mapping[str, Any]]
"""Keys of the sections `model` and `train`."""


class Job(NamedTuple):
    """One training."""

    case: str
    variant: str
    seed: int

    def file(self, out: Path) -> Path:
        """Return the file that holds what it came to."""
        case, variant = (name.replace(", ", "-").replace(" ", "_") for name in (self.case, self.variant))
        return out / f"{case}-{variant}-{self.seed}.json"


def settings(job: Job, config_file: Path, changes: Changes | None) -> dict[str, Any]:
    """Return the configuration of a training as a mapping.

    Args:
        job: the training.
        config_file: the tuned pipeline.
        changes: what is stated beside the defaults; None keeps what is tuned.
    """
    import recsys

    config = recsys.load_config(config_file)
    tower: Any = config.model
    stated: dict[str, Any] = config.model_dump(exclude_unset=True)
    if changes is not None:
        model = {key: value for key, value in stated["model"].items() if key == "tower"}
        if tower.tower == "autoint" and tower.mlp:
            model["mlp"] = tower.mlp  # what makes it AutoInt+
        has_layers = bool(type(tower).model_validate(model).mlp)
        for key, value in changes.get("model", {}).items():
            if key in type(tower).model_fields and (has_layers or key not in ("dropout", "batch_norm")):
                model[key] = value
        stated |= {"model": model, "train": dict(changes.get("train", {}))}
    stated["train"] |= {"seed": job.seed, "precision": "32"}
    return stated


def train(job: Job, config_file: Path, changes: Changes | None, data_dir: Path, out: Path) -> None:
    """Train in this process, and write what it came to."""
    import torch
    from lightning import LightningModule, Trainer
    from lightning.pytorch.callbacks import Callback

    import recsys
    from tests.benchmarks.peers.clock import Clock

    torch.set_num_threads(1)
    clock = Clock()

    class Watch(Callback):
        def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            clock.start()

        def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            clock.note(float("nan"))

    stated = settings(job, config_file, changes)
    with tempfile.TemporaryDirectory(dir=out) as runs_dir:
        run = recsys.train(
            stated, data_dir=data_dir, cache_dir=out / "cache", runs_dir=runs_dir, callbacks=[Watch()], log=None
        )
        aucs = run.history()["valid.auc"].to_list()
        result = {
            "model": stated["model"],
            "train": stated["train"],
            "valid": run.metrics["valid.auc"],
            "test": run.metrics["test.auc"],
            "logloss": run.metrics["test.logloss"],
            "cpu": clock.points[-1][1],
            "epochs": len(aucs),
            "aucs": aucs,
        }
    job.file(out).write_text(json.dumps(result))


def table(cases: Sequence[str], variants: Sequence[str], seeds: int, out: Path) -> Iterator[str]:
    """Yield the lines of the table, in Markdown: means of the seeds that are there."""
    heads = ("pipeline", "variant", "seeds", "valid AUC", "- tuned", "test AUC", "- tuned", "CPU s", "epochs")
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    for case in cases:
        tuned: dict[str, float] = {}
        for variant in variants:
            files = [Job(case, variant, seed).file(out) for seed in range(1, seeds + 1)]
            found = [json.loads(file.read_text()) for file in files if file.exists()]
            if not found:
                continue
            means = {key: statistics.mean(one[key] for one in found) for key in ("valid", "test", "cpu", "epochs")}
            tuned = means if variant == TUNED else tuned
            cells = [case, variant, str(len(found))]
            for split in ("valid", "test"):
                is_other = bool(tuned) and variant != TUNED
                cells += [f"{means[split]:.5f}", f"{means[split] - tuned[split]:+.5f}" if is_other else ""]
            cells += [f"{means['cpu']:.0f}", f"{means['epochs']:.1f}"]
            yield f"| {' | '.join(cells)} |"


def main() -> None:
    """Train what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of results")
    parser.add_argument("--data", nargs="+", default=[], metavar="SET=DIR", help="folders of parquet files")
    parser.add_argument("--change", action="append", default=[], metavar="NAME=YAML", help="keys beside the defaults")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", nargs="+", default=list(CASES), choices=CASES, metavar="PIPELINE")
    parser.add_argument("--variants", nargs="+", help="of these; all by default")
    options = parser.parse_args()
    import recsys

    data = {name: Path(folder) for name, _, folder in (text.partition("=") for text in options.data)}
    changes: dict[str, Changes | None] = {TUNED: None, DEFAULT: {}}
    changes |= {name: YAML(typ="safe").load(text) for name, _, text in (text.partition("=") for text in options.change)}
    variants = options.variants or list(changes)
    os.environ["OMP_NUM_THREADS"] = "1"
    options.out.mkdir(parents=True, exist_ok=True)
    data[SHOP] = options.out / SHOP
    if any(CASES[case][0] == SHOP for case in options.only) and not data[SHOP].exists():
        recsys.demo_data(data[SHOP])
    for seed in range(1, options.seeds + 1):
        for case in options.only:
            name, file = CASES[case]
            for job in (Job(case, variant, seed) for variant in variants):
                if job.file(options.out).exists():
                    continue
                if name not in data:
                    print(f"{case}: skipped, no rows: --data {name}=DIR", flush=True)
                    break
                config_file = (data[SHOP] if name == SHOP else PIPELINES) / file
                arguments = (job, config_file, changes[job.variant], data[name], options.out)
                process = multiprocessing.get_context("spawn").Process(target=train, args=arguments)
                process.start()
                process.join()
                if process.exitcode:
                    print(f"{' / '.join(map(str, job))}: failed", flush=True)
    print("\n".join(table(options.only, variants, options.seeds, options.out)))


if __name__ == "__main__":
    main()
