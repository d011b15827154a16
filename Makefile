# `make demo` and `make test` set up everything they need in .venv on a machine with Python 3.11 or newer.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
INSTALLING := Installing PyTorch and the other packages into $(VENV); this takes some minutes
export OMP_WAIT_POLICY ?= PASSIVE
# Tests run in so many processes, with one thread each; a file's tests stay together.
WORKERS ?= 2
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

.PHONY: demo test test-fast crash-test damage-test lint format benchmark clean

demo: $(VENV)/.installed
	$(BIN)/promise demo -o demo $(DEMO_ARGS)

test: $(VENV)/.installed-dev
	$(PYTEST) $(PYTEST_ARGS)

test-fast: $(VENV)/.installed-dev
	$(PYTEST) -m "not slow" $(PYTEST_ARGS)

# Each kind of fault at every change of files of every command that writes; Linux.
crash-test: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.crash --all $(CRASH_ARGS)

# Every file of ours damaged in every way, 500 kills, several commands at once; Linux.
damage-test: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.damage --kills 500 --together 25 $(DAMAGE_ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

benchmark: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.stored_features

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	@echo "$(INSTALLING)"
	$(BIN)/python -m pip install --quiet -e .
	touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/bin/python
	@echo "$(INSTALLING)"
	$(BIN)/python -m pip install --quiet -e ".[dev]"
	touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) demo build dist src/*.egg-info
