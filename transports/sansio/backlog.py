"""How much may wait in a browser's channel: enough to keep it busy, and no queue that a small message waits behind.

    sent(byte_count)                      handed to the channel
    full(buffered_bytes, now_us)          it has what it may have, and more is there to send
    room(buffered_bytes, now_us)          it has sent down to the low mark: the marks are judged anew
    high_bytes, low_bytes                 hand over up to the one, and again below the other

What a page has given to its channel cannot be overtaken any more, and the page is told late of room: it may be
painting, or in the middle of a slice.  So the marks are a time, not a size: what the channel sends in a hold, by the
rate of late, and half of that is left when it asks for more.  A fast path then never runs dry, and on a slow one a
request is not behind a megabyte.

How late a page hears of room is its own, and its machine's: two milliseconds where nothing else goes on, fifty where
ten programs want the processor.  So the hold is short, and grows when the channel had run dry by the time we heard,
and shrinks again slowly.  Until the rate is known, the marks themselves grow then, as a connection starts.

The rate is that of whole tenths of a second in which there was more to send: a page that was busy hears of all that
left meanwhile at once, and the moment after that says nothing.  A channel that ran dry could have sent more, so that
rate counts only where it is the higher one; else a page that is always late would shrink the marks, and they the rate.
"""

from __future__ import annotations

__all__ = ["Backlog"]

_MEASURE_US_MIN = 100_000
_GROWN = 3, 2  # a page that is twice as late as before is met after two times
_SHRUNK = 31, 32  # of each tenth of a second: half of it after two seconds without running dry


class Backlog:
    """The marks of one channel."""

    def __init__(
        self,
        *,
        bytes_first: int = 128 * 1024,
        bytes_min: int = 32 * 1024,
        bytes_max: int = 1024 * 1024,
        hold_us_min: int = 12_000,
        hold_us_max: int = 160_000,
    ) -> None:
        """`hold_us_min`: half of it is a slice of ours (4 ms) and some short tasks, after which a page that has nothing
        else to do hears of room.  With 20 ms a small message behind bulk came little sooner than behind a megabyte,
        since a fast path sends that in 30.
        `hold_us_max`: half of it is longer than most tasks of a busy page, and a request waits no longer for that.

        `bytes_first`: until the rate is known, two of the largest messages.  `bytes_min`: half of one, so that a slow
        path has one under way and none behind it.  `bytes_max`: 30 ms of the 35 MB/s that a browser was seen to send,
        and a quarter of the 4 MiB that a peer may cost.
        """
        self.bytes_max = bytes_max
        self._bytes_min = bytes_min
        self._hold_us = self._hold_us_min = hold_us_min
        self._hold_us_max = hold_us_max
        self._rate: float | None = None  # bytes per microsecond
        self._measured_bytes = 0
        self._measured_us = 0
        self._was_dry = False  # within what is measured
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
        if buffered_bytes == 0:
            self._ran_dry()
        if self._measured_us >= _MEASURE_US_MIN:
            self._judge(self._measured_bytes / self._measured_us)

    def _ran_dry(self) -> None:
        self._was_dry = True
        grown, of = _GROWN
        self._hold_us = min(self._hold_us_max, self._hold_us * grown // of)
        if self._rate is None:
            self.high_bytes = min(self.bytes_max, self.high_bytes * 2)
        else:
            self._mark(self._rate)

    def _judge(self, rate: float) -> None:
        if self._rate is None:
            pass
        elif self._was_dry:
            rate = max(rate, self._rate)
        else:
            # Half by half: one odd time does little, and a path that has become slow is noticed after a few.
            rate = (self._rate + rate) / 2
        if not self._was_dry:
            shrunk, of = _SHRUNK
            self._hold_us = max(self._hold_us_min, self._hold_us * shrunk // of)
        self._measured_bytes = self._measured_us = 0
        self._was_dry = False
        self._mark(rate)

    def _mark(self, rate: float) -> None:
        self._rate = rate
        self.high_bytes = max(self._bytes_min, min(self.bytes_max, int(rate * self._hold_us)))
