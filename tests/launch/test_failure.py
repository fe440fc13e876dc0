from pathlib import Path

import pytest

from recsys.launch.failure import FAILURE_FILE, Failure, describe_exit, report_to_launcher


def test_the_first_failure_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FAILURE_FILE, str(tmp_path / "failure.json"))
    assert report_to_launcher(Failure(1, "no memory", 2))
    assert report_to_launcher(Failure(0, "lost a rank", 1))
    assert Failure.from_json((tmp_path / "failure.json").read_text()) == Failure(1, "no memory", 2)


def test_without_a_launcher_a_process_must_print_the_reason_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not report_to_launcher(Failure(1, "x", 1))
    monkeypatch.setenv(FAILURE_FILE, str(tmp_path / "gone" / "failure.json"))
    assert not report_to_launcher(Failure(1, "x", 1))


def test_only_the_signal_of_a_full_memory_comes_with_a_hint() -> None:
    assert describe_exit(-9).endswith("(SIGKILL), as the system does when memory runs out")
    assert describe_exit(-11) == "the process was killed (SIGSEGV)"
    assert describe_exit(3) == "the process ended with exit code 3"
