# Everything happens in .venv, which is made here from constraints.txt. Needs Python 3.11, its pip, and make.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test requests bench-lake constraints clean

help:
	@echo "make demo         a nightly run through a real Airflow, against the sandbox"
	@echo "make test         lint, types and the whole suite"
	@echo "make requests     how many requests 1,000 exports take, at the speed the key allows (12 minutes)"
	@echo "make bench-lake   the lake against pandas, Polars and DuckDB, as ratios of one run"
	@echo "make constraints  write constraints.txt anew from the newest versions"
	@echo "make clean        remove .venv, the demo's lake and all caches"

demo: $(READY)
	$(BIN)/python -m dev.demo

requests: $(READY)
	$(BIN)/python -m dev.requests

bench-lake: $(READY)
	$(BIN)/python bench/lake.py

test: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy sei_provider dev
	$(BIN)/python -m pytest

# Old pips know neither dependency groups nor constraints for what a build needs, so pip itself comes first.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv --clear $(VENV)
	$(PIP) install --quiet --constraint constraints.txt --upgrade pip
	$(PIP) install --quiet --constraint constraints.txt --build-constraint constraints.txt \
		--editable '.[pandas,sandbox,s3]' --group dev
	touch $@

# Versions only: no addresses, not the project itself, and not what venv put there. hatchling and editables are what
# building the project needs. The subshell's trap removes the scratch environment whatever happens.
constraints:
	( set -e; scratch=$$(mktemp -d); trap 'rm -rf "$$scratch"' EXIT; \
	$(PYTHON) -m venv "$$scratch"; \
	"$$scratch/bin/python" -m pip install --quiet --upgrade pip; \
	"$$scratch/bin/python" -m pip install --quiet '.[pandas,sandbox,s3]' --group dev hatchling editables; \
	"$$scratch/bin/python" -m pip freeze --all --exclude airflow-provider-sei --exclude setuptools > "$$scratch/frozen"; \
	{ echo "# Written by 'make constraints' on Python 3.11. Versions only, no addresses."; cat "$$scratch/frozen"; } \
		> constraints.txt )

clean:
	rm -rf $(VENV) .demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
