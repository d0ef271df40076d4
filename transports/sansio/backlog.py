"""How much may wait in a browser's channel: enough to keep it busy, and no queue that a small message waits behind.

    sent(byte_count)                      handed to the channel
    full(buffered_bytes, now_us)          it has what it may have, and more is there to send
    room(buffered_bytes, now_us)          it has sent down to the low mark: the marks are judged anew
    high_bytes, low_bytes                 hand over up to the one, and again below the other

What a page has given to its channel cannot be overtaken any more, and the page is told late of room: it may be
painting, or in the middle of a slice.  So the marks are a time, not a size: what the channel sends in `hold_us`, by the
rate of late, and half of that is left when it asks for more.  A fast path then never runs dry, and on a slow one a
request is not behind a megabyte.

The rate is that of whole tenths of a second in which there was more to send: a page that was busy hears of all that
left meanwhile at once, and the moment after that says nothing.
"""

from __future__ import annotations

__all__ = ["Backlog"]

_MEASURE_US_MIN = 100_000


class Backlog:
    """The marks of one channel."""

    def __init__(
        self,
        *,
        bytes_first: int = 128 * 1024,
        bytes_min: int = 32 * 1024,
        bytes_max: int = 1024 * 1024,
        hold_us: int = 40_000,
    ) -> None:
        """`hold_us`: half of it is a frame of the page and a slice of ours, after which it hears of room at the latest.

        `bytes_first`: until the rate is known, two of the largest messages.  `bytes_min`: half of one, so that a slow
        path has one under way and none behind it.  `bytes_max`: `hold_us` at 26 MB/s, twice what a browser was seen to
        send, and a quarter of the 4 MiB that a peer may cost.
        """
        self.bytes_max = bytes_max
        self._bytes_min = bytes_min
        self._hold_us = hold_us
        self._rate: float | None = None  # bytes per microsecond
        self._measured_bytes = 0
        self._measured_us = 0
        self._sent_bytes = 0
        self._since: tuple[int, int] | None = None  # when it was full, and how much had left the page by then
        self.high_bytes = bytes_first

    @property
    def low_bytes(self) -> int:
        return self.high_bytes // 2

    def sent(self, byte_count: int) -> None:
        self._sent_bytes += byte_count

    def full(self, buffered_bytes: int, now_us: int) -> None:
        if self._since is None:
            self._since = now_us, self._sent_bytes - buffered_bytes

    def room(self, buffered_bytes: int, now_us: int) -> None:
        """Does nothing unless it was full: a channel that waited for us says nothing about its path."""
        if self._since is None:
            return
        began_us, left_then = self._since
        self._since = None
        self._measured_us += now_us - began_us
        self._measured_bytes += self._sent_bytes - buffered_bytes - left_then
        if self._measured_us < _MEASURE_US_MIN:
            return
        rate = self._measured_bytes / self._measured_us
        self._measured_bytes = self._measured_us = 0
        # Half by half: one time that the page was busy does not shrink it to nothing, and a path that has become slow
        # is noticed after a few.
        self._rate = rate if self._rate is None else (self._rate + rate) / 2
        self.high_bytes = max(self._bytes_min, min(self.bytes_max, int(self._rate * self._hold_us)))
