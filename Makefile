# driftline: `make demo` and `make test` are all the set-up there is.
PYTHON ?= python3
BIN := .venv/bin

# Where Python is told to keep no bytecode, every process compiles all that it loads: for a worker of Beam's 5.5 s
# of a core where 1.6 s would do.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup jars demo test check format bench bench-faults bench-soak lock clean

# Tests start Beam's servers, which listen on every interface: where the system allows it they get a network
# that leads nowhere.
ALONE := $(shell unshare -rn ip link set lo up 2>/dev/null && echo 'unshare -rn sh -c "ip link set lo up && exec \"\$$@\"" sh')

# One of the faults is a full disk, so a small one is mounted where that is allowed.
ALONE_WITH_DISKS := $(subst unshare -rn,unshare -rnm,$(ALONE))

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: .venv/.installed ## make .venv with everything, and .venv/bin/driftline; fetch jars where Maven is
	@$(BIN)/driftline stack fetch >/dev/null || echo 'make: without jars there is no Kafka and no Flink here; all else works'

jars: .venv/.installed ## fetch the jars of Kafka and Flink
	@$(BIN)/driftline stack fetch

.venv/.installed: requirements.lock bootstrap.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else f"driftline needs Python 3.11 to 3.13, this is {sys.version.split()[0]}: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r bootstrap.lock
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

demo: setup ## simulate an incident day, run it through the pipeline, show what was found
	$(BIN)/driftline demo

test: setup ## run the tests
	OMP_NUM_THREADS=1 $(ALONE) $(BIN)/python -m pytest

check: setup ## ruff, mypy strict, import-linter, schema drift
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m schemas.json_schema --check
	$(BIN)/python -m pipelines.config --check
	$(BIN)/python -m pipelines.observe --check

format: setup ## let ruff put the code in form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## measure speed, state and detection; prints tables, writes JSON under build/bench
	$(BIN)/python -m benchmarks

bench-faults: setup ## kill, stop, starve and mislead real processes under load; hours. FAULTS="--engine faust --seeds 3"
	OMP_NUM_THREADS=1 $(ALONE_WITH_DISKS) $(BIN)/python -m benchmarks.reliability.faults $(FAULTS)

bench-soak: setup ## half an hour at a steady rate in real time. SOAK="--engine flink --minutes 10"
	OMP_NUM_THREADS=1 $(ALONE) $(BIN)/python -m benchmarks.reliability.soak $(SOAK)

lock: ## make both locks anew from pyproject.toml
	$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url --no-header \
	  --all-extras --group dev pyproject.toml -o requirements.lock
	awk '/^uv==/ {p = 1; print; next} p && /^ / {print; next} p {exit}' requirements.lock > bootstrap.lock

clean: ## remove what was built, keep data
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
