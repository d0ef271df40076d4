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
    """A sender that always has bytes, before a path of one rate and one round trip; in virtual time."""

    def __init__(self, bytes_per_ms: int, rtt_us: int) -> None:
        self.window = CreditWindow()
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
                self.window.sent(PACKET)
            arrives, _, left_us = heapq.heappop(self._acks)
            self.now_us = int(arrives)
            self.in_flight -= PACKET
            self.delivered += PACKET
            if self.window.round_trip(self.now_us - left_us, self.now_us):
                self.window.round_over(self.in_flight, self.now_us)

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
        window.sent(more)
        sent += more
        if window.round_trip(rtt_us, now_us):
            window.round_over(min(sent, window.window_bytes), now_us)
        assert 64 * 1024 <= window.window_bytes <= 4 * 1024 * 1024 - 256 * 1024
        assert 32 * 1024 <= window.refill_bytes <= window.window_bytes
