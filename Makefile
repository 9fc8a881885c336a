# `make lab` and `make test` are each enough alone on a fresh clone. They share one environment, made once and made again
# when requirements.lock or pyproject.toml changes; a second run finds nothing to do.

PYTHON    ?=
PYTHONS   := $(PYTHON) python3.13 python3.12 python3.11 python3
VENV      := .venv
BIN       := $(VENV)/bin
INSTALLED := $(VENV)/.stamp-installed
WARM      := $(VENV)/.stamp-warm
SOURCES   := $(shell find hftlab -name '*.py')
LAB_ARGS  ?=
TEST_ARGS ?=

# The laws and stories of the kernels, once more as plain Python and once more with every index checked: compiled code that writes
# beside an array goes on as if nothing had happened.
KERNEL_TESTS := $(addprefix tests/test_,$(addsuffix .py,book exchange_rules graded halts latency ledger match match_time queue_models quote risk_table))
CHECKED_TESTS := $(KERNEL_TESTS) tests/test_core.py tests/test_lob.py tests/test_risk_laws.py

.PHONY: help lab test check checked interpreted bounded lock bench environment clean
.DELETE_ON_ERROR:

help:
	@echo "make lab    open JupyterLab on the first notebook (LAB_ARGS=--no-browser …)"
	@echo "make test   linters, types, tests and notebooks (TEST_ARGS=-x …)"
	@echo "make bench  speed, as JSON"
	@echo "make lock   resolve the dependencies anew into requirements.lock"
	@echo "make clean  remove the environment"

lab: $(WARM)
	@$(BIN)/python -m hftlab lab $(LAB_ARGS)

# Types are checked on one core while the kernels compile on the other.
# Three workers on two cores: many tests wait for a clock or a socket.
test:
	@$(MAKE) $(INSTALLED)
	@$(MAKE) -j2 --output-sync=target check $(WARM)
	$(BIN)/python -m pytest -n 3 --dist loadfile --nbval-lax --nbval-sanitize-with notebooks/sanitize.cfg $(TEST_ARGS) tests $(wildcard notebooks)
	@$(MAKE) checked

# Neither keeps two cores busy by itself.
checked: $(WARM)
	@$(MAKE) -j2 --output-sync=target interpreted bounded

interpreted: $(WARM)
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -q -m "not many" $(KERNEL_TESTS)

bounded: $(WARM)
	NUMBA_BOUNDSCHECK=1 HFTLAB_CACHE_DIR=$(VENV)/checked $(BIN)/python -m pytest -q $(CHECKED_TESTS)

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(WARM)
	@$(BIN)/python -m benchmarks

environment: $(WARM)

# Some machines set PYTHONDONTWRITEBYTECODE; without compiled bytecode every import takes several times as long, so it is
# written here on purpose. The kernels are compiled into a cache that every later process reads.
$(WARM): $(INSTALLED) $(SOURCES)
	@$(BIN)/python -m compileall -q hftlab
	@$(BIN)/python -m hftlab warm
	@touch $@

# uv installs several times faster than pip and is itself on PyPI; where it cannot be had, pip does the same with the same hashes.
# A name found on PATH may be a shim with nothing behind it, so each candidate is run.
$(INSTALLED): requirements.lock pyproject.toml
	@found=; for candidate in $(PYTHONS); do \
	    if $$candidate -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then found=$$candidate; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	    echo "hftlab needs Python 3.11 or newer with its venv module; tried $(strip $(PYTHONS)) and found none." >&2; \
	    echo "Install one (on Debian or Ubuntu: apt-get install python3 python3-venv), or name yours: make PYTHON=/path/to/python3" >&2; \
	    exit 1; \
	fi; \
	if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	    echo "creating $(VENV) with $$($$found --version)"; $$found -m venv --clear $(VENV); \
	fi
	@echo "installing $$(grep -c '^[a-z0-9].*==' requirements.lock) locked packages (the first time takes a minute or more)"
	@if $(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.8' \
	    && $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode -r requirements.lock; then \
	    $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .; \
	else \
	    echo "uv cannot be used here; pip installs the same packages, more slowly"; \
	    $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock \
	    && $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .; \
	fi
	@touch $@

# No configuration of this machine may reach the lock: no index, no link, no host.
lock: $(INSTALLED)
	@$(BIN)/uv pip compile --no-config --upgrade --quiet --universal --python-version 3.11 --generate-hashes --extra test \
	    --no-header --no-annotate --no-emit-index-url --no-emit-find-links -o requirements.lock pyproject.toml
	@echo "wrote requirements.lock: $$(grep -c '^[a-z0-9].*==' requirements.lock) packages"

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
