"""A player: asks for segments in order, plays what it has, and counts what it waited.

It knows nothing of sources.  The same one, with the same choice of bitrates, is put
before every policy that is compared:

    next_segment(now_us)       the segment to ask for now, or None
    delivered(segment, ...)    it is there
    runs_dry_us()              when the picture will stop unless more comes
    tick(now_us)               time passes; call it at that moment, and before any look

Bitrates are chosen by throughput, the harmonic mean of the last five segments and
four fifths of it (as FESTIVE, Jiang et al., 2012, without its gradual switching).
"""

from __future__ import annotations

from ..bandwidth import total
from .scenario import StreamSpec

__all__ = ["Player"]

_SAMPLES = 5
_SHARE = 0.8  # of the measured throughput
_RESUME_SEGMENTS = 1  # after a stall, as hls.js


class Player:
    __slots__ = (
        "_buffer_us",
        "_duration_us",
        "_head_us",
        "_length_us",
        "_media_end_us",
        "_rates",
        "_stream",
        "_ticked_us",
        "has_begun",
        "is_playing",
        "paused_until_us",
        "played_us",
        "position",
        "rendition",
        "stall_us",
        "stalls",
        "waiting",
    )

    def __init__(self, stream: StreamSpec, buffer_us: int) -> None:
        self._stream = stream
        self._duration_us = stream.duration_us
        self._length_us = stream.segments * stream.duration_us
        self._buffer_us = buffer_us
        self.position: int | None = None  # the segment to ask for next
        self.rendition = 0
        self.waiting: tuple[int, int] | None = None  # rendition and number asked for
        self._media_end_us = 0  # on the timeline: what is buffered without a gap
        self._head_us = 0
        self._ticked_us = 0
        self.is_playing = False
        self.paused_until_us = 0
        self.has_begun = False
        self.stall_us = self.stalls = self.played_us = 0
        self._rates: list[float] = []

    def start(self, segment: int, now_us: int) -> None:
        """Begin there, or go there (a seek)."""
        self.tick(now_us)
        self.position = segment
        self.waiting = None
        self._head_us = self._media_end_us = segment * self._duration_us
        self.is_playing = False

    def buffered_us(self) -> int:
        return self._media_end_us - self._head_us

    def left_us(self, now_us: int) -> int:
        """What it has buffered now, 0 while it waits for its first or next segment; changes nothing."""
        if not self.is_playing:
            return 0
        return max(0, self.buffered_us() - max(0, now_us - max(self._ticked_us, self.paused_until_us)))

    def has_played_all(self, now_us: int) -> bool:
        """Whether the stream's end is reached; changes nothing."""
        return self._media_end_us - self.left_us(now_us) >= self._length_us

    def next_segment(self, available: int) -> tuple[int, int] | None:
        """Rendition and number to ask for now; `available` is one more than the newest that exists."""
        if self.position is None or self.waiting is not None or self.position >= available:
            return None
        if self.buffered_us() + self._duration_us > self._buffer_us:
            return None
        self.waiting = (self.rendition, self.position)
        return self.waiting

    def room_us(self) -> int:
        """How long it plays until it has room to ask again."""
        return max(0, self.buffered_us() + self._duration_us - self._buffer_us)

    def delivered(self, now_us: int, bytes_per_s: float) -> None:
        """What was asked for is there; the line was seen to carry so much."""
        assert self.waiting is not None
        assert self.position is not None
        self.tick(now_us)
        self.waiting = None
        self.position += 1
        self._media_end_us += self._duration_us
        self._rates = [*self._rates, max(1.0, bytes_per_s * 8)][-_SAMPLES:]
        mean = len(self._rates) / total([1.0 / rate for rate in self._rates])
        self.rendition = 0
        for place, rate in enumerate(self._stream.bitrates):
            if rate <= mean * _SHARE:
                self.rendition = place
        if not self.is_playing and self.buffered_us() >= _RESUME_SEGMENTS * self._duration_us:
            self.is_playing = self.has_begun = True

    def pause(self, now_us: int, until_us: int) -> None:
        self.tick(now_us)
        self.paused_until_us = until_us

    def runs_dry_us(self) -> int | None:
        if not self.is_playing:
            return None
        return max(self._ticked_us, self.paused_until_us) + self.buffered_us()

    def tick(self, now_us: int) -> None:
        from_us = self._ticked_us
        self._ticked_us = now_us
        if self.is_playing:
            from_us = min(now_us, max(from_us, self.paused_until_us))
            played = min(now_us - from_us, self.buffered_us())
            self._head_us += played
            self.played_us += played
            if self.buffered_us() == 0 and self._head_us < self._length_us:
                self.is_playing = False
                self.stalls += 1
                self.stall_us += now_us - from_us - played
        elif self.has_begun and self._head_us < self._length_us:
            self.stall_us += now_us - from_us
