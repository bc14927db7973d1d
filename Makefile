# HelixNAS. `make` alone lists what there is.
SHELL := /bin/bash
VENV ?= .venv
# The first of these that is new enough; 3.11 is what the lock was tried with.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := $(VENV)/bin
# The programs of our environment come first, for DVC's stages too; no tool phones home.
export PATH := $(abspath $(BIN)):$(PATH)
export OMP_NUM_THREADS ?= 1
export DO_NOT_TRACK := 1
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export PREFECT_SERVER_ANALYTICS_ENABLED := false

# pip's hundreds of lines as a counter; what goes wrong comes by way of stderr.
COUNT_PACKAGES := awk '/^Collecting/ { printf "\r%d packages found", ++n; fflush() } \
	/^Installing/ { printf "\ninstalling them, about 2 minutes ...\n"; fflush() }'

.DEFAULT_GOAL := help
.PHONY: help setup run test quick check format dependencies lock bench agreement ui schedule repro promote rollback clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(VENV)/.installed  ## make the virtual environment from requirements.lock

$(VENV)/.installed: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "error: Python must be 3.11 or newer, but none was found. Install it, or set PYTHON=..."; exit 2; }
	@echo "Setting up $(VENV) with $(PYTHON): about 6 GB, about 4 minutes"
	@$(PYTHON) -m venv $(VENV)
	@set -o pipefail; $(BIN)/python -m pip install --requirement requirements.lock | $(COUNT_PACKAGES)
	@$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

run: setup  ## the main job: teacher in, registered student out
	@$(BIN)/python -m flows $(if $(PRESET),--preset $(PRESET)) $(foreach override,$(SET),--set '$(override)')

test: setup  ## all tests, two files at a time
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

quick: setup  ## the tests of seconds, in about two minutes
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder -m "not slow and not flow"

check: setup  ## linters, types, floors and doors, Dockerfile
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile

format: setup  ## put the code into its format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

dependencies: setup  ## write into dvc.yaml which code each stage imports
	@$(BIN)/python -m helixnas.source

lock: setup  ## resolve requirements.lock anew
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev --constraint constraints.txt \
		--custom-compile-command "make lock" --output-file requirements.lock pyproject.toml

bench: setup  ## every headline figure, as a ratio measured in one run: benchmarks/RESULTS.md
	@$(BIN)/python benchmarks/results.py

agreement: setup  ## how well ratings order students, in the run that lies here: about 25 minutes
	@$(BIN)/python benchmarks/agreement_tables.py
	@$(BIN)/python benchmarks/agreement_alone.py
	@$(BIN)/python benchmarks/agreement_students.py
	@$(BIN)/python benchmarks/agreement_retraining.py

ui: setup  ## MLflow, Prefect and the Optuna dashboard, on 127.0.0.1
	@$(BIN)/python -m flows.ui

schedule: setup  ## serve the deployments of prefect.yaml: nightly and on demand
	@$(BIN)/python -m flows.schedule

repro: setup  ## the stages alone, one after another, by DVC
	$(BIN)/dvc repro

promote: setup  ## let the challenger through the gate
	@$(BIN)/helixnas promote

rollback: setup  ## make the previous champion the champion again
	@$(BIN)/helixnas rollback

clean:  ## remove caches; artifacts, models and DVC's cache stay
	rm -rf .cache .prefect .pytest_cache .mypy_cache .ruff_cache .hypothesis build
