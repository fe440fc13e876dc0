"""The folder of an exported model: the only module that knows which file lies where in it.

BUNDLE/
  model.pt         TorchScript, canonical inputs -> probabilities; torch alone runs it
  model.pt2        or the same as a program of torch.export
  signature.json   inputs, outputs, versions, training metrics, the configuration
  golden.parquet   some rows as canonical inputs, with the scores that training gave them
  README.md        how to load and score in plain torch
  checksums.json   checksums of the other files
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from recsys.checksums import CHECKSUMS

__all__ = ["CANDIDATES", "CANDIDATE_LENGTHS", "FORMAT", "MODEL_FILES", "BundleFolder", "ModelFormat"]

FORMAT = 1
"""Version of a bundle's files; others are refused."""
CANDIDATES = "candidates"
"""No list of a model has this name, for its lengths would have the name of those below."""
CANDIDATE_LENGTHS = f"{CANDIDATES}.lengths"
"""The tensor that says how many candidates each user of a ranking request has."""

ModelFormat = Literal["torchscript", "pt2"]
MODEL_FILES: Mapping[ModelFormat, str] = {"torchscript": "model.pt", "pt2": "model.pt2"}
"""Name of the file of a model in each format; pt2 is a program of torch.export."""


@dataclass(frozen=True, slots=True)
class BundleFolder:
    """Names the files of one bundle.

    Args:
        path: folder of the bundle; need not exist yet.
    """

    path: Path

    def model(self, model_format: ModelFormat) -> Path:
        """Return the path of the model, which is in one format."""
        return self.path / MODEL_FILES[model_format]

    @property
    def signature(self) -> Path:
        """JSON that describes the model."""
        return self.path / "signature.json"

    @property
    def golden_rows(self) -> Path:
        """Rows with the scores of the trained model, as parquet."""
        return self.path / "golden.parquet"

    @property
    def readme(self) -> Path:
        """The page for whoever hosts the model."""
        return self.path / "README.md"

    def other_files(self) -> list[str]:
        """Return the names of what lies in the folder and belongs to no bundle, in order."""
        own = {*MODEL_FILES.values(), self.signature.name, self.golden_rows.name, self.readme.name, CHECKSUMS}
        return sorted({path.name for path in self.path.iterdir()} - own)
