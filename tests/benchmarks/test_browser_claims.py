"""What the browser's benchmark makes of what it sees.  Nothing in here is timed, and no browser is started."""

import importlib
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
browser = importlib.import_module("browser")
equal = importlib.import_module("browser_claims.equal")
frames = importlib.import_module("browser_claims.frames")
murmur = importlib.import_module("browser_claims.murmur")
harness = importlib.import_module("harness")
sys.path.remove(str(BENCHMARKS))

LINES = "swarm 0 10 aa\nswarm 1 10 bb\nswarm 1 11 cc\n"


def test_a_seed_is_equal_if_all_of_its_lines_are():
    assert equal.equal_seeds(LINES, LINES, 1) == 2
    assert equal.equal_seeds(LINES, LINES.replace("cc", "cd"), 1) == 1
    assert equal.equal_seeds(LINES, LINES.replace("swarm 1 11 cc\n", ""), 1) == 1
    assert equal.equal_seeds(LINES, "", 1) == 0


def test_the_99th_of_a_hundred_counts():
    assert frames.p99([float(number) for number in range(100)]) == 99
    assert frames.p99([1.0] * 200 + [50.0]) == 1
    assert frames.p99([7.0]) == 7


def test_what_is_not_measured_never_counts_as_held(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    without_page = [{"name": "native (C)", "rounds": 1000, "seconds": 0.4}]
    without_compiler = [{"name": "WebAssembly (C)", "rounds": 1000, "seconds": 0.4}]
    claims = [*browser.bridge(), murmur.claim_of(without_page), murmur.claim_of(without_compiler)]
    assert {claim.holds for claim in claims} == {None}
    assert harness.conclude("browser", claims) == 3


def test_webassembly_is_held_against_the_same_c_natively():
    rows = [
        {"name": "native (C)", "rounds": 1000, "seconds": 0.4},
        {"name": "native (Python)", "rounds": 3, "seconds": 0.6},
        {"name": "WebAssembly (C)", "rounds": 500, "seconds": 0.6},
    ]
    assert murmur.claim_of(rows).figure == pytest.approx(3)
    assert murmur.claim_of(rows).holds
