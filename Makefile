PYTHON ?= python3
# Some tests wait for a process or for a signal: two at a time keep one core busy.
PYTEST_WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(2 * (os.cpu_count() or 1), 12))')
ARGS ?=
SCHEDULES ?= 400
SEED ?= $(shell date +%s)
PAIRS ?= 100
ONLY ?=
# `make test` drives a share of what these are about.
IN_SHARES := tests/testing/test_product.py tests/docs/test_authoring.py \
	tests/engine/test_lost_commits.py examples

BIN := .venv/bin
READY := .venv/.ready
PYTEST := $(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist worksteal

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test quick soak kills mutants check format

help:  ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile
	@echo "  PYTEST_WORKERS=$(PYTEST_WORKERS) test processes; ARGS=... goes to pytest or to the demo"

setup: $(READY)  ## Create .venv with everything that the commands below need

# Through the environment, because `-c` does not reach the build backend: pip reads
# the first name for it up to 25, the second after that.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Earmark needs Python 3.11 or newer; name one: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet -e '.[dev]'
	@touch $@

demo: $(READY)  ## A simulated site and Earmark on it, in this terminal
	$(BIN)/earmark demo $(ARGS)

test: check  ## The gates and every test
	$(PYTEST) $(ARGS)

quick: check  ## The gates, and the quick tests on SQLite: at most 3 minutes
	$(PYTEST) -m "not slow and not browser and not postgres" tests $(ARGS)

soak: $(READY)  ## SCHEDULES=400 of random kills, stops, cuts, faults under load; SEED= draws them again
	@echo "make soak SCHEDULES=$(SCHEDULES) SEED=$(SEED) draws these schedules again"
	$(BIN)/python -m tests.soak --schedules $(SCHEDULES) --seed $(SEED) $(ARGS)

kills: $(READY)  ## Hours of kills: at every boundary each time, and PAIRS=100 drawn pairs for each
	EARMARK_SOAK=1 EARMARK_SCHEDULES=$(PAIRS) EARMARK_SEED=$(SEED) \
		$(PYTEST) --timeout 7200 tests/soak/test_every_kill.py tests/crash $(IN_SHARES) $(ARGS)

mutants: $(READY)  ## Take out one protection after the other: each must turn tests red (ONLY=name)
	$(BIN)/python -m tests.mutants --only "$(ONLY)" $(ARGS)

check: $(READY)  ## The gates: format, lint, types, floors, cycles, sizes
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy --strict
	$(BIN)/lint-imports
	$(BIN)/python tools/check_cycles.py
	$(BIN)/python tools/check_sizes.py

format: $(READY)  ## Put the code into the house's format
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format
