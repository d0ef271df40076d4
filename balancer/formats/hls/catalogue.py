"""Media playlists to the resources that the balancer delivers.

    Catalogue(rendition).update(playlist) -> Resources        for each load of a live playlist
    resources(playlist, rendition)        -> Resources        for one load

Numbers: a media segment has its place in the playlist for VOD and its media
sequence number for live, which are the ids that peers use.  Initialization
sections, keys and parts have running numbers; the same URI and range has the same
number for as long as the catalogue remembers it (`NAMES_MAX`), and so has what a
segment of the last load goes with when its URI has but another query now: servers
that sign URLs renew them with each load (rfc8216bis 6.2.1: what a segment is does
not change).  Of a part it is the URI and where it begins: a hint, which says no more
of it, has the number already that the part will have, whatever the query of either.

Times: `start_us` begins at 0 with the first segment ever seen, and is the same
for a segment in every load.  Where a live playlist jumped past segments that were
never seen, each is taken to be as long as the target duration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import msgspec

from shoal.balancer.model import ByteRange, Kind, ResourceKey, Segment

from .playlist import MediaPlaylist, MediaSegment, Part

__all__ = ["Catalogue", "Resources", "resources"]

# Remembered besides those of the playlist at hand.  A key for each 6 s segment makes
# 600 an hour; a player comes back for one within its buffer, seconds to minutes long.
# Parts are listed for three target durations, and asked for while they are.
NAMES_MAX = 1024


# The init section and keys that a segment goes with, each without its query, and its number; _SEVERAL where that is not
# one, whose queries are then what tells them apart.
_Others = dict[tuple[Kind, str], int]
_SEVERAL = -1
_NO_OTHERS: _Others = {}


# The segment that a part is of, or will be, and its URI without its query and where it begins: likewise.
_Parts = dict[tuple[int, str], int]


class _Place(NamedTuple):
    """Where a segment begins, what it went with in the last load, and what it goes with: filled as that is noted."""

    start_us: int
    before: _Others
    others: _Others


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """All that one media playlist names, in its order, without gaps."""

    media: tuple[Segment, ...] = ()
    inits: tuple[Segment, ...] = ()
    keys: tuple[Segment, ...] = ()  # only http(s): nobody can fetch skd: or data:
    parts: tuple[Segment, ...] = ()  # of segments and of what follows them
    hinted: tuple[Segment, ...] = ()  # parts that are not there yet; their ranges have no length
    is_restarted: bool = False  # numbers now mean other segments than before; what is held under them is void


class _Known(msgspec.Struct, frozen=True):
    """A segment of the last load."""

    identity: str
    start_us: int
    others: _Others


class Catalogue:
    """The numbers and times of one rendition over all loads of its playlist.  Linear in the playlist, each load."""

    def __init__(self, rendition: int) -> None:
        self.rendition = rendition
        self._was_live = False
        self._names: dict[tuple[Kind, str, ByteRange | None], int] = {}  # the least recently listed first
        self._next_number = {Kind.INIT: 0, Kind.KEY: 0, Kind.PART: 0}
        self._known: dict[int, _Known] = {}  # by number
        self._parts: _Parts = {}  # and hints, of the last load
        self._end = (0, 0)  # number and start_us that would follow it

    def update(self, playlist: MediaPlaylist) -> Resources:
        """The resources of this load, which replaces the one before."""
        # When a live stream ends, its segments keep the numbers that peers and players know them by.
        self._was_live = self._was_live or playlist.is_live
        numbered = [(segment.sequence if self._was_live else segment.place, segment) for segment in playlist.segments]
        is_restarted = self._is_restarted(numbered)
        start_us = self._start_us(numbered, playlist.target_duration_us, is_restarted=is_restarted)
        known: dict[int, _Known] = {}
        media: list[Segment] = []
        inits: dict[int, Segment] = {}
        keys: dict[int, Segment] = {}
        parts: dict[int, Segment] = {}
        named: _Parts = {}
        if is_restarted:
            self._parts = {}
        for number, segment in numbered:
            before = None if is_restarted else self._known.get(number)
            others: _Others = {}
            self._note_parts(number, segment.parts, start_us, parts, named)
            if not segment.is_gap:
                media.append(
                    Segment(
                        key=ResourceKey(self.rendition, Kind.MEDIA, number),
                        uri=segment.uri,
                        byte_range=segment.byte_range,
                        start_us=start_us,
                        duration_us=segment.duration_us,
                    )
                )
                place = _Place(start_us, _NO_OTHERS if before is None else before.others, others)
                self._note_others(segment, place, inits, keys)
            known[number] = _Known(_identity(segment), start_us, others)
            start_us += segment.duration_us
        if numbered:  # an empty load says nothing of those that follow
            self._known = known
            self._end = (numbered[-1][0] + 1, start_us)
        coming = numbered[-1][0] + 1 if numbered else playlist.media_sequence
        self._note_parts(coming, playlist.parts, start_us, parts, named)
        start_us += sum(part.duration_us for part in playlist.parts)
        hinted = self._hinted(coming, playlist, start_us, parts, named)
        self._parts = named
        self._forget(len(inits) + len(keys) + len(parts) + len(hinted))
        return Resources(
            media=tuple(media),
            inits=tuple(inits.values()),
            keys=tuple(keys.values()),
            parts=tuple(parts.values()),
            hinted=hinted,
            is_restarted=is_restarted,
        )

    def slide(self, cut: int, segments: Sequence[MediaSegment]) -> tuple[Segment, ...]:
        """As `update`, of a load whose first `cut` segments went and which has these behind the others; theirs.

        They have the init section and the keys of those before them, and are no gaps.  Cost: what went and what came.
        """
        number, start_us = self._end
        others = self._known[number - 1].others
        for gone in [*islice(self._known, cut)]:
            del self._known[gone]
        media: list[Segment] = []
        for segment in segments:
            assert segment.sequence == number, f"segment {segment.sequence} does not follow {number - 1}"
            self._known[number] = _Known(_identity(segment), start_us, others)
            key = ResourceKey(self.rendition, Kind.MEDIA, number)
            media.append(Segment(key=key, uri=segment.uri, start_us=start_us, duration_us=segment.duration_us))
            number, start_us = number + 1, start_us + segment.duration_us
        self._end = (number, start_us)
        return tuple(media)

    def _is_restarted(self, numbered: list[tuple[int, MediaSegment]]) -> bool:
        """Whether a number that was in the last load has another segment now, or all numbers lie before it."""
        if not self._known or not numbered:
            return False
        if numbered[-1][0] < min(self._known):
            return True
        return any(
            number in self._known and self._known[number].identity != _identity(segment) for number, segment in numbered
        )

    def _start_us(
        self, numbered: list[tuple[int, MediaSegment]], target_duration_us: int, *, is_restarted: bool
    ) -> int:
        """Where the first segment of this load begins."""
        if not numbered or not self._known or is_restarted:
            return self._end[1]
        first = numbered[0][0]
        if first in self._known:
            return self._known[first].start_us
        return self._end[1] + max(0, first - self._end[0]) * target_duration_us

    def _note_others(
        self, segment: MediaSegment, place: _Place, inits: dict[int, Segment], keys: dict[int, Segment]
    ) -> None:
        if segment.map is not None:
            self._note(Kind.INIT, segment.map.uri, segment.map.byte_range, place, inits)
        for key in segment.keys:
            if key.uri.startswith(("http://", "https://")):
                self._note(Kind.KEY, key.uri, None, place, keys)

    def _note_parts(
        self, of: int, parts: Sequence[Part], start_us: int, noted: dict[int, Segment], named: _Parts
    ) -> None:
        for part in parts:
            if not part.is_gap:
                number = self._part_number(of, part.uri, _beginning(part.byte_range), noted, named)
                noted[number] = Segment(
                    key=ResourceKey(self.rendition, Kind.PART, number),
                    uri=part.uri,
                    byte_range=part.byte_range,
                    start_us=start_us,
                    duration_us=part.duration_us,
                )
            start_us += part.duration_us

    def _hinted(
        self, of: int, playlist: MediaPlaylist, start_us: int, parts: dict[int, Segment], named: _Parts
    ) -> tuple[Segment, ...]:
        hinted: dict[int, Segment] = {}
        for hint in playlist.preload_hints:
            if hint.type == "PART":
                begin = _beginning(ByteRange(hint.first_byte, 0))
                number = self._part_number(of, hint.uri, begin, parts | hinted, named)
                key = ResourceKey(self.rendition, Kind.PART, number)
                hinted[number] = Segment(key=key, uri=hint.uri, byte_range=begin, start_us=start_us)
        return tuple(hint for number, hint in hinted.items() if number not in parts)

    def _part_number(
        self, of: int, uri: str, begin: ByteRange | None, noted: Mapping[int, Segment], named: _Parts
    ) -> int:
        """Its number: that of its name, else of what the same segment had in the last load under another query."""
        stays = (of, _without_query(uri, begin))
        renewed = self._parts.get(stays, _SEVERAL)
        number = self._number(Kind.PART, uri, begin, None if renewed == _SEVERAL else renewed)
        if number in noted and noted[number].uri != uri:  # this load has both names: to a player they are two
            del self._names[Kind.PART, uri, begin]
            number = self._number(Kind.PART, uri, begin)
        named[stays] = number if named.get(stays, number) == number else _SEVERAL
        return number

    def _number(self, kind: Kind, uri: str, byte_range: ByteRange | None, renewed: int | None = None) -> int:
        """The running number of this name, which is now the most recently listed one; `renewed` if the name is new."""
        name = (kind, uri, byte_range)
        number = self._names.pop(name, renewed)
        if number is None:
            number = self._next_number[kind]
            self._next_number[kind] += 1
        self._names[name] = number
        return number

    def _note(
        self, kind: Kind, uri: str, byte_range: ByteRange | None, place: _Place, noted: dict[int, Segment]
    ) -> None:
        stays = (kind, _without_query(uri, byte_range))
        renewed = place.before.get(stays, _SEVERAL)
        number = self._number(kind, uri, byte_range, None if renewed == _SEVERAL else renewed)
        if number in noted and noted[number].uri != uri:  # this load has both names: to a player they are two
            del self._names[kind, uri, byte_range]
            number = self._number(kind, uri, byte_range)
        place.others[stays] = number if place.others.get(stays, number) == number else _SEVERAL
        if number not in noted:
            key = ResourceKey(self.rendition, kind, number)
            noted[number] = Segment(key=key, uri=uri, byte_range=byte_range, start_us=place.start_us)

    def _forget(self, listed_count: int) -> None:
        for name in list(self._names)[: max(0, len(self._names) - listed_count - NAMES_MAX)]:
            del self._names[name]


def _beginning(byte_range: ByteRange | None) -> ByteRange | None:
    """What a hint and its part have in common."""
    return ByteRange(byte_range.offset, 0) if byte_range is not None and byte_range.offset else None


def _identity(segment: MediaSegment) -> str:
    """What stays the same of a segment from load to load."""
    return _without_query(segment.uri, segment.byte_range)


def _without_query(uri: str, part: ByteRange | None) -> str:
    """The query may be a new signature each time."""
    uri = uri.partition("?")[0]
    return uri if part is None else f"{uri}@{part.offset}+{part.length}"


def resources(playlist: MediaPlaylist, rendition: int) -> Resources:
    """The resources of a playlist that is loaded once; of a live one, keep a Catalogue instead."""
    return Catalogue(rendition).update(playlist)
