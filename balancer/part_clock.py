"""When the parts of a low-latency stream play, read off the requests for them.

A player asks for one part after another, each as soon as it is listed, and keeps three of
them or more before it shows them (PART-HOLD-BACK; rfc8216bis, 4.4.3.8).  The clock is that
of windows.py, and nothing is wanted ahead of it:

    the first part that is asked for plays when it is delivered
    a later one is due as much later as it starts later on the timeline
    one asked for or delivered after that made the player wait: what follows is due later too
    a request elsewhere is a seek, and all starts anew

A player that begins with some parts in hand plays them later than that, so a deadline is
never later than the player's own.
"""

from __future__ import annotations

from .model import ResourceKey, Segment

__all__ = ["PartClock"]

_STEP_MAX = 2  # parts; a request this near is no seek (players skip a gap)


class PartClock:
    """The parts that one rendition's playlist lists now, and the playback clock over them."""

    def __init__(self) -> None:
        self._parts: dict[ResourceKey, Segment] = {}
        self._newest: Segment | None = None  # latest requested
        self._origin_us: int | None = None  # clock time at which the timeline's 0 plays

    def replace(self, parts: dict[ResourceKey, Segment]) -> None:
        """The playlist lists these now."""
        self._parts = parts

    @property
    def is_any(self) -> bool:
        return bool(self._parts)

    def find(self, key: ResourceKey) -> Segment | None:
        return self._parts.get(key)

    def requested(self, key: ResourceKey, now_us: int) -> None:
        """The player asks for it now."""
        part, before = self._parts.get(key), self._newest
        if part is None:
            return
        if before is not None:
            step_us = part.start_us - before.start_us
            if not 0 <= step_us <= _STEP_MAX * max(part.duration_us, before.duration_us):
                self._origin_us = None
        self._newest = part
        self._not_before(part, now_us)

    def delivered(self, key: ResourceKey, now_us: int) -> None:
        """A requested part is there."""
        part = self._parts.get(key)
        if part is None:
            return
        if self._origin_us is None:
            self._origin_us = now_us - part.start_us
        self._not_before(part, now_us)

    def deadline_us(self, key: ResourceKey) -> int | None:
        """When it starts to play; None while nothing plays, and for what is not listed."""
        part = self._parts.get(key)
        return None if part is None or self._origin_us is None else self._origin_us + part.start_us

    def _not_before(self, part: Segment, now_us: int) -> None:
        if self._origin_us is not None:
            self._origin_us = max(self._origin_us, now_us - part.start_us)
