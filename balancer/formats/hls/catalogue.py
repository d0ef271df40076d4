"""Media playlists to the resources that the balancer delivers.

    Catalogue(rendition).update(playlist) -> Resources        for each load of a live playlist
    resources(playlist, rendition)        -> Resources        for one load

Numbers: a media segment has its place in the playlist for VOD and its media
sequence number for live, which are the ids that peers use.  Initialization
sections, keys and parts have running numbers; the same URI and range has the same
number for as long as it is remembered (naming.py), and so has what a segment of the
last load goes with when its URI has but another query now: servers that sign URLs
renew them with each load (rfc8216bis 6.2.1: what a segment is does not change).  Of a
part it is the URI and where it begins: a hint, which says no more of it, has the number
already that the part will have, whatever the query of either.

Times: `start_us` begins at 0 with the first segment ever seen, and is the same
for a segment in every load.  Where a live playlist jumped past segments that were
never seen, each is taken to be as long as the target duration.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from shoal.balancer.model import ByteRange, Kind, ResourceKey, Segment

from .naming import SEVERAL, Listed, Names
from .playlist import InitSection, Key, MediaPlaylist, MediaSegment, Part

__all__ = ["Catalogue", "Resources", "resources"]

# What a segment goes with, each without its query, and its number; SEVERAL where that is not one, whose queries are
# then what tells them apart.
_Others = dict[tuple[Kind, str], int]
_NO_OTHERS: _Others = {}
_NOT_NAMED: tuple[Listed, ...] = ()


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """All that one media playlist names, in its order, without gaps."""

    media: tuple[Segment, ...] = ()
    inits: tuple[Segment, ...] = ()
    keys: tuple[Segment, ...] = ()  # only http(s): nobody can fetch skd: or data:
    parts: tuple[Segment, ...] = ()  # of segments and of what follows them
    hinted: tuple[Segment, ...] = ()  # parts that are not there yet; their ranges have no length
    is_restarted: bool = False  # numbers now mean other segments than before; what is held under them is void


class _Known(msgspec.Struct, frozen=True, kw_only=True):
    """A segment of the last load."""

    identity: str = ""
    start_us: int = 0
    is_gap: bool = False
    others: _Others = _NO_OTHERS
    named: tuple[Listed, ...] = ()  # init section and keys
    parts: tuple[Listed, ...] = ()


_UNKNOWN = _Known()


class _Entered(msgspec.Struct, frozen=True):
    """What was in force at a segment, in this load and in the last, and what came of it."""

    map: InitSection | None
    keys: tuple[Key, ...]
    before: _Others
    others: _Others
    named: tuple[Listed, ...]


class _Found:
    """What a load lists, as it is read."""

    def __init__(self) -> None:
        self.last: _Entered | None = None  # of the last segment that is no gap
        self.media: list[Segment] = []
        self.others: dict[Kind, list[Segment]] = {Kind.INIT: [], Kind.KEY: []}
        self.parts: dict[int, Segment] = {}
        self.hinted: dict[int, Segment] = {}


class Catalogue:
    """The numbers and times of one rendition over all loads of its playlist."""

    def __init__(self, rendition: int) -> None:
        self.rendition = rendition
        self._was_live = False
        self._names = Names()
        self._known: dict[int, _Known] = {}  # by number
        self._parts: dict[int, _Others] = {}  # and hints, by the segment that they are or will be of
        self._parts_before: dict[int, _Others] = {}  # of the load before
        self._coming: list[Listed] = []  # parts and hints of the segment that follows the last one
        self._coming_parts = 0  # how many of them are parts
        self._has_doubles = False  # a part is listed twice
        self._end = (0, 0)  # number and start_us that would follow it

    def key_of(self, kind: Kind, uri: str, byte_range: ByteRange | None) -> ResourceKey | None:
        """Of an init section or a key that the last load names, or of a part or a hint that begins there."""
        number = self._names.number((kind, uri, _beginning(byte_range) if kind is Kind.PART else byte_range))
        return None if number is None else ResourceKey(self.rendition, kind, number)

    def update(self, playlist: MediaPlaylist) -> Resources:
        """The resources of this load, which replaces the one before.  Linear in the playlist."""
        # When a live stream ends, its segments keep the numbers that peers and players know them by.
        self._was_live = self._was_live or playlist.is_live
        numbered = [(segment.sequence if self._was_live else segment.place, segment) for segment in playlist.segments]
        is_restarted = self._is_restarted(numbered)
        start_us = self._start_us(numbered, playlist.target_duration_us, is_restarted=is_restarted)
        before = {} if is_restarted else self._known
        self._parts_before, self._parts = {} if is_restarted else self._parts, {}
        self._has_doubles = False
        self._names.begin()
        found = _Found()
        known: dict[int, _Known] = {}
        for number, segment in numbered:
            known[number] = self._enter(number, segment, start_us, before.get(number, _UNKNOWN), found)
            start_us += segment.duration_us
        if numbered:  # an empty load says nothing of those that follow
            self._known = known
            self._end = (numbered[-1][0] + 1, start_us)
        self._enter_coming(numbered[-1][0] + 1 if numbered else playlist.media_sequence, playlist, start_us, found)
        self._names.finish()
        return Resources(
            media=tuple(found.media),
            inits=tuple(found.others[Kind.INIT]),
            keys=tuple(found.others[Kind.KEY]),
            parts=tuple(found.parts.values()),
            hinted=tuple(found.hinted.values()),
            is_restarted=is_restarted,
        )

    def slide(self, old: Resources, cut: int, kept: int, playlist: MediaPlaylist) -> Resources | None:
        """As `update`, of a load that has `kept` segments of the last behind its first `cut`, and then `playlist`'s.

        `old` is what came of the last load, which was live.  None, and nothing is changed, where only `update` can
        tell.  Cost: that of what went, and of what came.
        """
        first = self._end[0] - len(self._known) + cut
        tail, end = first + kept, self._end[0]
        gone = [self._known[number] for number in range(first - cut, first)]
        again = [self._known[number] for number in range(tail, end)]
        less = Counter(self._coming)
        for known in (*gone, *again):
            less.update(known.named)
            less.update(known.parts)
        if self._has_doubles or self._is_other(playlist.segments) or self._is_scattered(old, first, less):
            return None
        media = old.media[_media_count(gone) : len(old.media) - _media_count(again)]
        inits = self._stayed(Kind.INIT, old.inits, first, tail)
        keys = self._stayed(Kind.KEY, old.keys, first, tail)
        parts = old.parts[_part_count(gone) : len(old.parts) - self._coming_parts - _part_count(again)]
        start_us = again[0].start_us if again else self._end[1]
        self._names.lessen(less)
        for number in range(first - cut, first):
            del self._known[number]
            self._parts.pop(number, None)
        before = {number: self._known.pop(number) for number in range(tail, end)}
        self._parts_before = {number: self._parts.pop(number, _NO_OTHERS) for number in range(tail, end + 1)}
        found, number = _Found(), tail
        for segment in playlist.segments:
            self._known[number] = self._enter(number, segment, start_us, before.get(number, _UNKNOWN), found)
            number, start_us = number + 1, start_us + segment.duration_us
        self._end = (number, start_us)
        self._enter_coming(number, playlist, start_us, found)
        self._names.finish()
        parts += tuple(found.parts.values())
        if self._has_doubles:
            parts = tuple({part.key: part for part in parts}.values())
        return Resources(
            media=media + tuple(found.media),
            inits=inits + tuple(found.others[Kind.INIT]),
            keys=keys + tuple(found.others[Kind.KEY]),
            parts=parts,
            hinted=tuple(found.hinted.values()),
        )

    # -- what stayed

    def _is_other(self, segments: Iterable[MediaSegment]) -> bool:
        known = ((self._known.get(segment.sequence), segment) for segment in segments)
        return any(before is not None and before.identity != _identity(segment) for before, segment in known)

    def _is_scattered(self, old: Resources, first: int, less: Counter[Listed]) -> bool:
        """Whether an init section or a key is named by a segment that went and by a later one, but not by the first."""
        named = self._known[first].named
        for listed in (old.inits, old.keys):
            for one in listed:
                key = (one.key.kind, one.key.number)
                use = self._names.uses[key]
                if use.first >= first:
                    break
                if use.count > less[key] and key not in named:
                    return True
        return False

    def _stayed(self, kind: Kind, old: tuple[Segment, ...], first: int, tail: int) -> tuple[Segment, ...]:
        """Init sections or keys that are named by what stays, each from where that names it first."""
        uses, begin, end = self._names.uses, 0, len(old)
        while begin < end and uses[kind, old[begin].key.number].first <= first:
            begin += 1
        while begin < end and uses[kind, old[end - 1].key.number].first >= tail:
            end -= 1
        known = self._known[first]
        front: list[Segment] = []
        for listed in dict.fromkeys(known.named):
            if listed[0] is kind:
                use = uses[listed]
                use.first = first
                front.append(self._other(listed, use.name[1], use.name[2], known.start_us))
        return (*front, *old[begin:end])

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

    # -- what is new

    def _enter(self, number: int, segment: MediaSegment, start_us: int, before: _Known, found: _Found) -> _Known:
        others, named = _NO_OTHERS, _NOT_NAMED
        parts = self._enter_parts(number, segment.parts, start_us, found)
        if not segment.is_gap:
            found.media.append(
                Segment(
                    key=ResourceKey(self.rendition, Kind.MEDIA, number),
                    uri=segment.uri,
                    byte_range=segment.byte_range,
                    start_us=start_us,
                    duration_us=segment.duration_us,
                )
            )
            others, named = self._enter_others(number, segment, start_us, before.others, found)
        return _Known(
            identity=_identity(segment),
            start_us=start_us,
            is_gap=segment.is_gap,
            others=others,
            named=named,
            parts=tuple(parts),
        )

    def _enter_others(
        self, number: int, segment: MediaSegment, start_us: int, before: _Others, found: _Found
    ) -> tuple[_Others, tuple[Listed, ...]]:
        """What the segment goes with: the same values as the segment above, where that has the same tags in force."""
        last = found.last
        if last is not None and last.map is segment.map and last.keys is segment.keys and last.before is before:
            self._names.use_again(last.named)
            return last.others, last.named
        others: _Others = {}
        named: list[Listed] = []
        wanted: list[tuple[Kind, str, ByteRange | None]] = []
        if segment.map is not None:
            wanted.append((Kind.INIT, segment.map.uri, segment.map.byte_range))
        wanted += [(Kind.KEY, key.uri, None) for key in segment.keys if key.uri.startswith(("http://", "https://"))]
        for name in wanted:
            kind, uri, byte_range = name
            stays = (kind, _without_query(uri, byte_range))
            used, is_first = self._names.use(name, number, before.get(stays, SEVERAL))
            others[stays] = used if others.get(stays, used) == used else SEVERAL
            named.append((kind, used))
            if is_first:
                found.others[kind].append(self._other((kind, used), uri, byte_range, start_us))
        found.last = _Entered(segment.map, segment.keys, before, others, tuple(named))
        return others, found.last.named

    def _enter_parts(self, of: int, parts: Sequence[Part], start_us: int, found: _Found) -> list[Listed]:
        entered: list[Listed] = []
        for part in parts:
            if not part.is_gap:
                number, is_first = self._part(of, part.uri, _beginning(part.byte_range))
                self._has_doubles |= not is_first
                entered.append((Kind.PART, number))
                found.parts[number] = Segment(
                    key=ResourceKey(self.rendition, Kind.PART, number),
                    uri=part.uri,
                    byte_range=part.byte_range,
                    start_us=start_us,
                    duration_us=part.duration_us,
                )
            start_us += part.duration_us
        return entered

    def _enter_coming(self, of: int, playlist: MediaPlaylist, start_us: int, found: _Found) -> None:
        """The parts behind the last segment, and what is hinted at."""
        self._coming = self._enter_parts(of, playlist.parts, start_us, found)
        self._coming_parts = len(self._coming)
        start_us += sum(part.duration_us for part in playlist.parts)
        for hint in playlist.preload_hints:
            if hint.type != "PART":
                continue
            begin = _beginning(ByteRange(hint.first_byte, 0))
            number, is_first = self._part(of, hint.uri, begin)
            self._coming.append((Kind.PART, number))
            if is_first or number in found.hinted:  # else it is there
                key = ResourceKey(self.rendition, Kind.PART, number)
                found.hinted[number] = Segment(key=key, uri=hint.uri, byte_range=begin, start_us=start_us)

    def _part(self, of: int, uri: str, begin: ByteRange | None) -> tuple[int, bool]:
        """Its number, which is what the same segment had in the last load under another query, if its name is new."""
        stays = (Kind.PART, _without_query(uri, begin))
        renewed = self._parts_before.get(of, _NO_OTHERS).get(stays, SEVERAL)
        number, is_first = self._names.use((Kind.PART, uri, begin), of, renewed)
        parts = self._parts.setdefault(of, {})
        parts[stays] = number if parts.get(stays, number) == number else SEVERAL
        return number, is_first

    def _other(self, listed: Listed, uri: str, byte_range: ByteRange | None, start_us: int) -> Segment:
        key = ResourceKey(self.rendition, *listed)
        return Segment(key=key, uri=uri, byte_range=byte_range, start_us=start_us)


def _media_count(segments: Iterable[_Known]) -> int:
    return sum(not known.is_gap for known in segments)


def _part_count(segments: Iterable[_Known]) -> int:
    return sum(len(known.parts) for known in segments)


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
