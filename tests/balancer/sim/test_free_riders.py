"""What three free riders in ten cost the others, on lines whose uploads are scarce."""

from __future__ import annotations

import msgspec

from shoal.balancer.sim.outcome import Outcome
from shoal.balancer.sim.policies import POLICIES
from shoal.balancer.sim.scenario import Behaviour, Scenario, StreamSpec, ViewerSpec
from shoal.balancer.sim.world import World, run

SECOND = 1_000_000
VIEWERS = 20
UP = 0.3e6  # 2.4 Mbit/s: hardly more than the stream takes


def swarm(*, riders: bool, chokes: bool) -> Scenario:
    """Every second to fourth of ten viewers rides free, or is not there."""

    def is_rider(place: int) -> bool:
        return place % 10 in {2, 5, 8}

    viewers = [
        ViewerSpec(
            arrives_us=place * SECOND,
            up=UP,
            down=5e6,
            behaviour=Behaviour.FREE_RIDER if is_rider(place) else Behaviour.HONEST,
        )
        for place in range(VIEWERS)
        if riders or not is_rider(place)
    ]
    return Scenario(
        name="riders",
        viewers=tuple(viewers),
        stream=StreamSpec(segments=40),
        chokes=chokes,
        length_us=(VIEWERS + 100) * SECOND,
    )


def offload_of_the_honest(scenario: Scenario) -> tuple[float, float]:
    outcome: Outcome = run(scenario, "shoal", POLICIES["shoal"])
    honest = [
        viewer
        for viewer, spec in zip(outcome.viewers, scenario.viewers, strict=True)
        if spec.behaviour is Behaviour.HONEST
    ]
    offload = sum(v.peer_bytes for v in honest) / sum(v.peer_bytes + v.cdn_bytes for v in honest)
    return offload, sum(v.stall_us for v in honest) / SECOND


def test_three_free_riders_in_ten_cost_the_others_at_most_a_tenth_of_what_they_have_alone() -> None:
    alone, alone_stall_s = offload_of_the_honest(swarm(riders=False, chokes=True))
    beside, stall_s = offload_of_the_honest(swarm(riders=True, chokes=True))
    serving_all, _ = offload_of_the_honest(swarm(riders=True, chokes=False))
    assert alone > 0.5
    assert beside >= 0.9 * alone
    assert stall_s <= alone_stall_s + 0.5  # of all together
    assert serving_all < beside  # it is choking that does it


def test_where_lines_are_idle_free_riders_are_served() -> None:
    scenario = swarm(riders=True, chokes=True)
    wide = msgspec.structs.replace(
        scenario, viewers=tuple(msgspec.structs.replace(viewer, up=12.5e6) for viewer in scenario.viewers)
    )
    outcome = run(wide, "shoal", POLICIES["shoal"])
    riders = [
        viewer
        for viewer, spec in zip(outcome.viewers, wide.viewers, strict=True)
        if spec.behaviour is Behaviour.FREE_RIDER
    ]
    assert sum(v.peer_bytes for v in riders) > 0.5 * sum(v.delivered_bytes for v in riders)


def test_who_does_not_give_what_it_announced_is_counted_as_refusing() -> None:
    viewers = (ViewerSpec(behaviour=Behaviour.LIAR), *(ViewerSpec(arrives_us=place * SECOND) for place in range(1, 6)))
    world = World(Scenario(name="liar", viewers=viewers), POLICIES["shoal"])
    world.run()
    heard = [viewer.choking._accounts.get("v0.0") for viewer in world.viewers[1:]]
    assert any(account is not None and account.refusals for account in heard)
