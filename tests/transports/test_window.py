"""The credit window finds rate times round trip, keeps the queue short, and never leaves its bounds."""

from __future__ import annotations

import heapq
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.transports.sansio.window import CreditWindow

PACKET = 1200


class Path:
    """A sender that always has bytes, before a path of one rate and one round trip; in virtual time.

    `works_us` and `pauses_us`: how long what brings acknowledgements works, and then waits for a core.
    """

    def __init__(self, bytes_per_ms: int, rtt_us: int, *, works_us: int = 1, pauses_us: int = 0) -> None:
        self.window = CreditWindow()
        self.works_us = works_us
        self.pauses_us = pauses_us
        self.us_per_packet = PACKET * 1000 / bytes_per_ms
        self.rtt_us = rtt_us
        self.now_us = 0
        self.free_at_us = 0.0
        self.in_flight = 0
        self.delivered = 0
        self._acks: list[tuple[float, int, int]] = []
        self._order = itertools.count()

    def run(self, seconds: float) -> None:
        end_us = self.now_us + int(seconds * 1e6)
        while self.now_us < end_us:
            while self.in_flight + PACKET <= self.window.window_bytes:
                self.free_at_us = max(self.free_at_us, self.now_us) + self.us_per_packet
                heapq.heappush(self._acks, (self.free_at_us + self.rtt_us, next(self._order), self.now_us))
                self.in_flight += PACKET
                self.window.sent(PACKET, self.in_flight)
            if self.in_flight > self.window.refill_bytes:
                self.window.held_back()
            arrives, _, left_us = heapq.heappop(self._acks)
            self.now_us = max(self.now_us, self._handled_us(int(arrives)))
            self.in_flight -= PACKET
            self.delivered += PACKET
            if self.window.round_trip(self.now_us - left_us, self.now_us):
                self.window.round_over(self.in_flight, self.now_us)

    def _handled_us(self, arrives_us: int) -> int:
        cycle_us = self.works_us + self.pauses_us
        into_us = arrives_us % cycle_us
        return arrives_us if into_us < self.works_us else arrives_us - into_us + cycle_us

    @property
    def queue_us(self) -> float:
        return max(0.0, self.free_at_us - self.now_us)


@pytest.mark.parametrize("bytes_per_ms", [500, 5_000, 20_000])
@pytest.mark.parametrize("rtt_us", [200, 20_000, 100_000])
def test_the_path_is_full_and_its_queue_short(bytes_per_ms, rtt_us):
    path = Path(bytes_per_ms, rtt_us)
    path.run(2)
    before = path.delivered
    queues = []
    for _ in range(50):
        path.run(0.1)
        queues.append(path.queue_us)
    assert path.delivered - before >= 0.95 * 5000 * bytes_per_ms
    smallest_us = 64 * 1024 * 1000 / bytes_per_ms  # what the least window makes wait
    assert sorted(queues)[25] <= max(smallest_us, 0.3 * rtt_us + 15_000)


@pytest.mark.parametrize("pauses_us", [4_000, 12_000, 24_000])
@pytest.mark.parametrize("rtt_us", [300, 20_000, 100_000])
def test_the_wait_for_a_core_is_not_taken_for_a_queue(rtt_us, pauses_us):
    path = Path(20_000, rtt_us, works_us=4_000, pauses_us=pauses_us)
    path.run(2)
    before = path.delivered
    path.run(4)
    # What is acknowledged in bursts needs that much more under way, and beyond the window that is allowed no more.
    fills = 20_000 * min(1.0, (rtt_us + 8_000) / (rtt_us + pauses_us))
    assert path.delivered - before >= 0.8 * 4000 * fills


def test_a_sender_that_has_little_to_say_does_not_open_its_window():
    window = CreditWindow()
    for now_us in range(0, 3_000_000, 5_000):
        window.sent(1_000, 1_000)
        if window.round_trip(1_000, now_us):
            window.round_over(0, now_us)
    assert window.window_bytes == 64 * 1024


def test_a_path_that_became_slower_is_followed():
    path = Path(20_000, 20_000)
    path.run(3)
    path.us_per_packet *= 10
    path.run(3)
    assert path.window.window_bytes <= 2 * (2_000 * (20 * 1.25 + 10)) + 64 * 1024


def test_the_shortest_round_trip_is_measured_again():
    path = Path(5_000, 50_000)
    path.run(2)
    path.rtt_us = 100_000  # another path
    path.run(25)
    before = path.delivered
    path.run(5)
    assert path.delivered - before >= 0.9 * 5000 * 5_000


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.integers(1, 5_000_000), st.integers(0, 3_000_000), st.integers(0, 8_000_000)),
        max_size=60,
    )
)
def test_whatever_is_measured_it_stays_within_its_bounds(samples):
    window = CreditWindow()
    now_us = sent = 0
    for rtt_us, elapsed_us, more in samples:
        now_us += elapsed_us
        sent += more
        window.sent(more, sent)
        if window.round_trip(rtt_us, now_us):
            window.round_over(min(sent, window.window_bytes), now_us)
        assert 64 * 1024 <= window.window_bytes <= 4 * 1024 * 1024 - 256 * 1024
        assert 32 * 1024 <= window.refill_bytes <= window.window_bytes
