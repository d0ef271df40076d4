"""The wheels for browsers, inside Pyodide under Node: same tests, same seeds, same traces as natively.

`make wasm` makes the wheels; without them, or without node, everything here is skipped.
"""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ..effort import EFFORT
from .suites import ACTORS, CORE, everything

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PYODIDE = ROOT / "build" / "browser" / "node_modules" / "pyodide"
WASM = ROOT / "build" / "wasm"
WHEELS = ROOT / "build" / "browser" / "wheels"  # of others, for this Pyodide and no other
KINDS = {"compiled": "dist/*_wasm32.whl", "plain": "dist/*-py3-none-any.whl", "whole": "whole/*_wasm32.whl"}
SEEDS = str(25 * EFFORT)  # a hundred in `make soak`, whose effort is 4; `make bench-browser` takes as many
# The page's wheel lies over the plain one, since tests use what no page does, such as a tracker of their own.
SUITES = {
    "compiled": everything() if EFFORT > 1 else [*CORE, *ACTORS],
    "plain": CORE,
    "whole": everything() if EFFORT > 1 else CORE,
}
RUN_S_MAX = 600 * EFFORT

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(shutil.which("node") is None, reason="node is missing"),
    pytest.mark.skipif(not PYODIDE.is_dir() or not WASM.is_dir(), reason="no wheels for browsers: run make wasm"),
]


def run(script, kind, *arguments, below=None, pyodide=PYODIDE):
    """`kind` None has no wheels: the script loads them."""
    ours = [wheel for each in (below, kind) if each is not None for wheel in WASM.glob(KINDS[each])]
    wheels = [*sorted(WHEELS.glob("*.whl")), *ours] if ours and pyodide == PYODIDE else ours
    return subprocess.run(
        ["node", HERE / "run.mjs", pyodide, ROOT, HERE / script, *wheels, "--", *arguments],
        capture_output=True,
        text=True,
        timeout=RUN_S_MAX,
        check=False,
    )


def natively(script, *arguments):
    environment = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, HERE / script, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def lines_of_both(script, kind, seeds, *, pyodide=PYODIDE):
    """How many lines a script prints in the browser's Python and in this one: the same."""
    with ThreadPoolExecutor() as both:
        in_pyodide, in_this = (
            both.submit(run, script, kind, seeds, pyodide=pyodide),
            both.submit(natively, script, seeds),
        )
    there, here = in_pyodide.result(), in_this.result()
    assert here.returncode == 0, here.stderr
    assert there.returncode == 0, there.stderr[-2000:]
    assert there.stdout.splitlines() == here.stdout.splitlines()
    return here.stdout.count("\n")


def looks_at(work):
    """A test of what `work` gives for the test's parameters; `done` gives that."""

    def note(test):
        test.work = work
        return test

    return note


@pytest.fixture(scope="module")
def under_way(request):
    """What the tests that are to run look at, two at a time: Node computes on one core, and nothing else goes on."""
    pool = ThreadPoolExecutor(2)
    tests = [item for item in request.session.items if item.module is request.module]
    yield {test.name: pool.submit(test.function.work, **test.callspec.params) for test in tests}
    pool.shutdown(cancel_futures=True)


@pytest.fixture
def done(under_way, request):
    return under_way[request.node.name].result


@looks_at(lambda kind, seeds: lines_of_both("traces.py", kind, seeds))
@pytest.mark.parametrize(("kind", "seeds"), [("compiled", SEEDS), ("plain", "4")])
def test_a_seed_gives_the_same_trace_as_natively(done, kind, seeds):
    assert done() > 10 * int(seeds)


@looks_at(lambda kind, seeds: lines_of_both("decisions.py", kind, seeds))
@pytest.mark.parametrize(("kind", "seeds"), [("whole", SEEDS), ("compiled", "5"), ("plain", "5")])
def test_a_seed_gives_the_same_decisions_as_natively(done, kind, seeds):
    assert done() == int(seeds)


@looks_at(lambda kind: run("driver.py", kind))
@pytest.mark.parametrize("kind", ["compiled", "plain"])
def test_the_driver_holds_what_it_promises(done, kind):
    assert done().returncode == 0, done().stderr[-2000:]
    assert done().stdout.endswith("driver holds\n"), done().stdout


@looks_at(lambda kind: run("channel.py", kind))
@pytest.mark.parametrize("kind", ["compiled"])
def test_the_channel_holds_what_it_promises(done, kind):
    assert done().returncode == 0, done().stderr[-2000:]
    assert done().stdout.endswith("channel holds\n"), done().stdout


@looks_at(lambda kind: run("bridge.mjs", kind))
@pytest.mark.parametrize("kind", ["compiled"])
def test_the_bridge_holds_what_it_promises(done, kind):
    assert done().returncode == 0, done().stderr[-2000:]
    assert done().stdout.endswith("bridge holds\n"), done().stdout


@looks_at(lambda kind: run("suite.py", kind, "-q", "-m", "not real", *SUITES[kind], below="plain"))
@pytest.mark.parametrize("kind", KINDS)
def test_the_suites_pass(done, kind):
    assert done().returncode == 0, done().stdout[-3000:] + done().stderr[-2000:]
    assert " passed" in done().stdout
