import pytest

from recsys.environment.versions import TRIPLES, fitting_triple, install_line, installed_versions, misfit

GOOD = {"torch": "2.13.0+cpu", "torchrec": "1.8.0", "fbgemm-gpu-cpu": "1.8.0"}


def without(name):
    return {key: value for key, value in GOOD.items() if key != name}


def test_the_installed_triple_fits():
    assert misfit(installed_versions()) is None


@pytest.mark.parametrize(
    "versions",
    [
        GOOD,
        {"torch": "2.13.0+cu126", "torchrec": "1.8.0", "fbgemm-gpu": "1.8.0+cu126"},
        {"torch": "2.13.0", "torchrec": "1.8.0", "fbgemm-gpu": "1.8.0"},
        {"torch": "2.13.0+cpu", "torchrec": "1.8.0+cpu", "fbgemm-gpu": "1.8.0+cpu"},
        {"torch": "2.12.1", "torchrec": "1.7.0", "fbgemm-gpu": "1.7.0"},
        {"torch": "2.11.0", "torchrec": "1.6.0", "fbgemm-gpu-cpu": "1.6.0"},
    ],
)
def test_known_triples_fit(versions):
    assert misfit(versions) is None


@pytest.mark.parametrize(
    ("versions", "problem"),
    [
        ({}, "torch is missing"),
        (GOOD | {"torch": "2.5.0"}, "torch 2.5.0 is in none of the triples known to fit"),
        (GOOD | {"fbgemm-gpu": "1.8.0"}, "both fbgemm wheels are installed and overwrite each other's files"),
        (without("fbgemm-gpu-cpu"), "fbgemm is missing"),
        (GOOD | {"fbgemm-gpu-cpu": "1.7.0"}, "torch 2.13.0 needs fbgemm-gpu-cpu 1.8.0, not 1.7.0"),
        (without("torchrec"), "torchrec is missing"),
        (GOOD | {"torchrec": "1.9.0"}, "torch 2.13.0 needs torchrec 1.8.0, not 1.9.0"),
        (without("fbgemm-gpu-cpu") | {"fbgemm-gpu": "1.8.0"}, "fbgemm-gpu is built for CUDA and torch is not"),
    ],
)
def test_a_misfit_is_named(versions, problem):
    assert misfit(versions) == problem


def test_the_line_for_a_cpu_replaces_the_wrong_wheel():
    versions = {"torch": "2.12.1+cpu", "fbgemm-gpu": "1.7.0", "fbgemm-gpu-cpu": "1.7.0"}
    triple = fitting_triple("2.12.1+cpu")
    assert triple is not None
    assert install_line(triple, versions, wants_cuda=False).split(" && ") == [
        "pip uninstall -y fbgemm-gpu fbgemm-gpu-cpu",
        "pip install torch==2.12.1 --index-url https://download.pytorch.org/whl/cpu",
        "pip install fbgemm-gpu-cpu==1.7.0",
        "pip install --no-deps torchrec==1.7.0",
        "pip install pyre-extensions tensordict torchmetrics tqdm",
    ]


def test_the_line_for_a_gpu_keeps_the_cuda_build_of_torch():
    line = install_line(TRIPLES[0], {"torch": "2.13.0+cu130"}, wants_cuda=True)
    assert "pip install torch==2.13.0 fbgemm-gpu==1.8.0 --index-url https://download.pytorch.org/whl/cu130" in line
    assert "uninstall" not in line
    plain = install_line(TRIPLES[0], {"torch": "2.13.0"}, wants_cuda=True)
    assert plain.startswith("pip install torch==2.13.0 fbgemm-gpu==1.8.0 && ")
