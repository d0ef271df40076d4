"""Peers behind NATs, in network namespaces; skipped where they cannot be made.  `make bench-nat` tries every pair."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("aiortc", reason="peers need WebRTC: pip install 'shoal[webrtc]'")

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import nat  # noqa: E402 - the folder of the benchmarks is no package
from nats.lab import Lab, missing  # noqa: E402

sys.path.remove(str(BENCHMARKS))

pytestmark = pytest.mark.real

PATIENT = {"timeout_s": 60}


@pytest.mark.parametrize(
    ("kinds", "options", "relayed"),
    [
        (("port", "port"), nat.STUN, False),
        (("symmetric", "port"), nat.WITH_RELAY, True),
    ],
    ids=["two homes that let in only whom they spoke to", "one whose port nobody can know, with a relay"],
)
def test_homes_meet_directly_where_they_can_and_else_by_a_relay(tmp_path, kinds, options, relayed):
    if what := missing():
        pytest.skip(what)
    with Lab(tmp_path) as lab:
        (found,) = nat.measure(lab, kinds, {**options, **PATIENT}, tries=1)
    assert (found["met"], found["relayed"], found["known_as_relayed"]) == (True, relayed, relayed)
