import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.export.bundles import GOLDEN
from tests.export.models import Made, slow_scores

pytestmark = pytest.mark.slow


def test_the_snippet_of_the_readme_scores_the_golden_rows(made: Made, bundle: Path) -> None:
    snippet = (bundle / "README.md").read_text().split("```python\n")[1].split("```")[0]
    code = f"import warnings; warnings.simplefilter('ignore')\n{snippet}\nprint(model(inputs)[3].tolist())"
    process = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=bundle, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    scores = json.loads(process.stdout.splitlines()[-1])
    np.testing.assert_allclose(scores, slow_scores(made, GOLDEN)[3], rtol=0, atol=1e-6)
