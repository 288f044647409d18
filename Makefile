# The commands of the house; CONTRIBUTING.md says when to use which.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SERVE := $(VENV)/.serve
TEST := $(VENV)/.test
PIP := $(BIN)/pip --disable-pip-version-check --quiet

.PHONY: serve check test bench conformance tools format clean

serve: $(SERVE)
	$(BIN)/moorage serve --listen 127.0.0.1:5000 --data ./data

# A whole fleet on this machine, without containers: PostgreSQL, S3, two replicas, a proxy.
.PHONY: fleet
fleet: $(TEST) .venv-s3/.done
	$(BIN)/python deploy/fleet.py

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(SERVE): $(BIN)/python requirements/serve.txt pyproject.toml
	$(PIP) install --only-binary :all: --require-hashes -r requirements/serve.txt
	$(PIP) install --no-build-isolation --no-deps --editable .
	touch $@

$(TEST): $(SERVE) requirements/test.txt
	$(PIP) install --only-binary :all: --require-hashes -r requirements/test.txt
	touch $@

# Format, lint, types, shape, unit and contract tests, every statement EXPLAINed: under a minute.
check: $(TEST)
	$(BIN)/ruff format --check src tests bench
	$(BIN)/ruff check src tests bench
	$(BIN)/mypy src
	$(BIN)/pytest -q tests/shape tests/unit tests/contract

# Everything, with real clients; as root it installs the Debian packages they come in.
test: $(TEST) tools
	$(BIN)/pytest -q tests

tools:
	sh tests/tools.sh

bench: $(TEST)
	$(BIN)/python -m bench

# The official OCI conformance suite, where a Go toolchain is at hand.
conformance: $(TEST)
	sh tests/conformance.sh

format: $(TEST)
	$(BIN)/ruff format src tests bench
	$(BIN)/ruff check --fix src tests bench

clean:
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache
