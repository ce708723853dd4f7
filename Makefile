# make demo   make a data set, train, test, predict and write a report
# make test   style checks and the test suite
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Two torch threads beside another busy process can be 15 times slower than one.
export OMP_NUM_THREADS ?= 1
# Tests at once, one thread each; a file's tests share what they make, so they stay together.
JOBS ?= 2
SIDE_BY_SIDE = -n $(JOBS) --dist loadfile

.PHONY: setup demo test style test-slow test-system test-gpu bench evidence clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "videolit needs Python 3.11 or newer; make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: setup
	$(BIN)/videolit demo

test: setup style
	$(BIN)/pytest $(SIDE_BY_SIDE) -m "not slow and not system and not gpu"

style: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Trains models to their stated accuracy; about 25 minutes on two cores. One test at a time, the
# longest first.
test-slow: setup
	$(BIN)/pytest -n $(JOBS) --dist load --maxschedchunk 1 --ignore tests/benchmarks -m "slow and not system and not gpu"
	$(BIN)/pytest tests/benchmarks -m "slow and not system and not gpu"

# Needs ffmpeg and chromium.
test-system: setup
	$(BIN)/pytest -m "system"

# Needs a CUDA device.
test-gpu: setup
	$(BIN)/pytest -m "gpu"

# Speed, as ratios measured side by side.
bench: setup
	$(BIN)/pytest tests/benchmarks --capture=no --benchmark-columns=median,iqr,rounds

# Three seeds, longer training; rewrites the tables of the README. Takes hours;
# goes on where it stopped.
evidence: setup
	$(BIN)/python tests/evidence/action.py
	$(BIN)/python tests/evidence/data.py
	$(BIN)/python tests/evidence/real.py
	$(BIN)/python tests/evidence/summary.py
	$(BIN)/python tests/evidence/talking.py
	$(BIN)/python tests/evidence/transfer.py
	$(BIN)/python tests/evidence/sentiment.py
	$(BIN)/python tests/evidence/encoders.py

clean:
	rm -rf $(VENV) demo runs dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
