"""The light model: near the full one where both can be asked, and plain about what it does not know."""

from __future__ import annotations

import msgspec
import pytest

from shoal.balancer.errors import ConfigurationError
from shoal.balancer.sim.light import light
from shoal.balancer.sim.policies import POLICIES, played
from shoal.balancer.sim.scenario import Behaviour, CdnSpec, Fault, FaultKind, Scenario
from shoal.balancer.sim.scenarios import crowd, hostile, live, traced, vod
from shoal.balancer.sim.world import run

SECOND = 1_000_000


@pytest.mark.parametrize("seed", [1, 2])
def test_it_comes_near_the_full_model(seed: int) -> None:
    scenario = crowd(seed, 150)
    full, like = run(scenario, "shoal", POLICIES["shoal"]), light(scenario)
    assert abs(like.offload - full.offload) < 0.1
    assert abs(like.cdn_peak_bytes_per_s / full.cdn_peak_bytes_per_s - 1) < 0.35
    assert abs(like.startup_s - full.startup_s) < 0.2
    assert like.stall_s == full.stall_s == 0
    assert abs(like.bitrate / full.bitrate - 1) < 0.05


def test_every_viewer_has_every_byte_once_from_somebody() -> None:
    scenario = crowd(3, 60)
    size = scenario.stream.size_bytes(0)
    outcome = light(scenario)
    for viewer in outcome.viewers:
        came = viewer.cdn_bytes + viewer.peer_bytes
        assert viewer.delivered_bytes <= came <= viewer.requests * size
        assert came - viewer.delivered_bytes < 3 * size  # what is ahead of the player
    assert sum(v.sent_bytes for v in outcome.viewers) == sum(v.peer_bytes for v in outcome.viewers) > 0
    assert outcome.cdn_bytes == {"a": sum(v.cdn_bytes for v in outcome.viewers)}


def test_without_a_swarm_all_comes_from_the_cdn() -> None:
    outcome = light(msgspec.structs.replace(crowd(1, 20), swarm=False))
    assert outcome.offload == 0
    assert outcome.stall_s == 0


def test_lines_that_carry_less_than_is_played_stall_it() -> None:
    scenario = crowd(1, 5)
    slow = tuple(msgspec.structs.replace(viewer, down=200_000.0) for viewer in scenario.viewers)
    assert light(msgspec.structs.replace(scenario, viewers=slow, swarm=False)).stall_s > 10


def test_a_scenario_gives_the_same_again() -> None:
    assert msgspec.json.encode(light(crowd(5, 40))) == msgspec.json.encode(played(crowd(5, 40), "light"))


def faulty() -> Scenario:
    fault = Fault(FaultKind.HANG, 0, SECOND)
    return msgspec.structs.replace(live(1, 2), cdns=(CdnSpec(name="a", faults=(fault,)),))


def dishonest() -> Scenario:
    scenario = live(1, 2)
    liar = msgspec.structs.replace(scenario.viewers[0], behaviour=Behaviour.LIAR)
    return msgspec.structs.replace(scenario, viewers=(liar, scenario.viewers[1]))


@pytest.mark.parametrize(
    ("scenario", "what"),
    [
        (vod(1, 2), "not live"),
        (traced(1, 2), "several renditions, several CDNs, faults"),
        (hostile(1, 50), "not honest"),
        (faulty(), "faults of a CDN"),
        (dishonest(), "not honest"),
    ],
)
def test_what_it_does_not_know_is_said(scenario: Scenario, what: str) -> None:
    with pytest.raises(ConfigurationError, match=what):
        light(scenario)
