# make help names the targets; those that need .venv make it first.

PYTHON ?= python3#  any of 3.11 to 3.14
BUILD ?= cpu#       or cuda
CPU_INDEX ?= https://download.pytorch.org/whl/cpu#  asked for torch where pip's own indexes have no CPU build
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo

unexport PYTHONDONTWRITEBYTECODE#  every process would compile torch anew

.PHONY: demo test check proof format lock clean

$(VENV)/.ready: .ci/requirements-$(strip $(BUILD)).txt .ci/set_up.py pyproject.toml
	$(PYTHON) .ci/set_up.py --venv $(VENV) --build $(BUILD) --cpu-index $(CPU_INDEX)
	touch $@

$(VENV)/.ready-dev: $(VENV)/.ready .ci/requirements-dev.txt
	$(BIN)/python .ci/set_up.py --venv $(VENV) --dev
	touch $@

demo: $(VENV)/.ready
	rm -rf $(DEMO)
	$(BIN)/recsys demo-data $(DEMO)/data --rows 300000
	$(BIN)/recsys train $(DEMO)/data/config.yaml --data-dir $(DEMO)/data --runs-dir $(DEMO)/runs --name din --cache-dir $(DEMO)/cache
	$(BIN)/recsys export $(DEMO)/runs/din --out $(DEMO)/bundle
	$(BIN)/recsys predict $(DEMO)/bundle $(DEMO)/data/test.parquet --out $(DEMO)/scores.parquet
	$(BIN)/python -m recsys.data.synthetic $(DEMO)/data $(DEMO)/runs/din

test: $(VENV)/.ready-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m "not proof" tests
	$(BIN)/python -m xdoctest --quiet recsys

check: $(VENV)/.ready-dev
	$(BIN)/ruff check recsys tests notebooks pipelines
	$(BIN)/ruff format --check recsys tests notebooks pipelines
	$(BIN)/mypy
	$(BIN)/lint-imports

proof: $(VENV)/.ready-dev
	$(BIN)/python -m pytest -m proof -s tests

format: $(VENV)/.ready-dev
	$(BIN)/ruff check --fix recsys tests
	$(BIN)/ruff format recsys tests

lock:
	.ci/lock

clean:
	rm -rf $(VENV) $(DEMO) .recsys-cache
