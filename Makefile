# `make help` lists the targets. Those that need .venv set it up first.

# An interpreter of 3.11 to 3.14; the locked build; the index of CPU builds for where pip's own have none.
PYTHON ?= python3
BUILD ?= cpu
CPU_INDEX ?= https://download.pytorch.org/whl/cpu

VENV := .venv
BIN := $(VENV)/bin
DEMO := demo
CHECKED := recsys tests notebooks pipelines .ci
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

# With it, every process would compile torch anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-fast coverage check format proof lock clean

help:
	@sed -n 's/^## //p' $(firstword $(MAKEFILE_LIST))

$(VENV)/.ready: .ci/requirements-$(BUILD).txt .ci/set_up.py pyproject.toml
	$(PYTHON) .ci/set_up.py --venv $(VENV) --build $(BUILD) --cpu-index $(CPU_INDEX)
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready .ci/requirements-dev.txt
	$(BIN)/python .ci/set_up.py --venv $(VENV) --dev
	@touch $@

## make demo       write a synthetic click log, train DIN on it, export a bundle, score with it
demo: $(VENV)/.ready
	rm -rf $(DEMO)
	$(BIN)/recsys demo-data $(DEMO)/data --rows 300000
	$(BIN)/recsys train $(DEMO)/data/config.yaml --data-dir $(DEMO)/data --runs-dir $(DEMO)/runs --name din --cache-dir $(DEMO)/cache
	$(BIN)/recsys export $(DEMO)/runs/din --out $(DEMO)/bundle
	$(BIN)/recsys predict $(DEMO)/bundle $(DEMO)/data/test.parquet --out $(DEMO)/scores.parquet
	$(BIN)/python -m recsys.data.synthetic $(DEMO)/data $(DEMO)/runs/din

## make test       all tests and the examples of docstrings
test: $(VENV)/.ready-dev
	$(PYTEST) -m "not proof" tests
	$(BIN)/python -m xdoctest --quiet recsys

## make test-fast  the tests that take less than a second each: about a minute
test-fast: $(VENV)/.ready-dev
	$(PYTEST) -m "not proof and not slow and not ranks" tests

## make coverage   all tests, and the lines and branches that none of them reaches
coverage: $(VENV)/.ready-dev
	OMP_NUM_THREADS=1 $(BIN)/coverage run -m pytest -n 2 --dist loadfile -m "not proof" tests
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

## make check      ruff, mypy, import contracts, docstrings
check: $(VENV)/.ready-dev
	$(BIN)/ruff check $(CHECKED)
	$(BIN)/ruff format --check $(CHECKED)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python .ci/check_docstrings.py

## make format     let ruff mend what `make check` finds, where it can
format: $(VENV)/.ready-dev
	$(BIN)/ruff check --fix $(CHECKED)
	$(BIN)/ruff format $(CHECKED)

## make proof      slow proofs: real interruptions, scale, planted effects; prints its figures
proof: $(VENV)/.ready-dev
	$(BIN)/python -m pytest -m proof -s tests

## make lock       resolve pyproject.toml into .ci/requirements-*.txt; `.ci/lock --upgrade` takes newer releases
lock:
	.ci/lock

## make clean      remove .venv, the demo and prepared data
clean:
	rm -rf $(VENV) $(DEMO) .recsys-cache
##
## PYTHON=python3.13  another interpreter (3.11 to 3.14) for .venv
## BUILD=cuda         the CUDA build of torch and fbgemm
## CPU_INDEX=URL      where the CPU build of torch is when pip's own indexes do not have it
