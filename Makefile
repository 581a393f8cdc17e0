# Everything here sets up what it needs: a fresh Debian or Ubuntu with python3 (>= 3.11), python3-venv and make.
.DELETE_ON_ERROR:
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help setup demo test test-long test-v2 crash lint docs bench lock clean dist images cluster-images

help:
	@echo "make demo       the main job on recorded market data (under two minutes, the first time too)"
	@echo "make test       all tests"
	@echo "make test-long  crash and fuzz campaigns, up to an hour"
	@echo "make test-v2    what concerns limits, on a virtual machine with control groups of version 2; root on Debian"
	@echo "make crash      kills at random points, N=1000 SEED=1; the ledgers have to be those of an undisturbed run"
	@echo "make lint       ruff, mypy, import-linter, generated files"
	@echo "make docs       write the generated files: schemas/, docs/reference/"
	@echo "make images     test, pack and compare the images of all bundled plugins"
	@echo "make cluster-images  what helm/ntp runs, as one archive: dist/cluster/images.tar, and values"
	@echo "make bench      the figures of docs/benchmarks.md"

setup: $(READY)

$(READY): requirements/dev.txt pyproject.toml plugin-images/sdk/pyproject.toml requirements/system
	@requirements/system
	@test -x $(BIN)/python || python3 -m venv $(VENV)
	@echo "installing the locked requirements …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e plugin-images/sdk -e .
	@touch $@

RUNTIME ?=
# Where plugins are containers, their images need a base: of Debian's packages, made once.
demo: export NTP_BASE := $(if $(filter docker,$(RUNTIME)),$(CURDIR)/dist/base,$(NTP_BASE))
demo: $(READY)
	@$(if $(filter docker,$(RUNTIME)),$(BIN)/python plugin-images/base/from_debian.py -o dist/base)
	@$(BIN)/ntpctl demo $(if $(RUNTIME),--runtime $(RUNTIME))

# One more than the cores of a small machine: most tests wait for a process most of the time.
JOBS ?= 3
test: $(READY) lint
	@requirements/registry
	@requirements/sigstore
	@$(BIN)/python -m pytest -m "not long" --numprocesses $(JOBS) --dist loadscope --no-loadscope-reorder

test-long: $(READY)
	@requirements/registry
	@requirements/sigstore
	@$(BIN)/python -m pytest -m long --numprocesses 2 --dist loadscope --no-loadscope-reorder

# What most users have, wherever this is run. V2: parts of it, see tests/machines/cgroup2/inside.
test-v2: $(READY)
	@tests/machines/cgroup2/run $(V2)

# So many kills, at the random points of a seed.
N ?= 1000
SEED ?= 1
crash: $(READY)
	@CRASH_N=$(N) CRASH_SEED=$(SEED) $(BIN)/python -m pytest tests/integration/runner/test_runner_crash.py --numprocesses 2

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/ntpctl schema --check
	@$(BIN)/python -m docs.generator --check
	@$(BIN)/python .ci/manifests.py --check

docs: $(READY)
	@$(BIN)/ntpctl schema --write
	@$(BIN)/python -m docs.generator

bench: $(READY)
	@$(BIN)/python -m tests.benchmarks

lock: $(READY)
	@PATH="$(CURDIR)/$(BIN):$$PATH" requirements/lock

dist: $(READY)
	@$(BIN)/python -m build --no-isolation --wheel --outdir dist plugin-images/sdk
	@$(BIN)/python -m build --no-isolation --wheel --outdir dist .

images: $(READY)
	@.ci/images

cluster-images: $(READY)
	@.ci/cluster-images

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
