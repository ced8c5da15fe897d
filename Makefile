# Works with GNU make 3.81 and a POSIX shell. Variables given to make (make demo ONCE=1) reach the commands as environment.

# Test processes, each with whole files: their fixtures make databases and servers. 0 runs all tests in one process.
JOBS = 2
UV = uv
# UPGRADE= keeps the pins that still fit, and adds only what is new in a requirements/*.in.
UPGRADE = --upgrade
LOCK = $(UV) pip compile --quiet $(UPGRADE) --universal --generate-hashes --no-strip-extras --no-emit-index-url --no-emit-find-links \
	--custom-compile-command "make lock"

.PHONY: help demo mcp test lint bench conformance lock clean venv

help:
	@echo "make demo   run the issuer and the API, call its endpoints, keep serving"
	@echo "            (ONCE=1 checks the answers and stops; PORT=8000 ISSUER_PORT=9000)"
	@echo "make mcp    run the MCP example with the development issuer (PORT=8000 ISSUER_PORT=9000)"
	@echo "make test   run the tests (ARGS='-k name' goes to pytest; JOBS=2 processes, 0 for none but pytest's own)"
	@echo "make lint   check style, types and import contracts"
	@echo "make bench  measure this package and its peers, write docs/performance.md (ARGS=--quick: a minute, writes nothing)"
	@echo "make conformance"
	@echo "            print what the RFCs demand, and the tests that hold it (ARGS=--write writes docs/conformance.md)"
	@echo "make lock   resolve the pinned requirements anew (needs uv; UPGRADE= keeps the pins that still fit)"
	@echo "make clean  remove what these commands made"

venv:
	@scripts/venv.sh

demo: venv
	@.venv/bin/python example/demo.py

mcp: venv
	@.venv/bin/python examples/mcp/run.py

test: venv
	.venv/bin/python -m pytest -n $(JOBS) --dist loadfile $(ARGS)

lint: venv
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports

bench:
	@PYTHON=$${PYTHON:-python3.13} VENV=.venv-bench LOCK=requirements/bench.txt scripts/venv.sh
	@.venv-bench/bin/python -m benchmarks $(ARGS)

conformance: venv
	@.venv/bin/python scripts/conformance.py $(ARGS)

lock:
	@command -v $(UV) >/dev/null || { echo "error: make lock needs uv (python -m pip install uv, or UV=path)" >&2; exit 1; }
	$(LOCK) --python-version 3.11 -o requirements/py311-django52.txt requirements/dev.in requirements/django52.in
	$(LOCK) --python-version 3.12 -o requirements/py312-django60.txt requirements/dev.in requirements/django60.in
	$(LOCK) --python-version 3.13 -o requirements/py313-django61.txt requirements/dev.in requirements/django61.in
	$(LOCK) --python-version 3.14 -o requirements/py314-django61.txt requirements/dev.in requirements/django61.in
	$(LOCK) --python-version 3.11 -o requirements/oldest.txt requirements/oldest.in
	$(LOCK) --python-version 3.13 -o requirements/bench.txt requirements/bench.in

clean:
	rm -rf .venv .venv-bench benchmarks/results .nox .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage dist build tests/interop/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
