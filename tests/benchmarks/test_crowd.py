"""The crowd's search finds the highest load that holds, and its lines do not hold where nothing does."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
crowd = importlib.import_module("crowd")
sys.path.remove(str(BENCHMARKS))


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=40, unique=True).map(sorted), st.integers(0, 1001))
def test_the_highest_load_that_holds_is_found_in_few_tries(loads: list[int], limit: int) -> None:
    tried: list[float] = []

    def late_ms_at(load: float) -> float | None:
        tried.append(load)
        return load / 10 if load <= limit else None

    held = crowd.highest([float(load) for load in loads], late_ms_at)
    holding = [load for load in loads if load <= limit]
    assert (held and held.load) == (holding[-1] if holding else None)
    assert held is None or held.late_ms == held.load / 10
    assert len(tried) == len(set(tried)) <= len(loads).bit_length() + 1


def an_end(megabits: float, late_ms: float) -> dict[str, float]:
    return {"received_bytes": megabits * crowd.MBIT * 5, "seconds": 5.0, "loop_delay_p99_ms": late_ms, "cpu_s": 1.0}


@pytest.mark.parametrize(
    ("ends", "late_ms"),
    [
        ((an_end(100, 5), an_end(100, 49)), 49),
        ((an_end(95, 5), an_end(100, 5)), 5),
        ((an_end(94, 5), an_end(106, 5)), None),  # one way has less than 95 %
        ((an_end(100, 5), an_end(100, 50)), None),  # the other loop is late
        ((an_end(0, 1), an_end(0, 1)), None),
    ],
)
def test_a_load_holds_if_it_arrives_both_ways_and_no_loop_is_late(monkeypatch, ends, late_ms) -> None:
    one = crowd.Crowd.__new__(crowd.Crowd)
    one._engine = "webrtc"
    monkeypatch.setattr(crowd.Crowd, "run", lambda *_: list(ends))
    assert one.late_ms_at(100, 5.0, 1.0) == late_ms


@pytest.mark.parametrize("engine", crowd.ENGINES)
def test_every_line_can_fail(engine: str) -> None:
    bounds = crowd.BOUNDS[engine]
    good = crowd.Found(200, crowd.Held(bounds.peers, 49.0), crowd.Held(bounds.rate_mbit, 49.0), 0.4)
    assert all(claim.holds for claim in crowd.claims_of(engine, 200, good))
    bad = crowd.Found(199, crowd.Held(bounds.peers - 1, 51.0), crowd.Held(bounds.rate_mbit * 0.99, 51.0), 0.6)
    assert not any(claim.holds for claim in crowd.claims_of(engine, 200, bad))
    nothing = crowd.claims_of(engine, 200, crowd.Found(200))
    assert [claim.figure for claim in nothing if "holds for" in claim.claim] == [0.0, 0.0]
    assert not any(claim.holds for claim in nothing if "holds for" in claim.claim)
    assert all(claim.holds is None for claim in crowd.claims_of(engine, 200, crowd.Found()))
    assert all(claim.holds for claim in crowd.claims_apart(200, crowd.Held(crowd.APART_MBIT, 19.0)))
    assert not any(claim.holds for claim in crowd.claims_apart(200, crowd.Held(crowd.APART_MBIT * 0.9, 21.0)))
    assert crowd.claims_apart(200, None)[0].holds is False
