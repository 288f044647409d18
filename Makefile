# The commands of the house; CONTRIBUTING.md says when to use which.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SERVE := $(VENV)/.serve
TEST := $(VENV)/.test
PIP := $(BIN)/pip --disable-pip-version-check --quiet

S3 := .venv-s3
GATEWAY := .cache/bin/versitygw
OIDC := .venv-oidc
DOCS := .venv-docs

.PHONY: serve fleet compiled check test shapes fleet-shape long deep faults bench bench-fleet conformance browser screenshots picture docs tools format clean

serve: $(SERVE)
	$(BIN)/moorage serve --listen 127.0.0.1:5000 --data ./data

# A whole fleet on this machine, without containers: PostgreSQL, S3, two replicas, a proxy.
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

# A real S3 server for the tests, apart from the product.
$(S3)/.done: requirements/s3-server.txt
	$(PYTHON) -m venv $(S3)
	$(S3)/bin/pip --disable-pip-version-check --quiet install --only-binary :all: --require-hashes -r $<
	touch $@

# A real OpenID provider, in the same way.
$(OIDC)/.done: requirements/oidc-provider.txt
	$(PYTHON) -m venv $(OIDC)
	$(OIDC)/bin/pip --disable-pip-version-check --quiet install --only-binary :all: --require-hashes -r $<
	touch $@

# What builds the site of the documentation, apart as well.
$(DOCS)/.done: requirements/docs.txt
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/pip --disable-pip-version-check --quiet install --only-binary :all: --require-hashes -r $<
	touch $@

# A second S3 server, where a Go toolchain is at hand; without it its tests are listed as not run.
$(GATEWAY):
	command -v go >/dev/null || exit 0; \
	GOBIN=$(CURDIR)/.cache/bin go install github.com/versity/versitygw/cmd/versitygw@v1.8.0

# Once, not by each of the thousands of processes that the tests start, where the environment forbids
# Python to write what it compiles.
compiled: $(TEST)
	$(BIN)/python -m compileall -q src tests

# What measures time is run while nothing else is.
TIMED := $(addprefix tests/unit/,auth/test_passwords.py cli/test_help.py cli/test_lock.py \
	client/test_credential_helper.py model/test_patterns.py model/test_trusts.py \
	oci/test_manifest.py web/test_conditions.py)

# Format, lint, types, shape, unit tests, every statement EXPLAINed: under a minute.
check: $(TEST) compiled
	$(BIN)/ruff format --check src tests bench deploy docs
	$(BIN)/ruff check src tests bench deploy docs
	$(BIN)/pytest -q $(TIMED)
	sh tests/beside.sh "$(BIN)/pytest -q tests/unit $(TIMED:%=--ignore=%)" \
		"$(BIN)/mypy src; $(BIN)/pytest -q tests/shape"

# What must not be late is tested last, while nothing else runs; what is lost is found anyhow.
LATE := tests/contract/test_sharing.py \
	$(addprefix tests/faults/test_,checks.py fairness.py fleet_access.py many_deletions.py memory.py)
LOUD := $(addprefix tests/faults/test_,kill.py powerloss.py syscalls.py releases.py collection.py \
	failing.py bit_rot.py backup.py disk.py)

# Of the clients' tests, these run in the other lane, so that both take as long.
ASIDE := $(addprefix tests/clients/test_,documentation.py readme.py fair_use.py)

# Everything, with real clients; as root it installs the Debian packages they come in.
test: check $(S3)/.done $(OIDC)/.done $(GATEWAY) tools
	sh tests/beside.sh "$(BIN)/pytest -q tests/clients $(ASIDE:%=--ignore=%); \
		sh tests/in_memory.sh $(BIN)/pytest -q tests/contract $(LATE:%=--ignore=%); \
		$(BIN)/pytest -q tests/faults $(LATE:%=--ignore=%) $(LOUD:%=--ignore=%)" \
		"sh tests/in_memory.sh $(BIN)/pytest -q tests/http; $(BIN)/pytest -q $(ASIDE) $(LOUD)"
	$(BIN)/pytest -q $(LATE)

# The protocol on every pair of stores, real clients on the fleet's; after `make test`.
shapes: compiled $(S3)/.done $(OIDC)/.done $(GATEWAY) tools
	sh tests/beside.sh "$(BIN)/pytest -q tests/clients --shape postgres+s3 --redirect; \
		sh tests/in_memory.sh $(BIN)/pytest -q tests/http --shape postgres+directory" \
		"sh tests/in_memory.sh $(BIN)/pytest -q tests/http --shape postgres+s3; \
		sh tests/in_memory.sh $(BIN)/pytest -q tests/http --shape sqlite+s3"

# The fleet's shape of them, which every change must pass.
fleet-shape: compiled $(S3)/.done $(OIDC)/.done $(GATEWAY) tools
	sh tests/beside.sh "$(BIN)/pytest -q tests/clients --shape postgres+s3 --redirect" \
		"sh tests/in_memory.sh $(BIN)/pytest -q tests/http --shape postgres+s3"

# What takes minutes each: races at all of their places, the second S3 server, a build of two hours.
long: compiled $(S3)/.done $(OIDC)/.done $(GATEWAY) tools
	$(BIN)/pytest -q tests --long

# How soon pages are there and answer, as a slow telephone has them: measured by itself.
BUDGETS := tests/ui/test_budgets.py

# Holes put into the program that the tests must find, and a long fire at every address of the API.
deep: compiled tools
	sh tests/beside.sh "sh tests/in_memory.sh $(BIN)/pytest -q tests/http/test_openapi.py --deep" \
		"sh tests/in_memory.sh $(BIN)/pytest -q tests --ignore=tests/http/test_openapi.py \
		--ignore=$(BUDGETS) --deep"
	$(BIN)/pytest -q $(BUDGETS) --deep

# The long forms of what `make test` proves shortly, and what a release is tested with; two hours.
faults: export FLEET_PUSHES := 5000
faults: export FLEET_PULLS := 50000
faults: export FLEET_KILL_SECONDS := 10
faults: export FLEET_TAG_ROUNDS := 10
faults: export FLEET_BLOB_MIB := 10240
faults: export FLEET_PATCHED_MIB := 1024
faults: export FLEET_KILLS := 200
faults: export KILLS := 1000
faults: export STATES := 1000
faults: export TAG_ROUNDS := 17
faults: export FAULT_STRIDE := 1
faults: export COLLECTION_FAULTS := 200
faults: export SOAK_SECONDS := 1800
faults: export DELETIONS := 100000
faults: export ROTTEN := 1000
faults: export BACKUP_SECONDS := 600
faults: compiled $(S3)/.done $(GATEWAY) tools
	sh tests/beside.sh "$(BIN)/pytest -q $(LOUD)" \
		"$(BIN)/pytest -q tests/faults $(LATE:%=--ignore=%) $(LOUD:%=--ignore=%)"
	$(BIN)/pytest -q $(LATE)

# The documentation as a site, in `site`: pages, style and search, nothing from elsewhere.
docs: $(TEST) $(DOCS)/.done
	$(BIN)/python docs/generate.py --check
	$(BIN)/python docs/client.py --check
	$(DOCS)/bin/mkdocs build --clean

# Of the tests of pages, these measure time: they are run last, while nothing else is.
PROMPT := $(addprefix tests/ui/test_,budgets.py first_push.py live.py new_user.py)
MATRIX := tests/ui/test_matrix.py
# Of the matrix, this runs in the other lane, so that both take as long.
FRESH := $(MATRIX)::test_before_there_are_accounts

# Every page in a real Chromium: by everybody, in every colour, with and without scripts.
browser: compiled tools
	sh tests/beside.sh "$(BIN)/pytest -q $(MATRIX) --deselect $(FRESH)" \
		"$(BIN)/pytest -q tests/ui --ignore=$(MATRIX) $(PROMPT:%=--ignore=%); $(BIN)/pytest -q $(FRESH)"
	$(BIN)/pytest -q $(PROMPT)

# Pictures of the main pages, light and dark, to be looked at.
screenshots: $(TEST) tools
	PYTHONPATH=tests $(BIN)/python -m ui.screenshots .cache/screenshots

# The picture that the README and the documentation have.
picture: $(TEST) tools
	PYTHONPATH=tests $(BIN)/python -m ui.picture docs/pictures/repository.png

tools:
	sh tests/tools.sh

bench: $(TEST)
	$(BIN)/python -m bench

# PostgreSQL and an object store beside SQLite and a directory: a quarter of an hour.
bench-fleet: $(TEST) $(S3)/.done $(GATEWAY)
	$(BIN)/python -m bench --only fleet-

# The official OCI conformance suite, where a Go toolchain is at hand.
conformance: $(TEST)
	sh tests/conformance.sh
	sh tests/conformance.sh bearer

format: $(TEST)
	$(BIN)/ruff format src tests bench deploy docs
	$(BIN)/ruff check --fix src tests bench deploy docs
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/client.py

clean:
	rm -rf $(VENV) $(S3) $(DOCS) dist site .mypy_cache .ruff_cache .pytest_cache
