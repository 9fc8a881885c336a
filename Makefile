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
AGAIN     := $(MAKE) # named otherwise, `make -n test` only says what it would run

# The laws and stories of the kernels, once more as plain Python and once more with every index checked: compiled code that writes
# beside an array goes on as if nothing had happened.
KERNEL_TESTS := $(addprefix tests/test_,$(addsuffix .py,book exchange_rules graded halts latency ledger match match_time queue_models quote risk_table))
LOWER_TESTS := $(addprefix tests/test_,$(addsuffix .py,backtest book core instrument ledger match quote report risk_laws sweep tape))
CHECKED_TESTS := $(KERNEL_TESTS) tests/test_core.py tests/test_lob.py tests/test_risk_laws.py

# On a company's network packages come through a proxy whose certificate only the machine knows.
export UV_SYSTEM_CERTS ?= 1

# No configuration of this machine may reach the lock: no index, no link, no host.
RESOLVE := $(BIN)/uv pip compile --no-config --quiet --universal --python-version 3.11 --generate-hashes --extra test \
    --no-header --no-annotate --no-emit-index-url --no-emit-find-links

.PHONY: help lab test browse docs check checked interpreted bounded versions lower bounds coverage lock bench environment clean
.DELETE_ON_ERROR:

help:
	@echo "make lab    open JupyterLab on the first notebook (LAB_ARGS=--no-browser …)"
	@echo "make test   linters, types, tests and notebooks (TEST_ARGS=-x …)"
	@echo "make browse every notebook and dashboard in a browser, as a table (BROWSE_ARGS='03 --shots FOLDER' …)"
	@echo "make docs   the pages of docs/ as HTML, with every warning an error"
	@echo "make bench  speed, as JSON"
	@echo "make versions  the kernels, compiled and not, on every other Python that is here; by hand"
	@echo "make lower  the tests of the core with the oldest packages that pyproject.toml allows; by hand"
	@echo "make coverage  which lines the tests run, as text and in htmlcov/; by hand"
	@echo "make lock   resolve the dependencies anew into requirements.lock"
	@echo "make clean  remove the environments"

lab: $(WARM)
	@$(BIN)/python -m hftlab lab $(LAB_ARGS)

# Types are checked while the kernels compile. Three workers on two cores, and the kernels once more beside them: many tests wait for a
# clock or a socket. Notebooks first: a file that takes long must not be the last. All notebooks again in a browser: `make browse`.
test:
	@$(MAKE) $(INSTALLED)
	@$(MAKE) -j2 --output-sync=target check $(WARM)
	@nice -n 5 $(AGAIN) checked > $(VENV)/checked.log 2>&1 & checked=$$!; trap "kill $$checked" INT TERM; \
	    $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --nbval-lax --nbval-sanitize-with notebooks/sanitize.cfg \
	        -m "not browse" $(TEST_ARGS) $(wildcard notebooks) tests; tests=$$?; \
	    wait $$checked; checked=$$?; cat $(VENV)/checked.log; exit $$((tests + checked))

checked: interpreted bounded

# By another Python, where there is one: compiled by ours, plain by that one, the laws are the same.
interpreted: $(WARM)
	$(BIN)/python .ci/pythons.py quick -m "not many" $(KERNEL_TESTS)

bounded: $(WARM)
	NUMBA_BOUNDSCHECK=1 $(BIN)/python -m pytest -q $(CHECKED_TESTS)

versions: $(WARM)
	$(BIN)/python .ci/pythons.py all -m "not many" $(KERNEL_TESTS)

# Its own environment: the oldest version of each package named in pyproject.toml that its bound allows.
lower: $(INSTALLED)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(VENV)-lower
	$(BIN)/uv pip install --quiet --python $(VENV)-lower --resolution lowest-direct -e '.[test]'
	$(VENV)-lower/bin/python -m pytest -q $(LOWER_TESTS)

# The lock holds what pyproject.toml asks for, and its lower bounds can be met together. Nothing is installed.
bounds: $(INSTALLED)
	@cp requirements.lock $(VENV)/again.lock
	@$(RESOLVE) -o $(VENV)/again.lock pyproject.toml
	@cmp requirements.lock $(VENV)/again.lock
	@$(RESOLVE) --resolution lowest-direct -o $(VENV)/lowest.lock pyproject.toml
	@echo "the lock answers pyproject.toml, and its lower bounds resolve to $$(grep -c '^[a-z0-9].*==' $(VENV)/lowest.lock) packages"

# Engines and notebooks are processes of their own and are counted too; compiled code leaves no trace, so the kernels run again as Python.
coverage: $(WARM)
	rm -f .coverage .coverage.*
	nice -n 15 $(BIN)/coverage run -m pytest -q -n 3 --dist loadfile --nbval-lax --nbval-sanitize-with notebooks/sanitize.cfg -m "not browse" $(TEST_ARGS) tests $(wildcard notebooks)
	NUMBA_DISABLE_JIT=1 nice -n 15 $(BIN)/coverage run -m pytest -q -m "not many" $(CHECKED_TESTS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage html --quiet
	$(BIN)/coverage report --sort=cover

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pip check

browse: $(WARM)
	@$(BIN)/python -m benchmarks.drills browse $(BROWSE_ARGS)

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

lock: $(INSTALLED)
	@$(RESOLVE) --upgrade -o requirements.lock pyproject.toml
	@echo "wrote requirements.lock: $$(grep -c '^[a-z0-9].*==' requirements.lock) packages"

clean:
	rm -rf $(VENV) $(VENV)-* .coverage .coverage.* htmlcov .pytest_cache .mypy_cache .ruff_cache .hypothesis

docs: $(WARM)
	$(BIN)/python -m sphinx -q -W -n --keep-going -j auto docs docs/_build/html
