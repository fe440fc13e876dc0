from recsys.environment import machine
from recsys.environment.machine import read_machine


def test_this_machine_has_cores_memory_and_disk(tmp_path):
    found = read_machine(tmp_path)
    assert found.cores >= 1
    assert found.memory_bytes > 2**28
    assert found.disk_free_bytes > 0


def test_the_container_limit_counts(tmp_path, monkeypatch):
    (tmp_path / "limit").write_text("1073741824\n")
    (tmp_path / "memory").write_text("MemTotal:       16384000 kB\nMemFree: 1 kB\n")
    monkeypatch.setattr(machine, "_MEMORY_INFO", tmp_path / "memory")
    monkeypatch.setattr(machine, "_MEMORY_LIMIT", tmp_path / "limit")
    assert read_machine(tmp_path).memory_bytes == 2**30
    (tmp_path / "limit").write_text("max\n")
    assert read_machine(tmp_path).memory_bytes == 16384000 * 1024


def test_flags_are_those_of_the_first_processor(tmp_path, monkeypatch):
    (tmp_path / "cpu").write_text("model name\t: Xeon: Gold\nflags\t\t: avx2 amx_bf16\n\nflags\t: other\n")
    monkeypatch.setattr(machine, "_CPU_INFO", tmp_path / "cpu")
    assert read_machine(tmp_path).cpu == "Xeon: Gold"
    assert read_machine(tmp_path).cpu_flags == {"avx2", "amx_bf16"}


def test_a_system_without_proc_is_described_all_the_same(tmp_path, monkeypatch):
    for name in ("_CPU_INFO", "_MEMORY_INFO", "_MEMORY_LIMIT"):
        monkeypatch.setattr(machine, name, tmp_path / "absent")
    found = read_machine(tmp_path)
    assert found.cpu_flags == frozenset()
    assert found.memory_bytes == 0
