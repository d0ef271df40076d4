"""One rendition's segments, where its player is, and what it will want next.

Nobody tells where the playhead is; it is read off the requests:

    the first requested segment starts to play when it is delivered
    a later one is due as much later as it starts later on the timeline
    one delivered after that made the player wait: all that follows is due later too
    one requested after that was waited for by nobody: the player paused, or just
    ran dry; it idled before asking in the first case, and then has its usual buffer
    a request elsewhere is a seek, and all starts anew

So a deadline is never later than the player's own, except while it plays faster
than 1.0, which is noticed at its next late request.
"""

from __future__ import annotations

from .config import BalancerConfig
from .model import Kind, ResourceKey, Segment
from .part_clock import PartClock

__all__ = ["Timeline"]

_PART = Kind.PART  # asked for with every look
_STEP_MAX = 2  # segments; a request this near is no seek (players skip a gap, ask for two at once, or again)
_ELSEWHERE_SEGMENTS = 3  # of ours: players that fill picture and sound at once take turns more often than that
_IDLE_US = 1_000_000  # a player that asks this long after the last delivery had enough until then


class Timeline:
    """Segments of one rendition, in order, and the playback clock over them."""

    __slots__ = (
        "_config",
        "_delivered_us",
        "_elsewhere_us",
        "_first",
        "_keys",
        "_places",
        "_usual_lead_us",
        "_window",
        "is_live",
        "newest",
        "origin_us",
        "parts",
        "requested_us",
        "segments",
    )

    def __init__(self, config: BalancerConfig) -> None:
        self._config = config
        self.segments: tuple[Segment, ...] = ()
        self.parts = PartClock()
        self.is_live = False
        self._places: dict[ResourceKey, int] = {}  # in all that was listed; the first that is listed now has `_first`
        self._first = 0
        self._keys: dict[int, ResourceKey] = {}  # by number
        self.newest: Segment | None = None  # latest requested
        self._window: tuple[Segment, ...] | None = None  # after it; None when it is to be found anew
        self.requested_us: int | None = None
        self.origin_us: int | None = None  # clock time at which the timeline's 0 plays
        self._delivered_us: int | None = None
        self._usual_lead_us = 0
        # Per other rendition: playing time that was asked for there since the last request here.
        self._elsewhere_us: dict[int, int] = {}

    def replace(self, segments: tuple[Segment, ...], is_live: bool) -> list[ResourceKey]:
        """The playlist names these now; those that it names no more."""
        self.is_live = is_live
        self._window = None
        gone = self._slide(segments)
        if gone is not None:
            return gone
        before = self._places
        self.segments = tuple([s for s in segments if s.key.kind is Kind.MEDIA])
        self.parts.replace({s.key: s for s in segments if s.key.kind is _PART})
        self._first = 0
        self._places = {s.key: place for place, s in enumerate(self.segments)}
        self._keys = {key.number: key for key in self._places}
        return [key for key in before if key not in self._places]

    def _slide(self, segments: tuple[Segment, ...]) -> list[ResourceKey] | None:
        """Those that are named no more, where others follow what is named still; None if more than that has changed.

        Live playlists are read every few seconds, and some name hours: no more is done than for what is new.
        """
        place = self._places.get(segments[0].key) if segments else None
        if place is None or self.parts.is_any:
            return None
        dropped = place - self._first
        left = len(self.segments) - dropped
        if segments[:left] != self.segments[dropped:]:
            return None
        added = segments[left:]
        for segment in added:
            if segment.key.kind is not Kind.MEDIA or segment.key in self._places:
                return None
        gone = [segment.key for segment in self.segments[:dropped]]
        for key in gone:
            del self._places[key], self._keys[key.number]
        self._first = place
        place += left
        for segment in added:
            self._places[segment.key] = place
            self._keys[segment.key.number] = segment.key
            place += 1
        self.segments = segments
        return gone

    def is_hashed(self, key: ResourceKey) -> bool:
        segment = self.listed(key)
        return segment is not None and segment.is_hashed

    def listed(self, key: ResourceKey) -> Segment | None:
        """A segment or a part."""
        return self.parts.find(key) if key.kind is _PART else self.find(key)

    def find(self, key: ResourceKey) -> Segment | None:
        """A segment, which is what peers carry."""
        place = self._places.get(key)
        return None if place is None else self.segments[place - self._first]

    def key_of(self, number: int) -> ResourceKey | None:
        """The key of a segment that is in the playlist, so that none is made to look something up."""
        return self._keys.get(number)

    def requested(self, key: ResourceKey, now_us: int) -> None:
        """The player asks for it now."""
        segment = self.find(key)
        if segment is None:
            return
        self.requested_us = now_us
        self._elsewhere_us.clear()
        if self.newest is not None:
            step = key.number - self.newest.key.number
            if -_STEP_MAX <= step <= 0:
                return
            if not 0 < step <= _STEP_MAX:
                self.origin_us = None
        self.newest = segment
        self._window = None
        if self.origin_us is None:
            return
        idled = self._delivered_us is not None and now_us - self._delivered_us >= _IDLE_US
        lead_us = self.origin_us + segment.start_us - now_us
        if lead_us < 0:
            self.origin_us += (self._usual_lead_us if idled else 0) - lead_us
        elif idled:
            self._usual_lead_us = lead_us

    def part_requested(self, key: ResourceKey, now_us: int) -> None:
        """The player asks for a part: who reads a segment by its parts does not want it whole as well."""
        self.switched_away()
        self.parts.requested(key, now_us)

    def delivered(self, key: ResourceKey, now_us: int) -> None:
        """A requested segment or part is there."""
        if key.kind is _PART:
            self.parts.delivered(key, now_us)
            return
        segment = self.find(key)
        if segment is None:
            return
        self._delivered_us = now_us
        if self.origin_us is None or self.origin_us + segment.start_us < now_us:
            self.origin_us = now_us - segment.start_us

    def requested_elsewhere(self, segment: Segment) -> None:
        """The player asked for a segment of another rendition."""
        rendition = segment.key.rendition
        self._elsewhere_us[rendition] = self._elsewhere_us.get(rendition, 0) + segment.duration_us

    def switched_away(self) -> None:
        """The player gave up its newest request; until the next one nothing is wanted ahead."""
        self.requested_us = None

    def take_over(self, other: Timeline) -> None:
        """The player came here from `other`, whose timeline is the same."""
        self.origin_us = other.origin_us
        self.newest = self._window = None
        self._delivered_us = other._delivered_us
        self._usual_lead_us = other._usual_lead_us

    def is_active(self, now_us: int) -> bool:
        """Whether the player is still with this rendition."""
        if self.newest is None or self.requested_us is None:
            return False
        # A player that plays two renditions at once (picture and sound) asks for both in turn; one that only
        # looked in here (libav opens every variant) has gone on elsewhere.
        if self._elsewhere_us and max(self._elsewhere_us.values()) > _ELSEWHERE_SEGMENTS * self.newest.duration_us:
            return False
        # Three segments: a player with a full buffer asks once per segment.
        return now_us - self.requested_us <= max(self._config.rendition_idle_us, 3 * self.newest.duration_us)

    @property
    def is_left(self) -> bool:
        """Whether the player's newest request was for another rendition; it may come back, or play both."""
        return bool(self._elsewhere_us)

    def deadline_us(self, key: ResourceKey) -> int | None:
        """When it starts to play; None while nothing plays, and for what is not in the playlist."""
        if key.kind is _PART:
            return self.parts.deadline_us(key)
        segment = self.find(key)
        return None if segment is None else self.starts_us(segment)

    def starts_us(self, segment: Segment) -> int | None:
        """The same of a segment that is in the playlist."""
        return None if self.origin_us is None else self.origin_us + segment.start_us

    def ahead(self, now_us: int) -> tuple[Segment, ...]:
        """What will be asked for soon: the prefetch window after the newest request."""
        if not self.is_active(now_us) or self.newest is None:
            return ()
        if self._window is None:
            self._window = self._after(self.newest)
        return self._window

    def _after(self, newest: Segment) -> tuple[Segment, ...]:
        place = self._places.get(newest.key)
        if place is not None:
            place -= self._first
        else:  # the live window slid past it
            place = -1
            while place + 1 < len(self.segments) and self.segments[place + 1].key.number <= newest.key.number:
                place += 1
        end_us = newest.start_us + newest.duration_us + self._config.prefetch_us
        window = self.segments[place + 1 : place + 1 + self._config.prefetch_segments]
        return tuple([s for s in window if s.start_us < end_us])
