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


def a_watch(frames_per_s, late_ms):
    return {"frames_per_s": frames_per_s, "late_ms": [late_ms] * 10}


def test_a_busy_page_is_held_against_the_idle_one_before_it_round_by_round():
    seen = {
        ("idle", 10): [a_watch(60, 1), a_watch(30, 40), a_watch(58, 2)],
        ("actors", 10): [a_watch(57, 9), a_watch(30, 70), a_watch(29, 4)],
        ("stock", 10): [a_watch(8, 2000)],
    }
    frames_of, timers_of = frames.claims_of(10, seen)
    assert frames_of.figure == pytest.approx(57 / 60)  # of 0.95, 1, 0.5
    assert timers_of.figure == pytest.approx(8)  # of 8, 30, 2
    assert frames_of.holds
    assert timers_of.holds


def test_a_worker_is_held_against_itself_at_rest():
    seen = {("worker at rest", 500): [a_watch(60, 1)], ("worker", 500): [a_watch(54, 22)]}
    claims = frames.claims_of(500, seen, in_worker=True)
    assert [claim.figure for claim in claims] == pytest.approx([0.9, 21])
    assert [claim.holds for claim in claims] == [False, False]
    assert all("in a worker" in claim.claim for claim in claims)


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


def a_bulk_turn(seconds, right=bridge.BULK_MESSAGES, small_ms=(20, 20)):
    return {"seconds": seconds, "right": right, "small_ms": small_ms}


def both_turns(seconds, small_ms=(20, 20)):
    return [a_bulk_turn(each, small_ms=small_ms) for each in seconds]


def test_our_channels_rate_is_held_against_javascripts_round_by_round():
    plain = both_turns([4, 5, 40, 50, 4, 6], small_ms=(80, 90, 70))  # one round in which the machine was busy
    turns = {"plain": plain, "ours": both_turns([4, 4, 90, 90, 5, 5], small_ms=(20, 40, 400))}
    figures = {claim.claim: claim for claim in bridge.figures_of(NO_LEAKS, turns)}
    assert figures["RTCPeerConnection, 64 MiB: rate of plain JavaScript's"].figure == pytest.approx(10 / 10)
    assert figures["a small message behind them: time of plain JavaScript's"].figure == pytest.approx(40 / 80)
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
    turns = {"plain": both_turns([4, 4], small_ms=(80, 80)), "ours": [a_bulk_turn(4, right), a_bulk_turn(4)]}
    assert [claim.holds for claim in bridge.figures_of(leaks, turns)].count(False) == 1


def test_a_subject_that_fails_does_not_hold_and_keeps_no_other_from_being_measured(monkeypatch, capsys):
    def fail(_):
        raise RuntimeError("the page did not play")

    monkeypatch.setitem(browser.SUBJECTS, "playing", fail)
    (claim,) = browser.measured("playing", None)
    assert claim.holds is False
    assert "the page did not play" in capsys.readouterr().err


def test_keys_of_all_rounds_are_held_against_those_of_the_idle_page():
    def rounds(*keys):
        return [{**a_watch(60, 1), "input_ms": list(one)} for one in keys]

    seen = {
        ("idle", 10): rounds([0.5, 1.0], [1.0, 1.5]),
        ("stock", 10): [a_watch(8, 400)],
        ("actors", 10): rounds([4.5, 4.6], [4.7, 40.0]),
    }
    *_, median, longest = frames.claims_of(10, seen)
    assert median.figure == pytest.approx(3.65)
    assert longest.figure == pytest.approx(38.5)
    assert (median.holds, longest.holds) == (True, False)
