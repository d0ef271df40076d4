"""What the decision keeps between events is what it would find if it looked anew."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.availability import Availability
from shoal.balancer.bandwidth import Estimate
from shoal.balancer.config import BalancerConfig
from shoal.balancer.mixing import mix, text_number
from shoal.balancer.model import Kind, ResourceKey, Segment
from shoal.balancer.peer_choice import InTime, Peer, best_peer
from shoal.balancer.spread import Spread
from shoal.balancer.windows import Timeline

CONFIG = BalancerConfig()
NAMES = ("a", "b", "c", "d", "e")

swarm_steps = st.lists(
    st.one_of(
        st.tuples(st.just("join"), st.sampled_from(NAMES), st.sampled_from((0, 1))),
        st.tuples(st.just("leave"), st.sampled_from(NAMES)),
        st.tuples(st.just("announce"), st.sampled_from(NAMES), st.just(frozenset()), st.just(frozenset())),
        st.tuples(st.just("forget"), st.integers(0, 2)),
        st.tuples(st.just("met"), st.sampled_from(("", "own", "a"))),
    ),
    max_size=40,
)


@given(swarm_steps)
def test_a_turn_is_the_one_that_is_counted_among_all_peers_that_are_known_now(steps):
    availability, seed, mine = Availability(), 7, 7
    spread = Spread(CONFIG, seed, availability)
    for name, *values in steps:
        if name == "forget":
            spread.forget(key(*values))
        elif name == "met":
            spread.met(0, *values)
            mine = text_number(*values) if values[0] else mine
        else:
            getattr(availability, name)(*values)
        known = availability.known_peers(0)
        for number in range(3):
            before = [peer for peer in known if mix(text_number(peer), 0, number) < mix(mine, 0, number)]
            assert spread.turn_us(key(number), 0) == len(before) * CONFIG.spread_turn_us


class Named(InTime):
    """In time are those of these names."""

    def __init__(self, names):
        super().__init__(CONFIG)
        self.names = names

    def holds(self, peer):
        return peer.name in self.names


peers = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.integers(0, 2), st.booleans()), max_size=12
)  # on probation, measured, last used, fits


@given(peers, st.integers(0, 3), st.integers(0, 3))
def test_the_best_peer_is_the_least_of_all_that_fit(given_peers, number, seed):
    ready, fitting = [], []
    for place, (on_probation, is_measured, last_used, fits) in enumerate(given_peers):
        peer = Peer(f"p{place}", 0, None, None, estimate())
        peer.last_used = last_used
        if is_measured:
            peer.estimate.sample(1_000_000, 1_000_000, 0)
        ready.append((peer, on_probation))
        if fits:
            order = (on_probation, is_measured, last_used, mix(seed, text_number(peer.name), number))
            fitting.append((order, peer))
    names = {peer.name for _, peer in fitting}
    least = min(fitting, key=lambda one: one[0])[1] if fitting else None
    assert best_peer(ready, number, seed, Named(names)) is least


playlist_steps = st.lists(
    st.one_of(
        st.tuples(st.just("list"), st.integers(0, 6)),
        st.tuples(st.just("request"), st.integers(0, 12)),
        st.tuples(st.just("switch"), st.integers(0, 0)),
        st.tuples(st.just("take over"), st.integers(0, 0)),
    ),
    max_size=20,
)


@given(playlist_steps)
def test_the_window_ahead_is_the_one_after_the_newest_request_in_the_playlist_of_now(steps):
    timeline, other = Timeline(CONFIG), Timeline(CONFIG)
    for now_us, (name, number) in enumerate(steps):
        if name == "list":
            timeline.replace(tuple(segment(n) for n in range(number, number + 7)), is_live=True)
        elif name == "request":
            timeline.requested(segment(number).key, now_us)
        elif name == "switch":
            timeline.switched_away()
        else:
            timeline.take_over(other)
        newest = timeline.newest
        expected: tuple[Segment, ...] = ()
        if newest is not None and timeline.requested_us is not None:
            end_us = newest.start_us + newest.duration_us + CONFIG.prefetch_us
            later = [s for s in timeline.segments if s.key.number > newest.key.number]
            expected = tuple(s for s in later[: CONFIG.prefetch_segments] if s.start_us < end_us)
        assert timeline.ahead(now_us) == expected


playlists = st.lists(
    st.tuples(st.integers(0, 8), st.integers(0, 6), st.sampled_from([Kind.MEDIA, Kind.MEDIA, Kind.PART, Kind.INIT])),
    max_size=8,
)


@given(playlists)
def test_a_playlist_that_slides_on_is_what_it_would_be_read_anew(given_playlists):
    slid = Timeline(CONFIG)
    before: set[ResourceKey] = set()
    for first, count, last_kind in given_playlists:
        last = msgspec.structs.replace(segment(99), key=ResourceKey(0, last_kind, 99))
        listed = (*(segment(n) for n in range(first, first + count)), *([] if last_kind is Kind.MEDIA else [last]))
        gone = slid.replace(listed, is_live=True)
        anew = Timeline(CONFIG)
        anew.replace(listed, is_live=True)
        named = {s.key for s in anew.segments}
        assert set(gone) == before - named
        assert slid.segments == anew.segments
        for number in range(16):
            assert slid.find(key(number)) == anew.find(key(number))
            assert slid.key_of(number) == anew.key_of(number)
        assert slid.listed(last.key) == anew.listed(last.key)
        before = named


def key(number: int) -> ResourceKey:
    return ResourceKey(0, Kind.MEDIA, number)


def segment(number: int) -> Segment:
    return Segment(key=key(number), uri="", start_us=number * 2_000_000, duration_us=2_000_000)


def estimate() -> Estimate:
    return Estimate(fast_half_life_us=3_000_000, slow_half_life_us=9_000_000, error_half_life_us=60_000_000)
