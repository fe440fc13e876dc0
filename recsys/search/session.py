"""One call of a search: what its parts share, and how they train a model in its folder."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recsys.checksums import recording
from recsys.config import Config, dump, load_config
from recsys.config.problems import KeyPath
from recsys.data.prepare import prepare
from recsys.data.prepared import Prepared
from recsys.evaluation.paired import verdict_on_files
from recsys.files import write_atomic, write_json
from recsys.progress import OnProgress, no_log, no_progress
from recsys.run_folder import RunFolder
from recsys.search.best_yaml import PRUNABLE, FoundChanges, shape_changes, write_yaml
from recsys.search.candidate import Candidate, Measured
from recsys.search.costs import CostClock
from recsys.search.folder import BASELINE, SearchFolder
from recsys.search.report import TrainedModel
from recsys.training.build import load_run, score_alone
from recsys.training.series import train_to_end
from recsys.training.strategy import pick_device

__all__ = ["Session"]


@dataclass(frozen=True, kw_only=True)
class Session:
    """One call of a search: what was asked, where it is kept, and who is told of it."""

    config: Config
    """The user's configuration."""
    prepared: Prepared
    folder: SearchFolder
    clock: CostClock
    data_dir: Path
    cache_dir: Path
    device: str | None = None
    command: str = ""
    """Command line that goes on with the search, for the report."""
    on_progress: OnProgress = no_progress
    log: Callable[[str], None] = no_log

    def train(self, name: str, config: Config, **options: Any) -> dict[str, float]:
        """Train a run of the search, or go on with it, and return its figures; the test rows are not scored.

        Args:
            name: name of the run, and of its part in the costs.
            config: its configuration; what it says about searches is left out.
            options: others of `recsys.training.run.train`.
        """
        with self.clock.measuring(name, self.on_progress) as on_progress:
            return train_to_end(
                config.replaced(search=None),
                self.folder.run(name),
                data_dir=self.data_dir,
                cache_dir=self.cache_dir,
                device=self.device,
                evaluated=("valid",),
                on_progress=on_progress,
                log=lambda line: self.log(f"{name}: {line}"),
                **options,
            )

    def train_candidate(self, candidate: Candidate, config: Config) -> Measured:
        """Train a candidate from its configuration, and note what was measured of it."""
        started = time.monotonic()
        metrics = self.train(candidate.name, config)
        known = self.folder.find(candidate.name, "trained")
        if known is not None and known.auc == metrics["valid.auc"]:
            return known
        found = Measured(
            candidate=candidate,
            serving_bytes=int(metrics["embedding_bytes.serving"]),
            training_bytes=int(metrics["embedding_bytes.training"]),
            auc=metrics["valid.auc"],
            auc_low=metrics.get("valid.auc_low"),
            auc_high=metrics.get("valid.auc_high"),
            seconds=time.monotonic() - started,
            source="trained",
        )
        self.folder.add(found)
        return found

    def train_point(self, candidate: Candidate) -> Measured:
        """Train a candidate from its file: a point of the front, or what it is compared with."""
        return self.train_candidate(candidate, load_config(self.folder.point_yaml(candidate.name)))

    def train_baseline(self) -> Measured:
        """Train the user's configuration as it is."""
        return self.train_candidate(Candidate(name=BASELINE), self.config)

    def sayable(self, candidate: Candidate) -> Candidate:
        """Return a candidate as a configuration can say it: features whose values have no keys keep all their rows."""
        resolved = self.prepared.resolved
        shapes = {
            name: shape
            if shape.kept is None or resolved.features[resolved.field(name).feature].type in PRUNABLE
            else replace(shape, kept=None)
            for name, shape in candidate.shapes.items()
        }
        return replace(candidate, shapes=shapes)

    def changes(self, candidate: Candidate) -> dict[KeyPath, Any]:
        """Return what the configuration of a candidate says otherwise than the user's."""
        return {**self._found(candidate).keys, **candidate.changes}

    def write_yaml(self, candidate: Candidate, target: Path) -> None:
        """Write the configuration of a candidate: the user's file with its changes, and the values that it keeps."""
        changes, files = self.changes(candidate), self._found(candidate).files
        columns = self.prepared.resolved.input_columns()
        write_yaml(self.source_file, changes, target, files=files, columns=columns)

    def _found(self, candidate: Candidate) -> FoundChanges:
        kept = self.folder.kept / candidate.name
        return shape_changes(self.config, self.prepared, candidate.shapes, kept=kept)

    @property
    def source_file(self) -> Path:
        """File of the user's configuration; one is written for a configuration that was made in Python."""
        location = self.config.source.location(())
        if location is not None and Path(location.file).is_file():
            return Path(location.file)
        if not self.folder.own_yaml.exists():
            write_atomic(self.folder.own_yaml, dump(self.config))
        return self.folder.own_yaml

    def judge(self, measured: Measured, config: Config, yaml: str) -> TrainedModel:
        """Score a trained model on the test rows, for the report, and compare it with the baseline.

        It is called when everything is chosen, and for the baseline first.
        """
        run = RunFolder(self.folder.run(measured.name))
        metrics = self._with_test(run, config)
        aucs = {split: metrics.get(f"{split}.auc", math.nan) for split in ("valid", "test")}
        known = {split: auc for split, auc in aucs.items() if not math.isnan(auc)}
        baseline = RunFolder(self.folder.run(BASELINE))
        verdicts = {
            split: verdict_on_files(run.predictions(split), baseline.predictions(split))
            for split in known
            if measured.name != BASELINE
        }
        return TrainedModel(measured=measured, yaml=yaml, aucs=known, verdicts=verdicts)

    def _with_test(self, run: RunFolder, config: Config) -> dict[str, float]:
        """Return the figures of a run with those of the test rows, which are scored unless they were before."""
        metrics = run.read_metrics()
        prepared = prepare(config, self.data_dir, self.cache_dir, self.on_progress)
        test = prepared.splits.get("test")
        if test is None or not test.num_rows or run.predictions("test").exists():
            return metrics
        loaded = load_run(run.path, device=pick_device(self.device))
        scores, tasks = score_alone(loaded, test, on_progress=self.on_progress), list(config.labels)
        metrics |= {f"test.{name}": value for name, value in scores.metrics(tasks).items()}
        with recording(run.metrics):
            write_json(run.metrics, metrics)
        with recording(run.predictions("test")):
            scores.write(run.predictions("test"), tasks)
        return metrics
