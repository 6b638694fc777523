# kvis: `make demo` and `make test` need nothing but Python 3.11 to 3.13 and a package index.
PYTHON ?= python3
VENV   ?= .venv
LOWEST ?= .venv-lowest
BIN    := $(VENV)/bin
OUT    ?= demo-out
# Seconds that each reader of untrusted bytes is fuzzed, and which readers: all where it is empty.
FUZZ_SECONDS ?= 60
FUZZ_READERS ?=
# The marker says that the environment is complete; it is older than a changed pyproject.toml.
READY  := $(VENV)/.ready

.PHONY: docs demo test test-slow test-browser test-conformance test-all test-lowest dist lint bench fuzz clean help

help:
	@echo "make demo      install, then explain the sample models: pictures in $(OUT)/"
	@echo "make test      install, then run the tests"
	@echo "make test-all  everything: test, test-slow, test-browser (Chromium), test-conformance (peers)"
	@echo "make test-lowest  the tests of the models with the lowest versions allowed"
	@echo "make dist      sdist and wheel, into dist/"
	@echo "make lint      ruff, mypy, and the contracts about imports"
	@echo "make bench     speed and quality tables"
	@echo "make fuzz      feed damaged files to every reader, FUZZ_SECONDS=60 each (Linux)"
	@echo "make docs      the documentation, into site/"
	@echo "make clean     remove the environment and everything generated"

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

demo: $(VENV)/.installed
	$(BIN)/kvis run configs/demo.yaml --out $(OUT) > /dev/null
	@echo
	@echo "Sheets:   $(OUT)/shapes/grid-cam.png, $(OUT)/shapes_shortcut/grid-cam.png"
	@echo "Report:   $(OUT)/report.html"
	@echo "Pictures: $$(find $(OUT) -name '*.png' | wc -l) PNG files below $(OUT)/"

# Each suite on its own; PYTEST takes more options, as --no-unexpected-skips of tests/conftest.py.
PYTEST ?=
FAST   := not slow and not conformance and not browser

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "$(FAST)" $(PYTEST)

test-slow: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "slow" $(PYTEST)

test-browser: $(READY)
	$(BIN)/python -m pytest -m "browser and not slow" $(PYTEST)

# keras-vis is a peer; none of what it depends on is installed.
$(VENV)/peers: $(VENV)/.made
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps -d $@ keras-vis==0.4.1

test-conformance: $(READY) $(VENV)/peers
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "conformance and not slow" $(PYTEST)

test-all: test test-slow test-browser test-conformance

# The lowest versions that pyproject.toml allows, in an environment of their own.
$(LOWEST)/.ready: tests/lowest.txt pyproject.toml
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check -c tests/lowest.txt -e . pytest pytest-xdist
	@touch $@

test-lowest: $(LOWEST)/.ready
	$(LOWEST)/bin/python -m pytest -n 2 --dist loadfile -m "$(FAST)" tests/models tests/cli/test_cam.py $(PYTEST)

dist: $(READY)
	rm -rf dist
	$(BIN)/python -m build --outdir dist . > /dev/null
	@ls dist

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(READY)
	$(BIN)/python -m benchmarks

# What is found is kept in tests/fuzz/cases, where `make test` tries it ever after.
fuzz: $(READY)
	@if command -v uv >/dev/null 2>&1; \
	then uv pip install --quiet --python $(BIN)/python -e ".[fuzz]"; \
	else $(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[fuzz]"; fi
	$(BIN)/python tests/fuzz/campaign.py --seconds $(FUZZ_SECONDS) $(FUZZ_READERS)

docs: $(VENV)/.installed
	@if command -v uv >/dev/null 2>&1; \
	then uv pip install --quiet --python $(BIN)/python -e ".[docs]"; \
	else $(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[docs]"; fi
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "Documentation: site/index.html"

clean:
	rm -rf $(VENV) $(LOWEST) $(OUT) kvis-out site build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
