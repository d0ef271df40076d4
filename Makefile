# Everything starts here.  `make demo` and `make test` work on a fresh clone.
#
#   make demo [ARGS=--json]   the main job, end to end, with figures
#   make demo-browser         its stream in a web page: hls.js, with the balancer in Pyodide
#   make test                 lint, types, three legs, the real runs; prints the time of each part
#   make fast|checked|pure    one leg of the suite          (TESTS="tests/runtime -k mailbox" for some of it)
#   make bench-NAME           measure one set of claims
#   make wasm                 the wheels for browsers: compiled to WebAssembly, and plain  (ARGS=--compare: sizes)
#   make wasm-profile         the same with the names of functions in it, for a browser's profiler: --build build/profile
#   make pyodide              suites and simulation seeds inside Pyodide under Node, held against the native ones
#   make soak                 what takes longer than a test run may
#   make sanitize             the runtime's tests under ASan, UBSan and TSan
#   make free-threaded        the same tests on a Python without the GIL, which is built first
#
# The three legs build into folders of their own:
#   fast      the installed package of .venv            what users run
#   checked   build/legs/checked                        the same C with bounds, None and overflow checks
#   pure      src                                       nothing compiled; nothing is ever built in place

PYTHON ?= $(shell tools/find-python 3.11)
VENV := .venv
BIN := $(VENV)/bin
SOURCES := $(shell find runtime balancer transports app src -type f -not -name '*.pyc' -not -path '*.egg-info/*') setup.py pyproject.toml
TESTS ?=
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

.PHONY: demo demo-browser test sanitize free-threaded fast checked pure lint types wasm wasm-profile soak bench-runtime bench-standards bench-browser bench-page sync clean help pyodide
help:
	@awk '/^[^#]/ || /^$$/ { exit } { sub(/^# ?/, ""); print }' Makefile

demo: .stamps/fast
	$(BIN)/shoal demo $(ARGS)

test:
	@tools/run-tests $(LEGS)

demo-browser: .stamps/fast .stamps/wasm
	$(BIN)/shoal demo --browser $(ARGS)

.stamps/venv: pyproject.toml
	@tools/timed "virtual environment" tools/make-venv $(VENV) $(PYTHON)
	@mkdir -p .stamps && touch $@

.stamps/fast: .stamps/venv $(SOURCES)
	@find build/fast -path '*/lib*' -name '*.py' -delete 2>/dev/null || true # a module that is gone must not linger
	@SHOAL_BUILD=fast tools/timed "compiled core (fast)" $(BIN)/pip install --quiet --no-deps --no-build-isolation --force-reinstall .
	@touch $@

# For what nobody's speed depends on: 39 s of CPU where -O3 takes 50.
QUICKLY := SHOAL_CFLAGS="-O1 -fno-plt -g0"

.stamps/checked: .stamps/venv $(SOURCES)
	@rm -rf build/legs/checked
	@SHOAL_BUILD=checked $(QUICKLY) tools/timed "compiled core (checked)" $(BIN)/pip install --quiet --no-deps --no-build-isolation --target build/legs/checked .
	@touch $@

fast: .stamps/fast
	SHOAL_LEG=fast $(BIN)/pytest $(TESTS)

# What a leg leaves to the fast one, unless TESTS names it: what no leg changes, and minutes of the runtime's heaviest.
ONCE := --ignore=tests/benchmarks --ignore=tests/test_typing.py --ignore=tests/test_architecture.py \
	--ignore=tests/test_docs.py --ignore=tests/test_semantics.py --ignore=tests/runtime/test_storms.py
HEAVY := --ignore=tests/runtime/test_torture.py --ignore=tests/runtime/test_shutdown.py

checked: .stamps/checked
	SHOAL_LEG=checked PYTHONPATH=build/legs/checked $(BIN)/pytest -m "not real" $(or $(TESTS),$(ONCE))

pure: .stamps/venv
	SHOAL_LEG=pure PYTHONPATH=src $(BIN)/pytest -m "not real" $(or $(TESTS),$(ONCE) $(HEAVY))

lint: .stamps/venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .stamps/venv
	$(BIN)/mypy
	$(BIN)/pyright

WASM_TOOLS := $(shell find tools/wasm tools/browser -type f)
PYODIDE := build/browser/node_modules/pyodide

.stamps/wasm .stamps/wasm-profile: .stamps/venv $(SOURCES) $(WASM_TOOLS)
	@tools/timed "npm packages" tools/browser/install
	@tools/timed "compiler for WebAssembly" tools/wasm/install
	@tools/timed "wheels for browsers" .venv-wasm/bin/python tools/wasm/build.py --pyodide $(PYODIDE) \
		--out build/$(@F) $(if $(findstring profile,$@),--profile) $(if $(filter wasm%,$(MAKECMDGOALS)),$(ARGS))
	@mkdir -p .stamps build/profile && touch $@
	@ln -sfn ../browser build/profile/browser && ln -sfn ../wasm-profile build/profile/wasm

wasm wasm-profile: %: .stamps/%

pyodide: .stamps/wasm .stamps/fast
	SHOAL_LEG=fast $(BIN)/pytest tests/browser

bench-runtime: .stamps/fast
	@tools/install-bench-peers
	$(BIN)/python benchmarks/runtime.py $(ARGS)

bench-standards: .stamps/fast
	@tools/install-slow-clients
	$(BIN)/python benchmarks/standards.py $(ARGS)

bench-browser: .stamps/fast .stamps/wasm
	@tools/install-test-tools
	$(BIN)/python benchmarks/browser.py $(ARGS)

bench-page: .stamps/fast .stamps/wasm
	@tools/install-test-tools
	$(BIN)/python benchmarks/page.py $(ARGS)

# Beside what others wrote, which is installed first.
BESIDE := bench-abuse bench-balancer bench-failover bench-nat bench-peers bench-tracker
$(BESIDE): bench-%: .stamps/fast
	@tools/install-test-tools
	$(BIN)/python benchmarks/$*.py $(ARGS)

bench-%: .stamps/fast
	$(BIN)/python benchmarks/$*.py $(ARGS)

soak: .stamps/fast .stamps/checked
	@tools/run-soak $(ARGS)

sanitize: .stamps/venv
	@tools/sanitize $(ARGS)

free-threaded: .stamps/venv
	@tools/test-free-threaded $(ARGS)

clean:
	rm -rf build .stamps .venv .venv-* out
