"""Recorded access lines that are slow: who waits has the line, and peers and prefetches get what is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.balancer.sim.policies import POLICIES
from shoal.balancer.sim.scenarios import traced
from shoal.balancer.sim.traces import Trace, parse
from shoal.balancer.sim.world import run

TRACES = Path(__file__).parents[2] / "data" / "traces"
WITHOUT_PEERS = ("one-cdn", "round-robin", "best-score")
VIEWERS = 4


def recorded(folder: str) -> list[Trace]:
    return [parse(path.read_text(), name=path.name) for path in sorted((TRACES / folder).glob("*.txt"))]


@pytest.mark.parametrize("folder", ["fcc", "hsdpa3g"])
def test_peers_and_prefetches_do_not_stop_the_picture_on_a_slow_line(folder: str) -> None:
    scenario = traced(1, VIEWERS, recorded(folder))
    ours = run(scenario, "shoal", POLICIES["shoal"])
    references = [run(scenario, name, POLICIES[name]) for name in WITHOUT_PEERS]
    assert ours.stall_s <= min(other.stall_s for other in references) + 0.2  # a segment that a failing CDN began
    assert ours.startup_s <= min(other.startup_s for other in references) + 0.05
    assert ours.bitrate >= 0.95 * max(other.bitrate for other in references)
    assert ours.cost_per_gb < min(other.cost_per_gb for other in references)
    assert ours.wasted <= 0.05
    assert ours.offload > 0.05
