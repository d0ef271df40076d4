"""Which wheel a page takes, and that the plain one does on another Pyodide what it does on ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from .test_pyodide import PYODIDE, ROOT, lines_of_both, run
from .test_pyodide import pytestmark as in_pyodide

# With Python 3.13, and an ABI of its own: what `make wasm` compiled is not for it.  Its msgspec is on no registry that
# the tools here use, so that what runs is the runtime: the balancer's suites hold with that version (0.19) natively.
OTHER = ROOT / "build" / "npm" / "node_modules" / "pyodide-0.29"
is_there = pytest.mark.skipif(not OTHER.is_dir(), reason="no other Pyodide; run: tools/install-test-tools")
pytestmark = in_pyodide


@pytest.mark.parametrize(
    ("pyodide", "abi"), [(PYODIDE, "2026_0"), pytest.param(OTHER, "2025_0", marks=is_there)], ids=["ours", "0.29"]
)
def test_a_page_takes_the_wheel_that_fits_its_pyodide(pyodide: Path, abi: str):
    done = run("wheels.mjs", None, pyodide=pyodide)
    assert (done.returncode, done.stdout) == (0, f"{abi} holds\n"), done.stderr[-2000:]


@is_there
def test_a_seed_gives_the_same_trace_on_another_pyodide():
    assert lines_of_both("traces.py", "plain", "3", pyodide=OTHER) > 30


@is_there
def test_the_driver_holds_on_another_pyodide_what_it_promises():
    done = run("driver.py", "plain", pyodide=OTHER)
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["driver holds"]), done.stderr[-2000:]
