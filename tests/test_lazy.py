"""Names that a package imports when they are first used."""

import sys
from types import ModuleType

import pytest

from recsys.lazy import lazy_names


def test_a_name_is_imported_once_and_others_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("shop")
    package.__all__ = ["pi", "tau"]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "shop", package)
    find, show = lazy_names("shop", {"math": "pi tau"})
    assert show() == ["pi", "tau"]
    assert not hasattr(package, "pi")
    assert find("pi") == package.pi == pytest.approx(3.1415926)
    with pytest.raises(AttributeError, match=r"module 'shop' has no attribute 'e'"):
        find("e")
