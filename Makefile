# kvis: `make demo` and `make test` need nothing but Python 3.11 to 3.13 and a package index.
PYTHON ?= python3
VENV   ?= .venv
LOWEST ?= .venv-lowest
BIN    := $(VENV)/bin
OUT    ?= demo-out
RELEASE ?= .venv-release
# Seconds that each reader of untrusted bytes is fuzzed, and which readers: all where it is empty.
FUZZ_SECONDS ?= 60
FUZZ_READERS ?=
# The marker says that the environment is complete; it is older than a changed pyproject.toml.
READY  := $(VENV)/.ready

.PHONY: release-check mutants docs demo test test-slow test-browser test-conformance test-all test-lowest dist lint bench fuzz clean help

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1	/' | expand -t 18 | sed 's/^/make /'

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; \
	  (3, 11) <= v <= (3, 13) or sys.exit("kvis needs Python 3.11 to 3.13, and $(PYTHON) is %d.%d: make PYTHON=python3.12" % v)'
	$(PYTHON) -m venv $(VENV)
	@touch $@

# uv installs several times faster where it is there; pip does the same. kvis' own modules are
# compiled here too: where the environment forbids Python to keep what it compiles, every start of
# an editable installation would do it again.
$(VENV)/.installed: $(VENV)/.made pyproject.toml
	@if command -v uv >/dev/null 2>&1; \
	then uv pip install --quiet --compile-bytecode --python $(BIN)/python -e .; \
	else $(BIN)/python -m pip install --quiet --disable-pip-version-check -e .; fi
	@$(BIN)/python -m compileall -q kvis_cli
	@touch $@

$(READY): $(VENV)/.installed
	@if command -v uv >/dev/null 2>&1; \
	then uv pip install --quiet --python $(BIN)/python -e ".[dev]"; \
	else $(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"; fi
	@touch $@

demo: $(VENV)/.installed ## install, then explain the sample models: pictures in demo-out/
	$(BIN)/kvis run configs/demo.yaml --out $(OUT) > /dev/null
	@echo
	@echo "Sheets:   $(OUT)/shapes/grid-cam.png, $(OUT)/shapes_shortcut/grid-cam.png"
	@echo "Report:   $(OUT)/report.html"
	@echo "Pictures: $$(find $(OUT) -name '*.png' | wc -l) PNG files below $(OUT)/"

# Each suite on its own; PYTEST takes more options, as --no-unexpected-skips of tests/conftest.py.
PYTEST ?=
FAST   := not slow and not conformance and not browser

test: $(READY) ## install, then run the fast tests
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "$(FAST)" $(PYTEST)

test-slow: $(READY) ## long tests: all model kinds, kills, the commands of the documentation
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "slow" $(PYTEST)

test-browser: $(READY) ## reports in Chromium
	$(BIN)/python -m pytest -m "browser and not slow" $(PYTEST)

# keras-vis is a peer; none of what it depends on is installed.
$(VENV)/peers: $(VENV)/.made
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps -d $@ keras-vis==0.4.1

test-conformance: $(READY) $(VENV)/peers ## comparisons with other libraries
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "conformance and not slow" $(PYTEST)

test-all: test test-slow test-browser test-conformance ## everything: fast, slow, browser and conformance tests

# The lowest versions that pyproject.toml allows, in an environment of their own.
$(LOWEST)/.ready: tests/lowest.txt pyproject.toml
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check -c tests/lowest.txt -e . pytest pytest-xdist tf-keras
	@touch $@

test-lowest: $(LOWEST)/.ready ## the tests of the models with the lowest versions allowed
	$(LOWEST)/bin/python -m pytest -n 2 --dist loadfile -m "$(FAST)" tests/models tests/cli/test_cam.py $(PYTEST)

dist: $(READY) ## sdist and wheel, into dist/
	rm -rf dist
	$(BIN)/python -m build --outdir dist . > /dev/null
	@ls dist

# From nothing but what would be published: the wheel in an environment of its own explains models.
release-check: dist ## build sdist and wheel, install the wheel into an empty environment, run the demo
	rm -rf $(RELEASE)
	$(PYTHON) -m venv $(RELEASE)
	$(RELEASE)/bin/python -m pip install --quiet --disable-pip-version-check dist/kvis-*.whl
	cd $(RELEASE) && bin/kvis --version && \
	  bin/kvis run $(CURDIR)/configs/demo.yaml --out $(CURDIR)/$(RELEASE)/demo-out > /dev/null
	@echo "The wheel works: $(RELEASE)/demo-out/report.html"

lint: $(READY) ## ruff, mypy, the contracts about imports and docstrings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pydoclint kvis_cli
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(READY) ## speed and quality tables
	$(BIN)/python -m benchmarks

# What is found is kept in tests/fuzz/cases, where `make test` tries it ever after.
fuzz: $(READY) ## feed damaged files to every reader, FUZZ_SECONDS=60 each (Linux)
	@if command -v uv >/dev/null 2>&1; \
	then uv pip install --quiet --python $(BIN)/python -e ".[fuzz]"; \
	else $(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[fuzz]"; fi
	$(BIN)/python tests/fuzz/campaign.py --seconds $(FUZZ_SECONDS) $(FUZZ_READERS)

MUTANTS ?= 100
mutants: $(READY) ## change the maths in MUTANTS=100 places and see whether the tests notice
	$(BIN)/python tools/mutants.py --count $(MUTANTS)

docs: $(VENV)/.installed ## the documentation, into site/
	@if command -v uv >/dev/null 2>&1; \
	then uv pip install --quiet --python $(BIN)/python -e ".[docs]"; \
	else $(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[docs]"; fi
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "Documentation: site/index.html"

clean: ## remove the environment and everything generated
	rm -rf $(VENV) $(LOWEST) $(RELEASE) $(OUT) kvis-out site build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
