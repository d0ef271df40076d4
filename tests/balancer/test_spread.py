"""Whose turn it is, and how long a CDN can wait."""

from __future__ import annotations

from shoal.balancer.availability import Availability
from shoal.balancer.config import BalancerConfig
from shoal.balancer.model import Kind, ResourceKey
from shoal.balancer.spread import Spread

SECOND = 1_000_000


def viewers(*names: str) -> list[Spread]:
    """One for each name; all know each other."""
    made = []
    for seed, own in enumerate(names):
        availability = Availability()
        spread = Spread(BalancerConfig(), seed, availability)
        for other in names:
            if other != own:
                availability.join(other, 0)
                availability.announce(other, frozenset(), frozenset())
                spread.met(0, own)
        made.append(spread)
    return made


def test_viewers_that_know_each_other_take_turns_one_after_the_other():
    turn_us = BalancerConfig().spread_turn_us
    for number in range(20):
        key = ResourceKey(0, Kind.MEDIA, number)
        turns = sorted(spread.turn_us(key, 0) for spread in viewers("a", "b", "c", "d"))
        assert turns == [0, turn_us, 2 * turn_us, 3 * turn_us]


def test_turns_are_shared_out_evenly():
    firsts = [0, 0, 0, 0]
    for number in range(400):
        key = ResourceKey(0, Kind.MEDIA, number)
        turns = [spread.turn_us(key, 0) for spread in viewers("a", "b", "c", "d")]
        firsts[turns.index(0)] += 1
    assert all(70 < first < 130 for first in firsts)


def test_a_turn_is_counted_from_when_the_segment_was_first_seen():
    spread = viewers("a", "b")[0]
    key = ResourceKey(0, Kind.MEDIA, 1)
    first_us = spread.turn_us(key, SECOND)
    assert spread.turn_us(key, 9 * SECOND) == first_us
    spread.forget(key)
    assert spread.turn_us(key, 9 * SECOND) == first_us + 8 * SECOND


def test_a_swarm_is_hoped_for_until_its_grace_is_over():
    config = BalancerConfig()
    spread = Spread(config, 0, Availability())
    assert not spread.hopes(0, 0)
    spread.joined(0, SECOND)
    assert spread.hopes(0, SECOND)
    assert not spread.hopes(0, SECOND + config.swarm_grace_us)


def test_the_last_safe_moment_leaves_time_for_two_tries_that_are_late():
    spread = Spread(BalancerConfig(miss_share=0.0001), 0, Availability())  # ten deviations each
    assert spread.safe_us(SECOND // 10, 0.5) == 2 * 6 * SECOND // 10
    assert spread.safe_us(SECOND // 100, 0.0) == 310_000  # a silent first one is left after 300 ms
    assert spread.safe_us(10 * SECOND, 0.5) == BalancerConfig().cdn_prefetch_deadline_us


def test_what_left_the_window_without_being_wanted_is_forgotten():
    (spread,) = viewers("a")
    for number in range(1000):
        window = {ResourceKey(0, Kind.MEDIA, number + ahead): None for ahead in range(8)}
        for key in window:
            spread.turn_us(key, number)
        spread.keep(window)
    first = ResourceKey(0, Kind.MEDIA, 0)
    spread.met(0, "a")
    spread.joined(0, 0)
    assert spread.turn_us(first, 5_000_000) >= 3_000_000  # seen anew
