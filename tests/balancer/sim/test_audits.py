"""Swarms without hashes, some of whose viewers send other bytes: what audits find, and what they cost."""

from __future__ import annotations

import pytest

from shoal.balancer.audit import SHARE_MAX, detection
from shoal.balancer.sim.outcome import Outcome
from shoal.balancer.sim.policies import POLICIES
from shoal.balancer.sim.scenario import Behaviour, Scenario, ViewerSpec
from shoal.balancer.sim.scenarios import vod
from shoal.balancer.sim.world import run

SECOND = 1_000_000
VIEWERS = 12


def swarm(seed: int, *, polluters: int, changed_share: float) -> Scenario:
    """The VOD without hashes; polluters are there before anybody else."""

    def viewer(place: int) -> ViewerSpec:
        if place < polluters:
            return ViewerSpec(behaviour=Behaviour.POLLUTER, changed_share=changed_share)
        return ViewerSpec(arrives_us=place * 2 * SECOND)

    return Scenario(
        name="unhashed",
        seed=seed,
        hashes=False,
        viewers=tuple(viewer(place) for place in range(VIEWERS)),
        length_us=vod(seed, VIEWERS).length_us,
    )


def play(scenario: Scenario) -> Outcome:
    return run(scenario, "shoal", POLICIES["shoal"])


def cost(outcome: Outcome) -> float:
    """Bytes of CDNs, heads included, of those of peers that were audited for them."""
    audited = sum(viewer.audited_bytes for viewer in outcome.viewers)
    return sum(viewer.audit_bytes for viewer in outcome.viewers) / max(1, audited)


@pytest.mark.parametrize("seed", range(2))
def test_polluters_of_whole_segments_get_no_byte_through_and_are_found_by_everybody(seed: int) -> None:
    outcome = play(swarm(seed, polluters=2, changed_share=1.0))
    assert outcome.wrong_bytes == 0
    assert outcome.stall_s == 0
    assert outcome.offload >= 0.6
    assert 0 < cost(outcome) <= SHARE_MAX
    assert sum(viewer.caught for viewer in outcome.viewers[2:]) > 0


def test_without_polluters_an_audited_swarm_shares_about_what_a_hashed_one_does() -> None:
    audited, hashed = play(swarm(0, polluters=0, changed_share=0.0)), run(vod(0, VIEWERS), "shoal", POLICIES["shoal"])
    assert audited.offload >= hashed.offload - 0.05
    assert audited.stall_s == 0
    assert sum(viewer.caught for viewer in audited.viewers) == 0
    assert cost(audited) <= SHARE_MAX


@pytest.mark.parametrize("changed_share", [0.5, 0.1])
def test_of_segments_changed_in_part_no_more_pass_than_stated(changed_share: float) -> None:
    """Each audit of a changed segment finds it with at least the stated chance, wherever the segment came from."""
    passed = caught = 0
    for seed in range(3):
        outcome = play(swarm(seed, polluters=2, changed_share=changed_share))
        passed += sum(viewer.missed for viewer in outcome.viewers)
        caught += sum(viewer.caught for viewer in outcome.viewers)
    looked_at, stated = passed + caught, detection(changed_share, 4)
    assert looked_at >= 50
    # Four standard deviations of a binomial; the seeds are fixed, so that it holds always or never.
    assert caught / looked_at >= stated - 4 * (stated * (1 - stated) / looked_at) ** 0.5
