# Every target does its own set-up: it needs make and a Python >= 3.11, and makes the rest in .venv.
#
#   make test ARGS="-k spool -x"      arguments for pytest
#   make servers SERVERS="kafka3"     which servers to start
#   make test PYTHON=python3.12       which Python .venv is made with

.DEFAULT_GOAL := help
SHELL := /bin/sh
CANDIDATES := python3.13 python3.12 python3.11 python3.14 python3 python
SERVERS ?= kafka postgresql
ARGS ?=
export PYTHON
export PYTHONUNBUFFERED := 1

# Each candidate is run, not only looked up: a pyenv shim may be on PATH and yet have no Python behind it.
define ENVIRONMENT
@set -e; chosen=; \
for candidate in $(or $(PYTHON),$(CANDIDATES)); do \
  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then chosen=$$candidate; break; fi; \
done; \
if [ -z "$$chosen" ]; then \
  echo "error: $(or $(PYTHON),none of $(CANDIDATES)) is not a Python >= 3.11 that runs. Install one, or name it: make $@ PYTHON=/path/to/python" >&2; \
  exit 1; \
fi; \
"$$chosen" .ci/environment.py
endef

.PHONY: help demo demo-kafka test lint bench faults servers clean

help: ## say what there is
	@sed -n 's/^\([a-z-]*\):.* ## /\1	/p' $(MAKEFILE_LIST) | awk -F '\t' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: ## one document becomes a database, events arrive in it, a second plan is empty
	$(ENVIRONMENT) demo
	@.venv/bin/python -m samples.demo.embedded

demo-kafka: ## the same on a Kafka broker that it fetches, starts and stops (needs Java 17 and Maven)
	$(ENVIRONMENT) demo-kafka
	@.venv/bin/python -m samples.demo.kafka

test: ## all tests, with real servers where Java, Maven and PostgreSQL are installed
	$(ENVIRONMENT) test
	@.venv/bin/python -m pytest -W error -n 2 --dist loadgroup $(ARGS)

lint: ## ruff check, ruff format, mypy --strict
	$(ENVIRONMENT) lint
	@.venv/bin/python -m ruff check --quiet .
	@.venv/bin/python -m ruff format --quiet --check . || { echo "error: run .venv/bin/ruff format ." >&2; exit 1; }
	@.venv/bin/python -m mypy --no-error-summary

bench: ## how fast it is here, beside OpenTelemetry, Segment, PostHog and Statsig
	$(ENVIRONMENT) bench
	@.venv/bin/python -m tests.benchmarks $(ARGS)

faults: ## programs that are killed, cut off, starved: what was published, and what is found (ARGS="--short", ARGS="soak")
	$(ENVIRONMENT) test
	@.venv/bin/python -m tests.faults $(ARGS)

servers: ## start the test servers, print their addresses, stop them on Ctrl-C
	$(ENVIRONMENT) demo
	@.venv/bin/python -m tests.servers $(SERVERS)

clean: ## remove .venv, caches and what builds left
	@rm -rf .venv .venv.lock build dist demo-out samples/*/build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find compiler runtime templates tests samples .ci -name __pycache__ -type d -prune -exec rm -rf {} +
