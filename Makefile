# make demo    a click log, DIN trained on it, a bundle, scores (sets itself up)
# make test    all tests            make check   ruff, mypy, import-linter
# make proof   slow proofs: real interruptions, scale, planted effects; prints its figures

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo

.PHONY: demo test check proof format clean

$(VENV)/.ready: .ci/requirements-cpu.txt .ci/requirements-dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps -r .ci/requirements-cpu.txt -r .ci/requirements-dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

demo: $(VENV)/.ready
	rm -rf $(DEMO)
	$(BIN)/recsys demo-data $(DEMO)/data --rows 300000
	$(BIN)/recsys train $(DEMO)/data/config.yaml --data-dir $(DEMO)/data --runs-dir $(DEMO)/runs --name din --cache-dir $(DEMO)/cache
	$(BIN)/recsys export $(DEMO)/runs/din --out $(DEMO)/bundle
	$(BIN)/recsys predict $(DEMO)/bundle $(DEMO)/data/test.parquet --out $(DEMO)/scores.parquet
	$(BIN)/python -m recsys.data.synthetic $(DEMO)/data $(DEMO)/runs/din

test: $(VENV)/.ready
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m "not proof" tests
	$(BIN)/python -m xdoctest --quiet recsys

check: $(VENV)/.ready
	$(BIN)/ruff check recsys tests notebooks pipelines
	$(BIN)/ruff format --check recsys tests notebooks pipelines
	$(BIN)/mypy
	$(BIN)/lint-imports

proof: $(VENV)/.ready
	$(BIN)/python -m pytest -m proof -s tests

format: $(VENV)/.ready
	$(BIN)/ruff check --fix recsys tests
	$(BIN)/ruff format recsys tests

clean:
	rm -rf $(VENV) $(DEMO) .recsys-cache
