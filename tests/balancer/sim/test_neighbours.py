"""Whom viewers meet in a swarm of any size, and what is told to whom."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.config import BalancerConfig
from shoal.balancer.events import Action, Event, PeerAnnounced
from shoal.balancer.model import Kind, ResourceKey
from shoal.balancer.policy import Policy
from shoal.balancer.sim.members import Members
from shoal.balancer.sim.scenario import Scenario, StreamSpec, ViewerSpec
from shoal.balancer.sim.scenarios import SCENARIOS, live
from shoal.balancer.sim.world import World, run

SECOND = 1_000_000


def members(*places: int) -> Members:
    found = Members()
    for place in places:
        found.join(viewer(place))
    return found


def viewer(place: int) -> Any:
    return SimpleNamespace(place=place)


def places(found: list[Any]) -> list[int]:
    return [one.place for one in found]


@given(st.integers(0, 200), st.integers(1, 30), st.integers(0, 1000))
def test_some_members_are_drawn_each_once_and_of_a_small_swarm_all(size: int, most: int, seed: int) -> None:
    drawn = places(members(*range(size)).some(most, seed))
    assert len(set(drawn)) == len(drawn)
    assert set(drawn) <= set(range(size))
    assert len(drawn) <= most
    if size <= most:
        assert len(drawn) == size
    elif size >= 2 * most:
        assert len(drawn) == most


def test_others_draw_others() -> None:
    swarm = members(*range(1000))
    assert places(swarm.some(10, 1, 5)) == places(swarm.some(10, 1, 5))
    assert places(swarm.some(10, 1, 5)) != places(swarm.some(10, 1, 6))


@given(st.lists(st.integers(0, 9)))
def test_who_has_left_is_not_drawn_and_everybody_else_is(leaving: list[int]) -> None:
    swarm = members(*range(10))
    for place in leaving:
        swarm.leave(viewer_of(swarm, place))
    assert sorted(places(swarm.some(10, 1))) == [place for place in range(10) if place not in leaving]


def viewer_of(swarm: Members, place: int) -> Any:
    return next((one for one in swarm.some(10, 1) if one.place == place), viewer(place))


def heard(
    scenario: Scenario, until_us: int, look: Callable[[World], object] = lambda _: None
) -> list[tuple[int, PeerAnnounced]]:
    """Every announcement that anybody hears, with who hears it; `look` once a second."""
    found: list[tuple[int, PeerAnnounced]] = []

    class Hearing(Policy):
        def __init__(self, place: int) -> None:
            super().__init__(BalancerConfig(), place)
            self.place = place

        def handle(self, event: Event, now_us: int) -> list[Action]:
            if isinstance(event, PeerAnnounced):
                found.append((self.place, event))
            return super().handle(event, now_us)

    world = World(scenario, lambda _, place: Hearing(place))
    world.run(look=lambda: look(world))
    assert world.now_us >= until_us
    return found


def test_nothing_is_told_to_anybody_twice() -> None:
    scenario = Scenario(
        name="few",
        stream=StreamSpec(segments=10),
        viewers=tuple(ViewerSpec(arrives_us=place * SECOND) for place in range(4)),
        length_us=40 * SECOND,
    )
    last: dict[tuple[int, str], PeerAnnounced] = {}
    told = heard(scenario, 40 * SECOND)
    for place, event in told:
        assert last.get((place, event.peer)) != event
        last[place, event.peer] = event
    assert len(last) == 4 * 3
    assert all(event.held == frozenset(range(10)) for event in last.values())


def test_who_comes_while_news_is_on_its_way_takes_it_from_nobody() -> None:
    """News waits 50 ms for more; who is met meanwhile is told at once, and all others when the time has come."""
    scenario = Scenario(
        name="late",
        stream=StreamSpec(segments=1000),
        viewers=(ViewerSpec(), ViewerSpec(), ViewerSpec(arrives_us=4_500_000)),  # takes a second to connect
        length_us=6 * SECOND,
    )

    def meet_meanwhile(world: World) -> None:
        if world.now_us == 5 * SECOND:
            neighbours = world.viewers[0].neighbours
            neighbours.hold(ResourceKey(0, Kind.MEDIA, 999))
            neighbours.connect(world.viewers[2], 0)

    last = {event.peer: event for place, event in heard(scenario, 6 * SECOND, meet_meanwhile) if place == 1}
    assert 999 in last["v0.0"].held


class Eager(Policy):
    """Hears every announcement at once, since the simulator cannot know what a class of its own makes of it."""


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_what_waits_unread_changes_nothing(scenario: str) -> None:
    """A segment is announced while others look for it, while they have it, and by peers that lack what they say."""
    played = SCENARIOS[scenario](7, 12)
    eager = run(played, "shoal", lambda _, place: Eager(BalancerConfig(), place))
    lazy = run(played, "shoal", lambda _, place: Policy(BalancerConfig(), place))
    assert msgspec.json.encode(lazy) == msgspec.json.encode(eager)


def test_of_a_live_stream_no_more_is_told_than_the_playlist_names_and_what_has_just_left_it() -> None:
    told = heard(live(1, 3), 120 * SECOND)
    assert max(len(event.held) for _, event in told) <= StreamSpec().window + 3
    assert max(max(event.held, default=0) for _, event in told) > 40
