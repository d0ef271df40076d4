"""What the browser's benchmark makes of what it sees.  Nothing in here is timed, and no browser is started."""

import importlib
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
browser = importlib.import_module("browser")
bridge = importlib.import_module("browser_claims.bridge")
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
    claims = [murmur.claim_of(without_page), murmur.claim_of(without_compiler)]
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


NO_LEAKS = {"proxies": 0, "references": 0, "lost": 0}


def a_bulk_turn(seconds, right=bridge.BULK_MESSAGES):
    return {"seconds": seconds, "right": right}


def test_our_channels_rate_is_held_against_javascripts_by_their_medians():
    turns = {"plain": [a_bulk_turn(4), a_bulk_turn(5), a_bulk_turn(9)], "ours": [a_bulk_turn(5), a_bulk_turn(4)] * 2}
    figures = {claim.claim: claim for claim in bridge.figures_of(NO_LEAKS, turns)}
    assert figures["RTCPeerConnection, 64 MiB: rate of plain JavaScript's"].figure == pytest.approx(5 / 4.5)
    assert all(claim.holds for claim in figures.values())


@pytest.mark.parametrize(
    ("leaks", "right"),
    [
        ({**NO_LEAKS, "proxies": 1}, bridge.BULK_MESSAGES),
        ({**NO_LEAKS, "references": 2}, bridge.BULK_MESSAGES),
        ({**NO_LEAKS, "lost": 1}, bridge.BULK_MESSAGES),
        (NO_LEAKS, bridge.BULK_MESSAGES - 1),
    ],
    ids=["a proxy", "references", "a lost message", "a torn message"],
)
def test_what_leaks_or_is_lost_does_not_hold(leaks, right):
    turns = {"plain": [a_bulk_turn(4)], "ours": [a_bulk_turn(4, right)]}
    assert [claim.holds for claim in bridge.figures_of(leaks, turns)].count(False) == 1


def test_a_subject_that_fails_does_not_hold_and_keeps_no_other_from_being_measured(monkeypatch, capsys):
    def fail(_):
        raise RuntimeError("the page did not play")

    monkeypatch.setitem(browser.SUBJECTS, "playing", fail)
    (claim,) = browser.measured("playing", None)
    assert claim.holds is False
    assert "the page did not play" in capsys.readouterr().err
