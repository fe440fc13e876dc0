"""The folder of a search: the only module that knows which file lies where in it.

SEARCH/
  best.yaml        the user's file with the tables that were found best; `recsys train` takes it as it is
  front/           NAME.yaml: one file for each point of the front, and for what else was trained
  kept/            the values that a YAML file keeps: NAME/FEATURE.parquet, which its `kept` keys name
  report.md        what was cut and why
  pareto.csv       every candidate
  pareto.png       AUC against bytes (where matplotlib is installed)
  result.json      the figures of the search for scripts; the last file written: the search is finished
  config.yaml      the configuration, if it was made in Python and not read from a file
  search.json      what was asked, and of which data; the first file written: it makes the folder a search
  candidates/      supernet/NAME.json, trained/NAME.json: what was measured of each candidate, on the supernet or by
                   training it; supernet/NAME.parquet: its predictions of the validation rows, while it is on the front
  runs/            baseline, supernet, and the retrained points: ordinary run folders
  state/           what the method keeps to go on after a kill
  drops.json       what dropping each feature alone would cost
  costs.json       time that each part took
  .lock            is there while a process works on the search
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from recsys.config import Config, dump, load_config
from recsys.config.kept import kept_file, locate_kept
from recsys.data.prepared import Prepared
from recsys.run_folder import RunFolder
from recsys.search.candidate import Measured, Source, read_measured, write_measured
from recsys.training.series import check_same_series, series_lock

__all__ = ["BASELINE", "OTHERS_WAIT_SECONDS", "SUPERNET", "SearchFolder"]

BASELINE = "baseline"
"""Name of the run of the user's configuration as it is."""
SUPERNET = "supernet"
"""Name of the run of the supernet."""
OTHERS_WAIT_SECONDS = 3600.0
"""Time to wait for another process of a search that writes the outputs."""


@dataclass(frozen=True, slots=True)
class SearchFolder:
    """Names the files of one search, and reads and writes its measured candidates.

    Args:
        path: folder of the search; need not exist yet.
    """

    path: Path

    @property
    def best_yaml(self) -> Path:
        """The configuration to train."""
        return self.path / "best.yaml"

    @property
    def front(self) -> Path:
        """Folder with a configuration for each point of the front, and for what else was trained."""
        return self.path / "front"

    def point_yaml(self, name: str) -> Path:
        """Return the configuration of a point of the front, or of what else was trained."""
        return self.front / f"{name}.yaml"

    @property
    def kept(self) -> Path:
        """Folder of the files that name the values with an id of their own."""
        return self.path / "kept"

    def remove_points(self, names: Iterable[str]) -> None:
        """Remove the files of some points, and the kept values that no configuration here names.

        Kept values may still be those of best.yaml, until another takes its place, or of a run.
        """
        for name in names:
            self.point_yaml(name).unlink(missing_ok=True)
        files = [*self.path.glob("best.yaml"), *self.front.glob("*.yaml"), *self.path.glob("runs/*/config.yaml")]
        features = (one for file in files for one in locate_kept(load_config(file)).features.values())
        named = {Path(kept.file) for one in features if (kept := kept_file(one)) is not None}
        for path in self.kept.absolute().glob("*/*.parquet"):
            if path not in named:
                path.unlink()
                with suppress(OSError):  # there are others in the folder
                    path.parent.rmdir()

    @property
    def report(self) -> Path:
        """The result for people."""
        return self.path / "report.md"

    @property
    def pareto_csv(self) -> Path:
        """Table with a row for each candidate."""
        return self.path / "pareto.csv"

    @property
    def pareto_png(self) -> Path:
        """The picture."""
        return self.path / "pareto.png"

    @property
    def result(self) -> Path:
        """JSON with the figures for scripts; it is there when the search is finished."""
        return self.path / "result.json"

    @property
    def own_yaml(self) -> Path:
        """The user's configuration, if it has no file."""
        return self.path / "config.yaml"

    @property
    def record(self) -> Path:
        """JSON that says what was asked, and of which data."""
        return self.path / "search.json"

    @property
    def candidates(self) -> Path:
        """Folder with what was measured of each candidate, in a folder for each source."""
        return self.path / "candidates"

    @property
    def state(self) -> Path:
        """Folder for what the method keeps."""
        return self.path / "state"

    @property
    def drops(self) -> Path:
        """JSON with what dropping each feature alone would cost."""
        return self.path / "drops.json"

    @property
    def costs(self) -> Path:
        """JSON with the time that each part took."""
        return self.path / "costs.json"

    def run(self, name: str) -> Path:
        """Return the folder of a run."""
        return self.path / "runs" / name

    def predictions(self, name: str, source: Source) -> Path:
        """Return the file with predictions of the validation rows: of a run, or of a candidate on the supernet."""
        if source == "trained":
            return RunFolder(self.run(name)).predictions("valid")
        return self.candidates / source / f"{name}.parquet"

    @contextmanager
    def opened(self, config: Config, method: str, prepared: Prepared, *, shared: bool = False) -> Iterator[None]:
        """Start the search, or check that it is the one that was started here.

        Args:
            config: the user's configuration.
            method: name of the method.
            prepared: the data.
            shared: whether others may work on it at the same time. If not, the lock is held for the time of the block.

        Raises:
            ConfigError: the folder is that of another search, or of something else.
            DataError: the data files have changed since it was started.
            LockedError: another process works on it.
        """
        if shared:
            with self.changing():
                self._check(config, method, prepared)
            yield
            return
        with series_lock(self.path):
            self._check(config, method, prepared)
            yield

    @contextmanager
    def changing(self, *, wait_seconds: float = 60.0) -> Iterator[None]:
        """Hold the lock of a shared search for a while, such as to write its outputs.

        Args:
            wait_seconds: how long to wait for another process that holds it.

        Raises:
            LockedError: it held it all that time.
        """
        with series_lock(self.path, wait_seconds=wait_seconds):
            yield

    def _check(self, config: Config, method: str, prepared: Prepared) -> None:
        check_same_series(
            self.record,
            {"config": dump(config), "method": method},
            prepared,
            kind="a search",
            reason=", so its runs are of no use for this one",
            remedy="name another one with --name",
        )

    def measured(self) -> list[Measured]:
        """Return what was measured, in the order of sources and names.

        Raises:
            DataError: a file is damaged.
        """
        return [read_measured(path) for path in sorted(self.candidates.glob("*/*.json"))]

    def find(self, name: str, source: Source) -> Measured | None:
        """Return what was measured of a candidate; None if it was not."""
        path = self.candidates / source / f"{name}.json"
        return read_measured(path) if path.exists() else None

    def add(self, measured: Measured) -> None:
        """Write what was measured of a candidate."""
        folder = self.candidates / measured.source
        folder.mkdir(parents=True, exist_ok=True)
        write_measured(folder, measured)
