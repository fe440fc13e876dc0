import sys
from pathlib import Path

import pytest

from recsys.errors import RecsysError
from recsys.serving.server.options import ServeOptions
from recsys.serving.server.start import NEEDED, start


@pytest.mark.parametrize("package", NEEDED)
def test_a_missing_package_is_named_with_the_remedy(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(RecsysError, match=rf"recsys serve needs {package}: pip install 'recsys\[serve\]'"):
        start(Path("bundle"), ServeOptions())
