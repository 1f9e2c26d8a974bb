# Everything happens in .venv, which is made here of the files that constraints.txt knows by their hashes. Needs Python 3.11,
# its pip, and make.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PIP := $(BIN)/python -m pip --disable-pip-version-check

COMMA := ,
EXTRAS := azure,pandas,redis,s3,sandbox
# Those of the image for docker-compose.yaml.
IMAGE_EXTRAS := pandas,redis,s3,sandbox
# The Airflow of constraints.txt, and the older ones that the suite's Airflow part runs on too, oldest first.
NEWEST := 3.3.2
OLDER := 3.1.8 3.2.2
AIRFLOW_PART := tests/hooks tests/operators tests/triggers tests/cli tests/dags tests/plugin tests/sensors \
	tests/whole tests/test_package.py
LIBRARY_PART := tests/api tests/lake tests/sandbox
# Three workers for two cores, because that of the real Airflow waits most of the time; what needs it is one group, so
# there is one Airflow.
PYTEST := python -m pytest --numprocesses 3 --dist loadgroup

# A machine that sets it would have each of the tests' many processes compile what it imports anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo up down check test lint style slow chaos fuzz faults test-oldest test-lowest test-matrix browser distributed requests \
	nightly waiting trace arrows parse-time bench-lake docs package constraints upgrade clean

help:
	@echo "make demo         a nightly run through a real Airflow, against the sandbox"
	@echo "make up, down     the demo's Airflow to look at: prints the pages worth opening, and runs until 'make down'"
	@echo "make check        lint, types and most of the library's tests, with a quarter of the generated cases: before every commit"
	@echo "make lint         lint and types alone"
	@echo "make test         lint, types and every test that is not slow"
	@echo "make slow         tests that take long or need quiet, 'make chaos' among them"
	@echo "make fuzz         the generated tests with EXAMPLES=20000 cases each; prints the SEED that repeats a run"
	@echo "make chaos        workers, triggerer and scheduler killed in the middle of runs"
	@echo "make faults       each fault of SEI or the network against each report, as a table"
	@echo "make test-matrix  the Airflow part of the suite on $(OLDER) $(NEWEST)"
	@echo "make test-lowest  the library's tests on the lowest versions that pyproject.toml allows"
	@echo "make test-python-3.13  the library's tests on another Python of this machine"
	@echo "make browser      the web UI in Chromium; makes the pictures of the docs"
	@echo "make distributed  docker-compose.yaml's services as processes; one worker and one triggerer are killed"
	@echo "make requests     how many requests 1,000 exports take, at the speed the key allows (16 minutes)"
	@echo "make nightly      200 and 1,000 exports beside a plain asyncio script, as ratios of one run; ARGS='--exports 200 --limit with --apart'"
	@echo "make waiting      10,000 exports waiting in one triggerer: lag of its event loop, CPU; EXPORTS=2000"
	@echo "make trace        how many functions and files of the provider one export goes through"
	@echo "make arrows       which part imports which, and what breaks a rule"
	@echo "make parse-time   what importing each example DAG costs"
	@echo "make bench-lake   the lake against pandas, Polars and DuckDB, as ratios of one run; AGAINST=COMMIT: staging, then and now"
	@echo "make docs         the documentation, into site/, with every link checked; prints where to open it"
	@echo "make package      sdist and wheel, checked, installed into an empty environment and found by Airflow"
	@echo "make constraints  write what pyproject.toml newly asks into constraints.txt and constraints/; the rest stays"
	@echo "make upgrade      write all of them anew, from the newest versions"
	@echo "make clean        remove .venv, the demo's lake and all caches"

demo: $(READY)
	$(BIN)/python -m dev.demo

up: $(READY)
	$(BIN)/python -m dev.up

down: $(READY)
	$(BIN)/python -m dev.up --down

requests: $(READY)
	$(BIN)/python -m bench.request_count

nightly: $(READY)
	$(BIN)/python -m bench.nightly $(ARGS)

waiting: $(READY)
	$(BIN)/python -m bench.waiting $(EXPORTS)

parse-time: $(READY)
	$(BIN)/python -m bench.parse_time

bench-lake: $(READY)
	$(BIN)/python -m bench.lake $(if $(AGAINST),--against $(AGAINST))
	$(BIN)/python -m bench.wide $(if $(AGAINST),--against $(AGAINST))
	$(BIN)/python -m bench.lake_months $(if $(AGAINST),--against $(AGAINST))
	$(if $(AGAINST),,$(BIN)/python -m bench.store_calls)

# The loop of work: of the generated cases a quarter, and without those that stop or interleave publishers at each step
# or fill disks, a quarter of the time; `make test` tries all of them.
CHECKED_LATER := tests/api/test_hostile_server.py \
	$(addprefix tests/lake/test_lake_,kills.py interleavings.py races.py chunk_faults.py rerun.py refusals.py)
check: style
	$(call with_types,SEI_EXAMPLES_PART=4 $(BIN)/$(PYTEST) $(LIBRARY_PART) $(addprefix --ignore ,$(CHECKED_LATER)))

test: style
	$(call with_types,$(BIN)/$(PYTEST))

lint: style
	$(MYPY)

style: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

MYPY := $(BIN)/mypy sei_provider dev bench
# Runs a command of the shell with mypy beside it, which without its cache keeps one core busy for a minute. What mypy
# says comes after all that the command prints; either of them fails the target.
with_types = @echo '$(1)'; said=$$(mktemp); $(MYPY) > $$said 2>&1 & mypy=$$!; \
	$(1); failed=$$?; \
	wait $$mypy || failed=1; echo '$(MYPY)'; cat $$said; rm $$said; exit $$failed

arrows: $(READY)
	$(BIN)/python -m dev.arrows

trace: $(READY)
	$(BIN)/python bench/trace_export.py

slow: chaos
	$(BIN)/python -m pytest -m slow

chaos: $(READY)
	$(BIN)/python -m pytest tests/chaos

# `make fuzz SEED=…` repeats a run; EXAMPLES is the number of cases of each generator.
EXAMPLES ?= 20000
ifndef SEED
SEED := $(shell od -An -N4 -tu4 /dev/urandom | tr -d ' ')
endif
fuzz: $(READY)
	@echo "make fuzz SEED=$(SEED) EXAMPLES=$(EXAMPLES)"
	SEI_FUZZ_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest -m fuzz --capture no --timeout 7200 --hypothesis-seed $(SEED) \
		tests $$(find tests -name 'fuzz_*.py')

faults: $(READY)
	$(BIN)/python -m tests.faults

browser: $(READY)
	$(BIN)/python -m pytest tests/browser --pictures docs/pictures

distributed: $(READY)
	$(BIN)/python -m dev.distributed

# CI's `make test` has run all of it on the newest; here only the Airflow part, for `make test-matrix` alone.
test-matrix: $(addprefix test-on-,$(OLDER)) $(READY)
	$(BIN)/$(PYTEST) $(AIRFLOW_PART)

test-oldest: test-on-$(firstword $(OLDER))

# Each version in an environment of its own, made from its own constraints.
test-on-%: $(READY)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(VENV)-$*
	$(BIN)/uv pip install --quiet --python $(VENV)-$*/bin/python \
		--constraints constraints/airflow-$*.txt --build-constraints constraints.txt \
		--editable '.[$(EXTRAS)]' --group dev
	$(VENV)-$*/bin/$(PYTEST) $(AIRFLOW_PART)

# The library part on the lowest versions that pyproject.toml allows of what it imports, beside the oldest Airflow.
# On its own: it takes as long as the library part of `make test`.
LOWEST_PART ?= $(LIBRARY_PART)
test-lowest: $(READY)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(VENV)-lowest
	(echo "apache-airflow==$(firstword $(OLDER))"; $(BIN)/python -m dev.lowest) > $(VENV)-lowest/lowest.txt
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(VENV)-lowest/bin/python \
		--constraints $(VENV)-lowest/lowest.txt --build-constraints constraints.txt --editable '.[$(EXTRAS)]' --group dev
	$(VENV)-lowest/bin/$(PYTEST) $(LOWEST_PART)

# The library part on another Python, such as test-python-3.13, if this machine has a `python3.13`. What passes here is
# what requires-python claims.
test-python-%: $(READY)
	$(BIN)/uv venv --quiet --clear --python "$$(command -v python$*)" $(VENV)-python-$*
	$(BIN)/uv pip install --quiet --python $(VENV)-python-$*/bin/python \
		--constraints constraints.txt --build-constraints constraints.txt --editable '.[$(EXTRAS)]' --group dev
	$(VENV)-python-$*/bin/$(PYTEST) $(LIBRARY_PART)

docs: $(READY)
	$(BIN)/python -m dev.docs

package: $(READY)
	$(BIN)/python -m dev.package

# Every file that is downloaded has one of the hashes written down, or pip refuses it. First comes what builds, the newer
# pip too: so what comes as source only, and the project itself, are built with that and download nothing.
HASHED := --require-hashes --no-deps --no-build-isolation
$(READY): pyproject.toml constraints.txt constraints/build.txt
	$(PYTHON) -m venv --clear $(VENV)
	$(PIP) install --quiet $(HASHED) --requirement constraints/build.txt
	$(PIP) install --quiet $(HASHED) --requirement constraints.txt
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/uv pip check --quiet --python $(BIN)/python
	$(BIN)/python -m tests.azurite
	touch $@

# Versions and hashes only: no addresses, and not the project itself. What is written already stays as long as it fits, so
# a new requirement adds its own lines. The older Airflows with what there was in their time, since 3.2.2 does not run with
# FastAPI and pydantic of today; of pyrate-limiter and obstore we need later ones.
OLDER_AS_OF := --exclude-newer 2026-06-15 --exclude-newer-package pyrate-limiter=2026-11-20 \
	--exclude-newer-package obstore=2026-11-20
EXTRA = $(foreach extra,$(subst $(COMMA), ,$(1)),--extra $(extra))
COMPILE = $(BIN)/uv pip compile --quiet --generate-hashes $(UPGRADE) --no-annotate --python-version 3.11 \
	--custom-compile-command "make constraints"
ALL = pyproject.toml $(call EXTRA,$(EXTRAS)) --group dev

constraints: $(if $(wildcard $(BIN)/uv),,$(READY))
	for version in $(OLDER); do echo "apache-airflow==$$version" | \
		$(COMPILE) $(ALL) --constraints - $(OLDER_AS_OF) --output-file constraints/airflow-$$version.txt || exit 1; done
	echo "apache-airflow==$(NEWEST)" | $(COMPILE) $(ALL) --constraints - --output-file constraints.txt
	$(COMPILE) --group build --constraints constraints.txt --output-file constraints/build.txt
	$(COMPILE) pyproject.toml $(call EXTRA,$(IMAGE_EXTRAS)) --constraints constraints.txt --output-file constraints/image.txt

upgrade: UPGRADE := --upgrade
upgrade: constraints

clean:
	rm -rf $(VENV) $(addprefix $(VENV)-,$(OLDER)) $(VENV)-lowest $(VENV)-python-* .demo build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
