import pytest

from recsys.environment import check_environment, findings
from recsys.environment.findings import check_libraries, check_machine, check_packages, check_python
from recsys.environment.machine import Machine
from recsys.environment.probe import Probe
from recsys.environment.versions import EXTRA_PACKAGES, PACKAGES

GIB = 2**30
MACHINE = Machine("Linux", "x86_64", "Xeon", frozenset({"avx2", "avx512_bf16"}), 8, 64 * GIB, 500 * GIB)
CPU = {name: "1.0" for name in PACKAGES if name != "fbgemm-gpu"} | {
    "torch": "2.13.0+cpu",
    "torchrec": "1.8.0",
    "fbgemm-gpu-cpu": "1.8.0",
}
CUDA = {"torch": "2.13.0+cu126", "torchrec": "1.8.0", "fbgemm-gpu": "1.8.0+cu126"}
GPU = {"cuda_build": "12.6", "devices": [{"name": "H200", "bytes": 140 * GIB}]}
NO_GPU = {"cuda_build": None, "devices": []}


def probe_until(stage, torch=NO_GPU, failure="OSError: undefined symbol: _ZN3c10 (exit code 1)"):
    facts = {"torch": torch, "fbgemm_gpu": {}, "lookup": {"device": "cpu"}, "torchrec": {}}
    passed = list(facts)[: list(facts).index(stage)] if stage else list(facts)
    return Probe(stages={name: facts[name] for name in passed}, failure=failure if stage else None)


@pytest.mark.slow
def test_this_machine_can_run(tmp_path):
    found = check_environment(tmp_path)
    assert [one for one in found if one.level == "error"] == []
    assert {"python", "devices", "libraries load", "cpu", "memory", "disk"} <= {one.what for one in found}


def test_all_is_well_on_a_fitting_machine():
    found = [*check_python((3, 11), MACHINE), *check_packages(CPU, wants_cuda=False)]
    found += [*check_libraries(CPU, probe_until(None)), *check_machine(MACHINE)]
    assert {one.level for one in found} == {"ok"}
    assert all(one.remedy is None for one in found)


def test_another_python_or_system_is_an_error():
    python, system = check_python((3, 15), MACHINE._replace(system="Darwin"))
    assert (python.level, system.level) == ("error", "error")
    assert python.detail.startswith("3.15 (")
    assert "python3.14 -m venv" in python.remedy
    assert "Linux only" in system.detail


def test_a_misfit_comes_with_the_pip_line(monkeypatch):
    monkeypatch.setattr(findings, "installed_versions", lambda: CPU | {"fbgemm-gpu-cpu": "1.9.0"})
    monkeypatch.setattr(findings, "run_probe", lambda: probe_until("fbgemm_gpu"))
    triple, load = (one for one in check_environment() if one.level == "error")
    assert triple.what == "torch, torchrec, fbgemm"
    assert triple.detail.startswith("torch 2.13.0 needs fbgemm-gpu-cpu 1.8.0, not 1.9.0 (installed: torch 2.13.0+cpu,")
    assert "pip install fbgemm-gpu-cpu==1.8.0" in triple.remedy
    assert load.what == "import fbgemm_gpu"
    assert load.detail == "OSError: undefined symbol: _ZN3c10 (exit code 1)"
    assert load.remedy == triple.remedy


@pytest.mark.parametrize("python", [(3, 11), (3, 12), (3, 13), (3, 14)])
def test_every_python_with_wheels_is_fine(python):
    assert [one.level for one in check_python(python, MACHINE)] == ["ok"]


def test_packages_that_only_extras_need_may_be_missing():
    versions = {name: version for name, version in CPU.items() if name not in EXTRA_PACKAGES}
    assert {one.level for one in check_packages(versions, wants_cuda=False)} == {"ok"}


def test_missing_packages_are_listed_with_their_line():
    versions = {name: version for name, version in CPU.items() if name not in ("polars", "rich")}
    _, missing = check_packages(versions, wants_cuda=False)
    assert missing.detail == "not installed: polars, rich"
    assert missing.remedy == "pip install polars rich"


def test_a_missing_dependency_of_torchrec_is_installed_alone():
    failure = "ModuleNotFoundError: No module named 'pyre_extensions' (exit code 1)"
    *_, load = check_libraries(CPU, probe_until("torchrec", failure=failure))
    assert load.what == "import torchrec"
    assert load.remedy == "pip install pyre-extensions"
    absent = "ModuleNotFoundError: No module named 'fbgemm_gpu' (exit code 1)"
    *_, load = check_libraries(CPU, probe_until("fbgemm_gpu", failure=absent))
    assert "fbgemm-gpu-cpu==1.8.0" in load.remedy


def test_a_cuda_build_without_the_driver_leads_to_the_driver_or_the_cpu_build():
    failure = "OSError: libnvidia-ml.so.1: cannot open shared object file: No such file or directory (exit code 1)"
    *_, load = check_libraries(CUDA, probe_until("fbgemm_gpu", torch=GPU, failure=failure))
    assert load.detail == failure
    assert load.remedy.startswith(
        "libnvidia-ml.so.1 comes with NVIDIA's driver; without a GPU: pip uninstall -y fbgemm-gpu"
    )
    assert "fbgemm-gpu-cpu==1.8.0" in load.remedy


def test_a_wrong_lookup_is_an_error():
    *_, load = check_libraries(CPU, probe_until("lookup", failure="AssertionError: sums of rows are [0.0, 0.0]"))
    assert (load.level, load.what) == ("error", "a tiny lookup")


def test_gpus_are_listed_with_their_memory():
    devices, load = check_libraries(CUDA, probe_until(None, torch=GPU))
    assert devices.detail == "CUDA 12.6: H200 140 GiB"
    assert {devices.level, load.level} == {"ok"}


def test_a_gpu_with_the_cpu_wheel_is_an_error():
    versions = {"torch": "2.13.0+cu126", "torchrec": "1.8.0", "fbgemm-gpu-cpu": "1.8.0"}
    devices, *_ = check_libraries(versions, probe_until(None, torch=GPU))
    assert devices.level == "error"
    assert devices.remedy.startswith("pip uninstall -y fbgemm-gpu-cpu && pip install torch==2.13.0 fbgemm-gpu==1.8.0")
    assert "whl/cu126" in devices.remedy


def test_a_cuda_build_without_a_gpu_is_a_warning():
    devices, *_ = check_libraries(CUDA, probe_until(None, torch={"cuda_build": "12.6", "devices": []}))
    assert devices.level == "warning"
    assert "sees no GPU" in devices.detail


@pytest.mark.parametrize(
    ("changes", "what", "level", "words"),
    [
        ({"cpu_flags": frozenset({"sse2"})}, "cpu", "error", "no AVX2"),
        ({"cpu_flags": frozenset({"avx2"})}, "cpu", "warning", "no bf16 instructions"),
        ({"memory_bytes": 2 * GIB}, "memory", "warning", "2.0 GiB"),
        ({"memory_bytes": 0}, "memory", "ok", "unknown"),
        ({"disk_free_bytes": GIB}, "disk", "warning", "1.0 GiB free"),
        ({"cores": 1}, "cpu", "ok", "Xeon, 1 core, computes in bf16"),
    ],
)
def test_a_weak_machine_is_told(changes, what, level, words):
    found = {one.what: one for one in check_machine(MACHINE._replace(**changes))}
    assert found[what].level == level
    assert words in found[what].detail
