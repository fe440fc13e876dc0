"""The folder of a run: the only module that knows which file lies where in it.

RUN/
  config.yaml      the configuration, globs expanded; the last file written at the start: it makes the folder a run
  data.json        which prepared data the run reads, the folder that its raw files are in, when it was started, and how
                   many values of each feature are unknown or missing in each split
  environment.json versions and hardware
  transform/       fitted vocabularies and statistics
  golden.parquet   a few raw rows, to compare an export with
  plan.json        the sharding plan
  checkpoints/     last: to resume from; best: to evaluate and export
  metrics.jsonl    one line an epoch
  tensorboard/     event files
  predictions/     one file a split, scored with the best epoch
  calibration.json the curve that was fitted on the validation rows with the best epoch, if there is one
  metrics.json     the figures of the best epoch; the last file written: the run is finished
  checksums.json   checksums of the files beside it; those in folders have their own
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsys.checksums import CHECKSUMS, read_checksums, read_json, read_verified, verify
from recsys.errors import DataError
from recsys.files import DRAFT, with_nan

__all__ = ["RunFolder"]

_REMEDY = "restore it from a copy, or train the run again"
_CLASS_PATH = re.compile(rb"[\w.]:[A-Za-z_]")
_CODE = (".py", ".pyc", ".so", ".pth", ".egg", ".whl", ".zip")


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Names the files of one run.

    Args:
        path: folder of the run; need not exist yet.
    """

    path: Path

    @property
    def config(self) -> Path:
        """The run's configuration."""
        return self.path / "config.yaml"

    @property
    def data(self) -> Path:
        """JSON with the name of the prepared data, the time the run was started, and counts of each split."""
        return self.path / "data.json"

    @property
    def environment(self) -> Path:
        """JSON with the versions of packages and the hardware."""
        return self.path / "environment.json"

    @property
    def transform(self) -> Path:
        """Folder of the fitted state of the features."""
        return self.path / "transform"

    @property
    def golden_rows(self) -> Path:
        """A few raw rows as parquet, which the export is compared on."""
        return self.path / "golden.parquet"

    @property
    def sharding_plan(self) -> Path:
        """JSON that says which rank holds which part of which table."""
        return self.path / "plan.json"

    @property
    def checkpoints(self) -> Path:
        """Folder of all checkpoints."""
        return self.path / "checkpoints"

    @property
    def last_checkpoint(self) -> Path:
        """The newest checkpoint, to resume training from."""
        return self.checkpoints / "last"

    @property
    def best_checkpoint(self) -> Path:
        """The checkpoint of the best epoch, to evaluate and export."""
        return self.checkpoints / "best"

    @property
    def epochs(self) -> Path:
        """JSON lines, one an epoch."""
        return self.path / "metrics.jsonl"

    @property
    def metrics(self) -> Path:
        """JSON with the final figures; it is there when the run is finished."""
        return self.path / "metrics.json"

    def predictions(self, split: str) -> Path:
        """Return the parquet file with the labels and scores of a split ("test", "valid")."""
        return self.path / "predictions" / f"{split}.parquet"

    @property
    def calibration(self) -> Path:
        """JSON with what calibrates the probabilities of the best epoch."""
        return self.path / "calibration.json"

    @property
    def checksums(self) -> Path:
        """JSON with the checksums of the files beside it."""
        return self.path / CHECKSUMS

    @property
    def lock(self) -> Path:
        """File that is there while a process trains the run."""
        return self.path / ".lock"

    @property
    def is_free(self) -> bool:
        """Whether a run can be started here: nothing is here but what a start that was killed has left."""
        if not self.path.is_dir():
            return not self.path.is_symlink() and not self.path.exists()
        found = {path for path in self.path.iterdir() if path != self.lock and not path.name.startswith(DRAFT)}
        started = {self.transform, self.golden_rows, self.environment, self.data, self.checksums}
        return found <= started and (self.transform in found or not found)  # it comes first

    @property
    def is_run(self) -> bool:
        """Whether a run was started here."""
        return self.config.exists()

    @property
    def has_checkpoints(self) -> bool:
        """Whether there is a folder of checkpoints, complete or not."""
        return self.checkpoints.is_dir()

    def require_run(self) -> None:
        """Check that a run was started here, and that the files that say what it is are as they were written.

        Raises:
            DataError: The folder does not exist or is not that of a run, or a file is damaged, or it holds code.
        """
        if not self.is_run:
            remedy = "; it was stopped before it had begun: start it again under its name" * (
                self.path.is_dir() and self.is_free
            )
            raise DataError(f"{self.path}: not a run folder: it has no {self.config.name}{remedy}")
        for path in (self.config, self.data, self.golden_rows):
            if path.exists():
                verify(path, remedy=_REMEDY)
        self._check_no_code()

    def _check_no_code(self) -> None:
        """Refuse code in the folder that the configuration could name: a run from somebody else is data."""
        if _CLASS_PATH.search(self.config.read_bytes()) is None:
            return
        for path in sorted(self.path.rglob("*")):
            if path.suffix in _CODE:
                raise DataError(
                    f"{path}: is code in the folder of a run whose {self.config.name} names classes by their import "
                    "path; a run folder is data: keep code of yours elsewhere"
                )

    def read_coverage(self) -> dict[str, dict[str, dict[str, int]]]:
        """Return the counts of each split by feature: {"valid": {"user": {"rows": 400, "unknown": 31, ...}}}.

        Raises:
            DataError: The folder is not that of a run, or the run was made by a release that did not count them.
        """
        self.require_run()
        facts = self._data_facts()
        if "splits" not in facts:
            raise DataError(f"{self.data}: was written by a release that did not count unknown values: train again")
        found: dict[str, dict[str, dict[str, int]]] = {}
        for name, split in facts["splits"].items():
            where = f"splits.{name}.features"
            found[name] = _object(self.data, where, split.get("features"))
            for feature, counts in found[name].items():
                for key, count in _object(self.data, f"{where}.{feature}", counts).items():
                    if type(count) is not int:
                        raise _damaged(self.data, f"{where}.{feature}.{key}", "an integer", count)
        return found

    def read_metrics(self) -> dict[str, float]:
        """Return the final figures of a finished run, such as {"test.auc": 0.7831, "epochs": 3}; NaN if not defined.

        Raises:
            DataError: The folder is not that of a run, or the run is not finished.
        """
        self.require_run()
        if not self.metrics.exists():
            raise DataError(
                f"{self.path}: has no {self.metrics.name}: train it to the end first "
                f"(recsys train CONFIG --resume {self.path})"
            )
        return _figures(self.metrics, _read_object(self.metrics))

    def read_environment(self) -> dict[str, Any]:
        """Return the versions of packages and the machine that it was trained with; {} if they were not written."""
        return _read_object(self.environment) if self.environment.exists() else {}

    def read_epochs(self, needed: Sequence[str] = ("epoch",)) -> list[dict[str, float]]:
        """Return the figures of the epochs so far, in order; [] before the end of the first.

        Args:
            needed: figures that every epoch must have.

        Raises:
            DataError: a line is damaged.
        """
        if not self.epochs.exists() and self.epochs.name not in read_checksums(self.path):
            return []
        lines = read_verified(self.epochs, remedy=_REMEDY).splitlines(keepends=True)
        found = []
        for number, line in enumerate((one for one in lines if one.endswith(b"\n")), start=1):  # else being written
            where = f"line {number}"
            try:
                content = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise DataError(f"{self.epochs}: is damaged: {where} is not JSON ({error}); {_REMEDY}") from error
            figures = _figures(self.epochs, _object(self.epochs, where, content), f"{where}: ")
            if missing := [name for name in needed if name not in figures]:
                raise DataError(f"{self.epochs}: is damaged: {where} has no {missing[0]}; {_REMEDY}")
            found.append(figures)
        return found

    def read_origin(self) -> dict[str, Any]:
        """Return which prepared data the run reads, and what they were made from: "prepared" and "content".

        Raises:
            DataError: The file that says so is damaged.
        """
        return self._data_facts()

    def read_data_dir(self) -> Path:
        """Return the folder that the paths in the section `data` are relative to; the current one for old runs.

        Raises:
            DataError: The file that says so is damaged.
        """
        return Path(str(self._data_facts().get("data_dir", "")))

    def _data_facts(self) -> dict[str, Any]:
        facts = _read_object(self.data)
        if not isinstance(facts.get("prepared"), str):
            raise _damaged(self.data, "prepared", "the name of the prepared data", facts.get("prepared"))
        for name, split in _object(self.data, "splits", facts.get("splits", {})).items():
            _object(self.data, f"splits.{name}", split)
        return facts


def _read_object(path: Path) -> dict[str, Any]:
    content = read_json(path, remedy=_REMEDY)
    if not isinstance(content, dict):
        raise DataError(f"{path}: is damaged: it must hold an object with keys; {_REMEDY}")
    return content


def _figures(path: Path, content: dict[str, Any], where: str = "") -> dict[str, float]:
    """Return figures, NaN for null."""
    for name, value in content.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise _damaged(path, f"{where}{name}", "a number or null", value)
    return with_nan(content)


def _object(path: Path, key: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _damaged(path, key, "an object with keys", value)
    return value


def _damaged(path: Path, key: str, rule: str, value: Any) -> DataError:
    return DataError(f"{path}: is damaged: {key} must be {rule}, got {json.dumps(value):.60}; {_REMEDY}")
