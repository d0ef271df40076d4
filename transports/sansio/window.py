"""How many bytes may be under way to one peer: enough for its path, and no queue that others would wait in.

    sent(byte_count, under_way)                  handed to the network, and so much is under way with it
    held_back()                                  more was there to be sent, and the window did not let it
    round_trip(rtt_us, now_us)                   an acknowledgement came; True when a round is over, and then:
    round_over(unacknowledged_bytes, now_us)     the window is judged anew
    window_bytes                                 what may be unacknowledged at once
    refill_bytes                                 below which the next message may be handed over

All beyond rate times round trip waits somewhere, and so does the next request.  So the window is moved to where the
queue takes `queue_us`, by what the queue takes now (FAST TCP; Wei, Jin, Low and Hegde, IEEE/ACM Trans. Networking
14(6), 2006):

    window * (base + queue_us) / standing           on a path of more than 32 ms with an eighth of the base

`base` is the shortest round trip of the last ten seconds, and `standing` the shortest of the round (as in Copa; Arun
and Balakrishnan, NSDI 2018), of those that left in it.  A queue of ours delays every packet, while the wait for a core,
at either end or in between, spares some: what is over in less than a round is none of the window's business.  Judged by
the mean, or by what came in a round trip, a busy machine looks like a full queue, and the window shrinks until it is
what limits the rate.

To begin with the window is twice what was under way, until the queue stands.  It never falls below what the highest
rate of late has under way without any queue.  The base is measured again every ten seconds behind the smallest window,
since by then it may be another path, or one with our own queue always in it (BBR's PROBE_RTT; Cardwell et al., ACM
Queue 14(5), 2016).

This only ever lowers what congestion control (RFC 9260, 7.2) would allow; loss is its business.
"""

from __future__ import annotations

from collections import deque

__all__ = ["CreditWindow"]

# A round is a round trip, and at least so long.  To begin with it is what the event loop needs to show anything; then
# several of the slices that a scheduler gives out (3 to 4 ms), so that some packet has found all it needed at work.
_STARTING_ROUND_US = 10_000
_ROUND_US = 50_000
_STARTING_SAMPLES = 2  # acknowledgements in a round, at least: they are few at first, and come close together
_SAMPLES = 4  # the shortest of fewer says little
_ROUNDS = 8  # of which the highest rate counts: half a second, which is longer than the waits for a core
_CHANGE_MAX = 2.0  # in one round, each way
_GROWS = 1.25  # at least, where there is no queue at all: without it, a window of a tenth grows for seconds at 100 ms
_QUEUED_ROUNDS = 2  # that end the start: one may be the wait for a core, since it has few acknowledgements
_AIM_OF_BASE = 8  # on a long path the queue may take that part of the base, where jitter is more than `queue_us`
_NEAR_US = 1_000  # as short as the base, which need not be measured again then
_PROBE_EVERY_US = 10_000_000
_PROBE_US_MIN = 200_000  # both of BBR: 2 % of the time at less than the full rate


class CreditWindow:
    """The window of one association."""

    def __init__(
        self, *, bytes_min: int = 64 * 1024, bytes_max: int = 4 * 1024 * 1024 - 256 * 1024, queue_us: int = 4_000
    ) -> None:
        """`bytes_min`: below it Python's pace of acknowledging costs rate (measured without delay).

        `bytes_max`: 4 MiB a peer is what we let it cost us, less what waits before the window; it is 30 MB/s over
        120 ms.  `queue_us`: a request waits for the queue, for the message under way, and on a busy machine for a core
        at each end: where six processes share two, 21 ms with a queue of 8 ms and 14 with 4, at 24 and 20 MB/s.
        """
        self.window_bytes = bytes_min
        self._bytes_min = bytes_min
        self._bytes_max = bytes_max
        self._queue_us = queue_us
        self._sent_bytes = 0
        self._base_us: int | None = None  # the shortest since the last probe
        self._standing_us: int | None = None  # the shortest of this round
        self._samples = 0  # of this round
        self._was_held_back = False  # in this round
        self._peak_bytes = 0  # under way in this round
        self._rates: deque[float] = deque(maxlen=_ROUNDS)  # bytes per microsecond
        self._round_began_us: int | None = None
        self._round_delivered = 0
        self._starting = True
        self._queued_rounds = 0  # while starting, in a row
        self._base_at_us = 0  # when the base was last seen
        self._probe_ends_us: int | None = None
        self._before_probe = bytes_min

    @property
    def refill_bytes(self) -> int:
        """Below so much under way, the next message may follow: the path stays full, and half the queue is ours."""
        if self._base_us is None or self.window_bytes <= self._bytes_min:
            return self._bytes_min // 2
        aim_us = self._aim_us(self._base_us)
        ours = self.window_bytes * aim_us // (2 * (self._base_us + aim_us))
        return max(self._bytes_min // 2, self.window_bytes - ours)

    @property
    def rtt_us(self) -> int | None:
        """The shortest round trip of late; None before the first."""
        return self._base_us

    def _aim_us(self, base_us: int) -> int:
        return max(self._queue_us, base_us // _AIM_OF_BASE)

    def sent(self, byte_count: int, under_way: int) -> None:
        self._sent_bytes += byte_count
        self._peak_bytes = max(self._peak_bytes, under_way)

    def held_back(self) -> None:
        self._was_held_back = True

    def round_trip(self, rtt_us: int, now_us: int) -> bool:
        """Take in one round trip; True when a round is over and `round_over` is due."""
        if self._base_us is None or rtt_us < self._base_us:
            self._base_us = rtt_us
        if rtt_us <= self._base_us + _NEAR_US:
            self._base_at_us = now_us
        if self._round_began_us is None:
            self._round_began_us = now_us
            return False
        since_us = now_us - self._round_began_us
        if rtt_us > since_us:
            return False  # it left under the window before
        self._samples += 1
        if self._standing_us is None or rtt_us < self._standing_us:
            self._standing_us = rtt_us
        if self._starting:
            return self._samples >= _STARTING_SAMPLES and since_us >= _STARTING_ROUND_US
        return self._samples >= _SAMPLES and since_us >= _ROUND_US

    def round_over(self, unacknowledged_bytes: int, now_us: int) -> None:
        """Judge the round: how long its queue stood, and so how large the window is in the next."""
        assert self._round_began_us is not None
        assert self._standing_us is not None
        delivered = self._sent_bytes - unacknowledged_bytes
        rate = (delivered - self._round_delivered) / max(1, now_us - self._round_began_us)
        standing_us, was_held_back, peak_bytes = self._standing_us, self._was_held_back, self._peak_bytes
        self._round_began_us, self._round_delivered = now_us, delivered
        self._standing_us, self._samples, self._was_held_back, self._peak_bytes = None, 0, False, unacknowledged_bytes
        if self._probe_ends_us is not None:
            if now_us >= self._probe_ends_us:
                self._probe_ends_us, self._base_at_us = None, now_us
                self.window_bytes = self._before_probe
            return
        self._rates.append(rate)
        if now_us - self._base_at_us >= _PROBE_EVERY_US:
            self._probe(now_us)
        else:
            self._resize(standing_us, peak_bytes, was_held_back=was_held_back)

    def _probe(self, now_us: int) -> None:
        assert self._base_us is not None
        self._probe_ends_us = now_us + max(_PROBE_US_MIN, 2 * self._base_us)
        self._base_us = None
        self._before_probe, self.window_bytes = self.window_bytes, self._bytes_min

    def _resize(self, standing_us: int, peak_bytes: int, *, was_held_back: bool) -> None:
        assert self._base_us is not None
        aim_us = self._aim_us(self._base_us)
        queue_us = standing_us - self._base_us
        self._queued_rounds = self._queued_rounds + 1 if queue_us > aim_us else 0
        self._starting = self._starting and self._queued_rounds < _QUEUED_ROUNDS
        change = max(1 / _CHANGE_MAX, (self._base_us + aim_us) / standing_us)
        if self._starting:
            wanted = self.window_bytes if self._queued_rounds else max(self.window_bytes, _CHANGE_MAX * peak_bytes)
        elif change < 1:
            wanted = min(self.window_bytes, peak_bytes) * change
        elif not was_held_back:
            return  # there was not enough to send, or congestion control held us back: no measure of the path
        else:
            wanted = self.window_bytes * min(_CHANGE_MAX, max(change, _GROWS if queue_us < aim_us // 2 else 1))
        without_queue = max(self._rates) * self._base_us
        self.window_bytes = max(self._bytes_min, min(self._bytes_max, int(max(wanted, without_queue))))
