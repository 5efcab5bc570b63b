# make repro: the whole pipeline; make test: the tests. Both set up .venv first, once.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup repro suite test slow cluster bench-precision bench-pretrain bench-loop bench-forecast bench-finetune bench-scores bench-beside bench-panel check format docs notebooks ui clean

PYTHON ?= python3.11
BIN := .venv/bin
STAMP := .venv/.seedbed-setup
PORT ?= 5000
ARGS ?=

# The stages are started by dvc as `seedbed VERB RUN`: they must find this environment's programs.
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Without compiled files in .venv each of the pipeline's processes would compile its imports anew: ten seconds.
unexport PYTHONDONTWRITEBYTECODE
# Nothing here reports its use to anyone.
export DO_NOT_TRACK := 1
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export HF_HUB_DISABLE_TELEMETRY := 1

help:
	@echo 'make repro      run the whole pipeline (dvc repro); a second time only what changed'
	@echo 'make suite      a suite of benchmarks on a backbone   SUITE=glue BACKBONE=electra_tiny'
	@echo 'make test       the default tests             ARGS="-k name" goes to pytest'
	@echo 'make check      ruff, types, the import contract, generated docs'
	@echo 'make ui         look at every run in MLflow    PORT=5000'
	@echo 'make notebooks  execute the notebooks on the artifacts'
	@echo 'make slow       tests of minutes               make cluster: tests on a real Slurm'
	@echo 'make bench-precision   tokens per second in fp32 and bf16, ARGS="--threads 1"'
	@echo 'make bench-pretrain    steps beside transformers, ARGS="--threads 1 --precision fp32"'
	@echo 'make bench-loop        the loop around a step, and the loader'
	@echo 'make bench-forecast    N-BEATS beside neuralforecast, ARGS="--peer-python PATH"'
	@echo 'make bench-finetune    fine-tuning beside the Hugging Face Trainer, ARGS="--peer-python PATH"'
	@echo 'make bench-scores      accuracy of N-BEATS by ensemble size, ARGS="data/raw/m3 nbeats_small-m3"'
	@echo 'make bench-beside      accuracy beside neuralforecast, ARGS="data/raw/m4 nbeats_small-m4 --peer-python PATH"'
	@echo 'make bench-panel       memory and time from file to report, by series, ARGS="--series 1000 10000"'
	@echo 'make format     let ruff write the format      make docs: write the generated pages'
	@echo 'make clean      remove caches (never data, models or checkpoints)'

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { \
	  echo 'make: $(PYTHON) not found; install Python 3.11 or give its path: make PYTHON=/path/to/python3.11' >&2; exit 2; }
	@echo 'setting up .venv from requirements.lock (a minute or two, once)'
	@$(PYTHON) -m venv .venv
	@# compiling all of it now takes as long as installing it; Python compiles what is used when it is used
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

repro: setup
	@dvc repro $(ARGS)

suite: setup
	@seedbed suite $(SUITE) $(BACKBONE) $(ARGS)
	@dvc repro

test: setup
	@python -m pytest $(ARGS)

slow: setup
	@python -m pytest -m slow $(ARGS)

cluster: setup
	@python -m pytest -m cluster $(ARGS)

bench-precision: setup
	@python benchmarks/precision.py $(ARGS)

bench-pretrain: setup
	@python benchmarks/pretrain.py $(ARGS)

bench-loop: setup
	@python benchmarks/loop.py $(ARGS)

bench-forecast: setup
	@python benchmarks/forecast.py $(ARGS)

bench-finetune: setup
	@python benchmarks/finetune.py $(ARGS)

bench-scores: setup
	@python benchmarks/forecast_scores.py $(ARGS)

bench-beside: setup
	@python benchmarks/forecast_beside.py $(ARGS)

bench-panel: setup
	@python benchmarks/panel_scale.py $(ARGS)

check: setup
	ruff check .
	ruff format --check .
	mypy
	lint-imports --no-logo
	python -m docs.reference --check
	python -m docs.fidelity --check

format: setup
	ruff check --fix .
	ruff format .

docs: setup
	@python -m docs.reference
	@python -m docs.fidelity

notebooks: setup
	@for notebook in notebooks/*.ipynb; do echo "$$notebook"; jupyter execute --timeout=300 "$$notebook"; done

ui: setup
	@test -f mlflow.db || { echo 'make: no mlflow.db here yet; run `make repro` first' >&2; exit 2; }
	@echo 'MLflow on http://127.0.0.1:$(PORT)/#/experiments (stop with Ctrl-C)'
	@mlflow ui --backend-store-uri sqlite:///mlflow.db --host 127.0.0.1 --port $(PORT)

clean:
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
	find src tests docs -name __pycache__ -type d -prune -exec rm -rf {} +
