"""How many bytes may be under way to one peer: enough for its path, and no queue that others would wait in.

    sent(byte_count)                             handed to the network
    round_trip(rtt_us, now_us)                   an acknowledgement came; True about once a round trip, and then:
    round_over(unacknowledged_bytes, now_us)     the window is judged anew
    window_bytes                                 what may be unacknowledged at once
    refill_bytes                                 below which the next message may be handed over

A window of rate times round trip fills the path; all beyond it waits somewhere, and so does the next request.  So
the window is the highest rate of the last rounds, times the shortest round trip plus a queue that we allow on purpose
(`queue_us`).  Until the rate stops growing it is twice that (the start-up of BBR; Cardwell et al., ACM Queue 14(5),
2016, and draft-cardwell-iccrg-bbr).  The shortest round trip is measured again every ten seconds behind the smallest
window, since by then it may be another path, or one with our own queue always in it.

This only ever lowers what congestion control (RFC 9260, 7.2) would allow; loss is its business.
"""

from __future__ import annotations

from collections import deque

__all__ = ["CreditWindow"]

_ROUND_US_MIN = 10_000  # a rate over less than that is what the event loop happened to do
_ROUNDS = 8  # of which the highest rate counts: longer than a pause of our own, shorter than a viewer's patience
_GROWS = 1.25  # start-up ends when the rate grew by less than this ...
_GROWS_ROUNDS = 3  # ... for so many rounds
_PROBE_EVERY_US = 10_000_000
_PROBE_US_MIN = 200_000  # both of BBR: 2 % of the time at less than the full rate


class CreditWindow:
    """The window of one association."""

    def __init__(
        self, *, bytes_min: int = 64 * 1024, bytes_max: int = 4 * 1024 * 1024 - 256 * 1024, queue_us: int = 10_000
    ) -> None:
        """`bytes_min`: below it Python's pace of acknowledging costs rate (measured without delay).

        `bytes_max`: 4 MiB a peer is what we let it cost us, less what waits before the window; it is 30 MB/s over
        120 ms.  `queue_us`: half of the 20 ms that a request may wait.
        """
        self.window_bytes = bytes_min
        self._bytes_min = bytes_min
        self._bytes_max = bytes_max
        self._queue_us = queue_us
        self._sent_bytes = 0
        self._rtt_us: int | None = None  # the shortest since the last probe
        self._rates: deque[float] = deque(maxlen=_ROUNDS)  # bytes per microsecond
        self._round_began_us: int | None = None
        self._round_delivered = 0
        self._starting = True
        self._highest = 0.0
        self._rounds_flat = 0
        self._probe_at_us: int | None = None
        self._probe_ends_us: int | None = None

    @property
    def refill_bytes(self) -> int:
        """Below so much under way, the next message may follow: the path stays full, and half the queue is ours."""
        if self.window_bytes <= self._bytes_min:
            return self._bytes_min // 2
        rate = max(self._rates, default=0.0)
        return max(self._bytes_min // 2, self.window_bytes - int(rate * self._queue_us) // 2)

    @property
    def rtt_us(self) -> int | None:
        """The shortest round trip of late; None before the first."""
        return self._rtt_us

    def sent(self, byte_count: int) -> None:
        self._sent_bytes += byte_count

    def round_trip(self, rtt_us: int, now_us: int) -> bool:
        """Take in one round trip; True when a round is over and `round_over` is due."""
        if self._rtt_us is None or rtt_us < self._rtt_us:
            self._rtt_us = rtt_us
        if self._round_began_us is None:
            self._round_began_us = now_us
            self._probe_at_us = now_us + _PROBE_EVERY_US
            return False
        return now_us - self._round_began_us >= max(_ROUND_US_MIN, self._rtt_us)

    def round_over(self, unacknowledged_bytes: int, now_us: int) -> None:
        """Judge the round: what was delivered in it, and so how large the window is in the next."""
        assert self._round_began_us is not None
        delivered = self._sent_bytes - unacknowledged_bytes
        elapsed_us = now_us - self._round_began_us
        rate = (delivered - self._round_delivered) / elapsed_us
        self._round_began_us, self._round_delivered = now_us, delivered
        if self._probe_ends_us is not None:
            if now_us < self._probe_ends_us:
                return
            self._probe_ends_us, self._probe_at_us = None, now_us + _PROBE_EVERY_US
        elif unacknowledged_bytes < self.window_bytes // 2 and rate < max(self._rates, default=0.0):
            return  # there was not enough to send, or congestion control held us back: no measure of the path
        else:
            self._rates.append(rate)
            self._judge_start(rate)
        self._resize(now_us)

    def _judge_start(self, rate: float) -> None:
        if rate >= self._highest * _GROWS:
            self._highest, self._rounds_flat = rate, 0
        else:
            self._rounds_flat += 1
            if self._rounds_flat >= _GROWS_ROUNDS:
                self._starting = False

    def _resize(self, now_us: int) -> None:
        assert self._rtt_us is not None
        if self._probe_at_us is not None and now_us >= self._probe_at_us and self.window_bytes > self._bytes_min:
            self._probe_ends_us = now_us + max(_PROBE_US_MIN, 2 * self._rtt_us)
            self._rtt_us = None
            self.window_bytes = self._bytes_min
            return
        path_us = self._rtt_us * (2 if self._starting else 1.25)
        wanted = int(max(self._rates, default=0.0) * (path_us + self._queue_us))
        self.window_bytes = max(self._bytes_min, min(self._bytes_max, wanted))
