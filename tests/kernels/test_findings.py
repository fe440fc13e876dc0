import pytest

from recsys.kernels import findings
from recsys.kernels.library import Kernels
from tests.kernels.plain import needs_kernels


@needs_kernels
def test_the_doctor_says_which_kernels_are_used() -> None:
    found = findings.check_kernels()
    assert found.level == "ok"
    assert found.remedy is None


def test_the_doctor_says_why_there_are_none_and_what_would_bring_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "find_kernels", lambda: Kernels(None, 0, "there is no C compiler (cc)"))
    found = findings.check_kernels()
    assert found.level == "warning"
    assert found.detail == "those of torch alone: there is no C compiler (cc)"
    assert found.remedy is not None
    assert "C compiler" in found.remedy
