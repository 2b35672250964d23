# Every target sets itself up: .venv is made once and again when pyproject.toml changes.
# PIP_ARGS goes to pip, for example an index with CPU builds of torch (see README.md).
PYTHON ?= python3
PIP_ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Test workers run side by side, so each takes one thread; hashes must not change between them.
TEST_ENV := OMP_NUM_THREADS=1 PYTHONHASHSEED=0
WORKERS ?= 2
NOTEBOOKS := $(sort $(wildcard notebooks/*.ipynb))

.DEFAULT_GOAL := help
.PHONY: help setup tour lab check test test-slow test-notebooks bench faults-planted assets arena clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 16

setup: $(READY)  ## make .venv with everything that the other targets need

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "minillm needs Python 3.11 or newer, this is " + sys.version)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -e ".[dev]"
	touch $@

tour: $(READY)  ## the main job: text → tokens → model → report, in minutes
	$(BIN)/python -m minillm tour

lab: $(READY)  ## open JupyterLab with the notebooks
	$(BIN)/python -m jupyter lab notebooks

check: $(READY)  ## lint, types, unit tests: the quick part
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(TEST_ENV) $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal -m "not slow"

test: check test-slow test-notebooks  ## every check of the project, notebooks included

test-slow: $(READY)
	$(TEST_ENV) $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal -m slow

test-notebooks: $(READY)
	$(BIN)/python scripts/check_notebooks.py $(NOTEBOOKS)
	$(TEST_ENV) $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadscope \
		--nbval-lax --nbval-cell-timeout=120 $(NOTEBOOKS)

bench: $(READY)  ## speed and memory against peers, as ratios of one run: bench.json
	$(BIN)/python -m benchmarks

faults-planted: $(READY)  ## plant one-line faults in a copy; show which test notices each
	$(BIN)/python scripts/planted_faults.py

assets: $(READY)  ## make the figures and stored numbers of assets/ again
	$(BIN)/python scripts/make_assets.py

arena: $(READY)  ## compare objectives after fine-tuning, an hour of one core; it continues: assets/arena.json
	OMP_NUM_THREADS=1 $(BIN)/python scripts/arena.py

clean:  ## remove what the targets made, runs excepted
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
