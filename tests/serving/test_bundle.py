import json
import shutil
from pathlib import Path

import pytest

from recsys.errors import DataError
from recsys.serving import Scorer

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("hash", "xxhash64/2", "signature.json: hash must be xxhash64/1, got xxhash64/2: export the run again"),
        ("format", 9, "signature.json: format must be 1, got 9"),
        ("outputs", None, "signature.json: is damaged"),
        ("config", {"label": 3}, "signature.json: config: .*export the run again with this release"),
        ("sha256", {"model.pt": "0"}, "model.pt: is not the file that was exported"),
    ],
)
def test_a_bundle_that_does_not_fit_is_refused(
    bundle: Path, tmp_path: Path, name: str, value: object, message: str
) -> None:
    copy = shutil.copytree(bundle, tmp_path / "copy")
    (copy / "checksums.json").unlink()  # as former versions wrote it
    signature = json.loads((copy / "signature.json").read_text())
    (copy / "signature.json").write_text(json.dumps(signature | {name: value}))
    with pytest.raises(DataError, match=message):
        Scorer(copy)


def test_a_folder_without_a_bundle_is_refused(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is not a bundle: signature\.json cannot be read"):
        Scorer(tmp_path)
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    with pytest.raises(DataError, match=r"it is the folder of a run: recsys export .*run --out BUNDLE"):
        Scorer(run)
    (tmp_path / "signature.json").write_text("{")
    with pytest.raises(DataError, match=r"signature\.json: is damaged"):
        Scorer(tmp_path)
    shutil.copy(bundle / "signature.json", tmp_path)
    with pytest.raises(DataError, match=r"model\.pt: cannot be read"):
        Scorer(tmp_path)
