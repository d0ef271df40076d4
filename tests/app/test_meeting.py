"""Many clients of one tracker, in virtual time and any order: who links to whom."""

import random
from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.app.tracker_core import TrackerCore, TrackerLimits
from shoal.transports.sansio.signaling import (
    AnnounceDue,
    AnswerReceived,
    LinkDropped,
    OfferReceived,
    SignalingEvent,
    SignalingLimits,
    TrackerClient,
    offer_id_of,
)

from ..effort import EFFORT

SWARM = "A" * 20
INTERVAL_S = 10


class Crowd:
    """Clients and a tracker with a queue in each direction.

    A link opens when the side that offered has taken the answer while the side
    that answered still works on it; each side hears of it at its own time.
    """

    def __init__(self, count: int, seed: int) -> None:
        self.random = random.Random(seed)
        self.now_us = 0
        limits = TrackerLimits(interval_s=INTERVAL_S, messages_per_second_max=1000, messages_burst=1000)
        self.tracker = TrackerCore(self.random, limits)
        self.clients = [
            TrackerClient(
                SWARM,
                f"{place:020}",
                SignalingLimits(incoming_offers_per_second_max=1000),
                chance=self.random.random,
            )
            for place in range(count)
        ]
        self.queues: dict[tuple[str, int], deque[str]] = {(way, n): deque() for way in "ud" for n in range(count)}
        self.attempts: dict[tuple[int, int], set[str]] = {}  # (who, with whom) -> offer ids it works on
        self.open: dict[tuple[int, int], str] = {}  # (who, with whom) -> offer id of the channel it keeps

    def meet(self) -> None:
        for place, client in enumerate(self.clients):
            self.tracker.opened(place, f"192.0.2.{place}")
            self.follow(place, client.connected(self.now_us))
        self.settle()

    def next_interval(self) -> None:
        self.now_us += INTERVAL_S * 1_000_000
        for place, client in enumerate(self.clients):
            self.follow(place, client.tick(self.now_us))
        self.settle()

    def settle(self) -> None:
        """Deliver everything, one message at a time from a queue drawn at random."""
        while waiting := [key for key, queue in self.queues.items() if queue]:
            way, place = self.random.choice(waiting)
            text = self.queues[way, place].popleft()
            if way == "u":
                for to, relayed in self.tracker.receive(place, text, self.now_us):
                    self.queues["d", to].append(relayed)
            else:
                self.follow(place, self.clients[place].receive(text, self.now_us))
        self.connect()

    def follow(self, place: int, events: list[SignalingEvent]) -> None:
        client = self.clients[place]
        for event in events:
            match event:
                case AnnounceDue(offer_count):
                    offers = {offer_id_of(self.random.randbytes(20)): "v=0" for _ in range(offer_count)}
                    self.queues["u", place].append(client.announce(offers, self.now_us))
                case OfferReceived(peer_id, offer_id, _):
                    self.attempts.setdefault((place, int(peer_id)), set()).add(offer_id)
                    text = client.answer(peer_id, offer_id, "v=0")
                    assert text is not None
                    self.queues["u", place].append(text)
                case AnswerReceived(peer_id, offer_id, _):
                    self.attempts.setdefault((place, int(peer_id)), set()).add(offer_id)
                case LinkDropped(peer_id, offer_id, _):
                    self.attempts[place, int(peer_id)].discard(offer_id)

    def connect(self) -> None:
        found = [(one, other, offer_id) for (one, other), ids in self.attempts.items() for offer_id in ids]
        self.random.shuffle(found)
        for one, other, offer_id in found:
            opens = offer_id in self.attempts.get((other, one), set())
            if opens and self.clients[one].link_opened(f"{other:020}", offer_id, self.now_us):
                self.open[one, other] = offer_id


@settings(max_examples=40 * EFFORT, deadline=None)
@given(st.integers(2, 8), st.integers(0, 2**32))
def test_whoever_tries_is_linked_and_agrees_on_the_one_channel(count: int, seed: int) -> None:
    crowd = Crowd(count, seed)
    crowd.meet()
    for _ in range(3):
        assert crowd.open
        assert set(crowd.open) == {pair for pair, offer_ids in crowd.attempts.items() if offer_ids}
        for (one, other), offer_id in crowd.open.items():
            assert crowd.open.get((other, one)) == offer_id
        crowd.next_interval()


def test_a_small_swarm_is_fully_linked_after_a_few_intervals() -> None:
    crowd = Crowd(8, seed=3)
    crowd.meet()
    for _ in range(4):
        crowd.next_interval()
    assert len(crowd.open) == 8 * 7
