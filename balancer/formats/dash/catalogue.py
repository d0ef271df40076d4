"""Representations to the renditions that the balancer knows, and their segments to what it delivers.

    catalogue.update(mpd)                     for each load of an MPD
    catalogue.renditions                      number -> period and representation, those of this load
    catalogue.resources(rendition, now_us)    what can be had of it, with numbers and times
    catalogue.find(rendition, name, range)    the resource behind a name of `names.py`

A segment that is sent while it is made says so, in the time of day (`grows_until_us`).

Numbers of renditions stay over all loads: a period that is there again has those that it
had.  A media segment's number is its start in half seconds, which is what p2p-media-loader's
peers call it (its Shaka engine), or the next free one where segments are shorter.

Segments of a template that were there in the listing before are taken from it, where all that
makes them is as it was: a live window of 1,000 is so listed in a tenth of the time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from shoal.balancer.model import ByteRange, Kind, ResourceKey, Segment

from ..hls.catalogue import Resources
from .addressing import AddressingKind, Target
from .limits import Limits
from .mpd import AdaptationSet, Mpd, Period, Representation
from .names import Name
from .segments import (
    Maker,
    MediaSegment,
    growth,
    indexed,
    init_of,
    maker_of,
    segment_at,
    segment_numbered,
    segments_of,
    slots_of,
    start_us_of,
)
from .sidx import Reference
from .values import resolve

__all__ = ["Catalogue", "Known"]

# Renditions and ranges remembered besides those at hand: a player comes back within its buffer.
REMEMBERED_MAX = 1_024
_SLOT_US = 500_000
# How far ahead of our clock a player may ask; a segment of live video is rarely longer.
_AHEAD_US = 10_000_000


class _Row(NamedTuple):
    """A media segment, and what it is called in the MPD that a player gets (names.py)."""

    segment: Segment
    identity: str
    name: Name


class _Made(NamedTuple):
    """The last listing of a template."""

    maker: Maker
    rows: dict[tuple[int, ...], _Row]  # by slot, or what of it is not a number that nobody uses


class Known(msgspec.Struct):
    """One rendition of this load."""

    number: int
    period: Period
    adaptation_set: AdaptationSet
    representation: Representation
    references: tuple[Reference, ...] | None = None  # of its index, once that was read
    names: dict[Name, ResourceKey] = {}
    ranges: dict[ByteRange | None, ResourceKey] = {}
    segments: dict[ResourceKey, Segment] = {}

    @property
    def index(self) -> tuple[str, ByteRange] | None:
        """Where its index is, if it has one that can be fetched by a range."""
        addressing = self.representation.addressing
        if addressing.kind is not AddressingKind.BASE or addressing.index is None:
            return None
        target = addressing.index
        return None if target.byte_range is None else (_url(self.representation, target), target.byte_range)


class Catalogue:
    """All renditions of one stream over all loads of its MPD."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.renditions: dict[int, Known] = {}
        self._limits = limits or Limits()
        self._mpd: Mpd | None = None
        self._numbers: dict[tuple[str, str, str], int] = {}  # the least recently seen first
        self._next = 0
        self._identities: dict[int, dict[int, str]] = {}  # of each rendition's last listing, by number
        self._made: dict[int, _Made] = {}  # by rendition
        self._next_range = 1

    def update(self, mpd: Mpd) -> None:
        """This load replaces the one before."""
        before, self.renditions = self.renditions, {}
        self._mpd = mpd
        for period in mpd.periods:
            for place, adaptation_set in enumerate(period.adaptation_sets):
                for representation in adaptation_set.representations:
                    # Ids are unique within a period only, and a period's own id is optional.
                    name = (
                        period.id if period.id is not None else f"@{period.start_us}",
                        adaptation_set.id if adaptation_set.id is not None else f"@{place}",
                        representation.id,
                    )
                    number = self._numbers.pop(name, None)
                    if number is None or number in self.renditions:
                        number, self._next = self._next, self._next + 1
                    self._numbers[name] = number
                    known = Known(number, period, adaptation_set, representation)
                    old = before.get(number)
                    if old is not None and old.index == known.index:
                        known.references = old.references
                    self.renditions[number] = known
        for name in list(self._numbers)[: max(0, len(self._numbers) - len(self.renditions) - REMEMBERED_MAX)]:
            del self._numbers[name]
        self._identities = {number: seen for number, seen in self._identities.items() if number in self.renditions}
        self._made = {number: made for number, made in self._made.items() if number in self.renditions}

    def resources(self, rendition: int, now_us: int) -> Resources:
        """All that can be had of a rendition at `now_us`, and its names anew.  Linear in its segments."""
        known = self.renditions[rendition]
        kind = known.representation.addressing.kind
        rows = self._templated(known, now_us) if kind is AddressingKind.TEMPLATE else [*self._rows(known, now_us)]
        known.names, known.ranges, known.segments = {}, {}, {}
        for segment, _, name in rows:
            known.segments[segment.key] = segment
            if kind in {AddressingKind.BASE, AddressingKind.FILE}:
                known.ranges[segment.byte_range] = segment.key
            else:
                known.names[name] = segment.key
        inits = self._others(known)
        is_restarted = self._is_restarted(rendition, {row.segment.key.number: row.identity for row in rows})
        return Resources(media=tuple([row.segment for row in rows]), inits=inits, is_restarted=is_restarted)

    def _rows(self, known: Known, now_us: int) -> Iterator[_Row]:
        assert self._mpd is not None, "an MPD was read"
        if known.references is not None:
            found = indexed(known.period, known.representation, known.references)
        else:
            found = segments_of(self._mpd, known.period, known.representation, now_us, limits=self._limits)
        next_free = 0
        for each in found:
            row = self._row(known, each, max(next_free, each.start_us // _SLOT_US, 0))
            next_free = row.segment.key.number + 1
            yield row

    def _templated(self, known: Known, now_us: int) -> list[_Row]:
        """As `_rows`, made only where the listing before does not have them."""
        assert self._mpd is not None, "an MPD was read"
        period, representation = known.period, known.representation
        # A window that slides counts its segments from one again, if they are called by their times.
        first = 1 if _is_by_time(representation) else 0
        slots = slots_of(self._mpd, period, representation, now_us, limits=self._limits)
        maker = maker_of(self._mpd, period, representation)
        last = self._made.get(known.number)
        before = last.rows if last is not None and last.maker == maker else {}
        rows: dict[tuple[int, ...], _Row] = {}
        next_free = 0
        for slot in slots:
            # Of segments shorter than half a second it depends on those before.
            number = max(next_free, start_us_of(period, representation, slot) // _SLOT_US, 0)
            next_free = number + 1
            what = slot[first:]
            row = before.get(what)
            if row is None or row.segment.key.number != number:
                row = self._row(known, segment_at(period, representation, slot), number)
            rows[what] = row
        self._made[known.number] = _Made(maker, rows)
        return [*rows.values()]

    def _row(self, known: Known, found: MediaSegment, number: int) -> _Row:
        segment = self._segment(known, found, number)
        is_by_time = _is_by_time(known.representation)
        name = Name("time", found.time) if is_by_time else Name("number", found.number)
        return _Row(segment, _identity(segment), name)

    def find(self, rendition: int, name: Name, byte_range: ByteRange | None, now_us: int) -> Segment | None:
        """The resource that a player means; None for what the MPD does not name.

        Of a file that is a rendition of its own, any range is a resource: players look at its head
        and its index as they like.
        """
        assert self._mpd is not None, "an MPD was read"
        known = self.renditions[rendition]
        addressing = known.representation.addressing
        if name.what != "file":
            key = known.names.get(name)
            if key is None and name.what == "number":
                return self._early(known, name.value, now_us)
        elif addressing.kind not in {AddressingKind.BASE, AddressingKind.FILE}:
            return None
        else:
            key = known.ranges.get(byte_range) or self._range(known, byte_range)
        return None if key is None else known.segments[key]

    def _early(self, known: Known, number: int, now_us: int) -> Segment | None:
        """A counted segment beside the window: a player's clock is ahead of ours, or behind."""
        assert self._mpd is not None
        found = segment_numbered(self._mpd, known.period, known.representation, number, now_us, ahead_us=_AHEAD_US)
        if found is None:
            return None
        segment = self._segment(known, found, max(found.start_us // _SLOT_US, 0))
        if segment.key in known.segments:
            return None  # shorter than a slot: it has another number there, and comes with the next listing
        known.segments[segment.key] = segment
        known.names[Name("number", found.number)] = segment.key
        return segment

    def _segment(self, known: Known, found: MediaSegment, number: int) -> Segment:
        assert self._mpd is not None
        grows = growth(self._mpd, known.representation, found)
        return Segment(
            key=ResourceKey(known.number, Kind.MEDIA, number),
            uri=found.uri,
            byte_range=found.byte_range,
            start_us=max(0, found.start_us),
            duration_us=found.duration_us,
            grows_until_us=0 if grows is None else grows.until_us,
            grows_by_us=0 if grows is None else grows.by_us,
        )

    def _range(self, known: Known, byte_range: ByteRange | None) -> ResourceKey:
        uri = known.representation.base_urls[0].url
        key = ResourceKey(known.number, Kind.DATA, self._next_range)
        self._next_range += 1
        known.ranges[byte_range] = key
        known.segments[key] = Segment(key=key, uri=uri, byte_range=byte_range, start_us=known.period.start_us)
        ours = [asked for asked, found in known.ranges.items() if found.kind is Kind.DATA]
        for asked in ours[: max(0, len(ours) - REMEMBERED_MAX)]:
            known.segments.pop(known.ranges.pop(asked))
        return key

    def _others(self, known: Known) -> tuple[Segment, ...]:
        """The initialization section and the index, where they are resources of their own."""
        others = []
        first = init_of(known.representation)
        addressing = known.representation.addressing
        start_us = known.period.start_us
        if first is not None:
            key = ResourceKey(known.number, Kind.INIT, 0)
            others.append(Segment(key=key, uri=first.uri, byte_range=first.byte_range, start_us=start_us))
            own_file = isinstance(addressing.initialization, Target) and addressing.initialization.url is None
            if addressing.kind is AddressingKind.BASE and own_file:
                known.ranges[first.byte_range] = key
            else:
                known.names[Name("init")] = key
        if addressing.index is not None and addressing.index.url is not None:
            key = ResourceKey(known.number, Kind.DATA, 0)
            url = _url(known.representation, addressing.index)
            others.append(Segment(key=key, uri=url, byte_range=addressing.index.byte_range, start_us=start_us))
            known.names[Name("index")] = key
        known.segments.update((segment.key, segment) for segment in others)
        return tuple(others)

    def _is_restarted(self, rendition: int, identities: dict[int, str]) -> bool:
        """Whether a number means another segment than in the listing before."""
        before, self._identities[rendition] = self._identities.get(rendition, {}), identities
        return any(before.get(number, identity) != identity for number, identity in identities.items())


def _is_by_time(representation: Representation) -> bool:
    media = representation.addressing.media
    return media is not None and media.has_time


def _identity(segment: Segment) -> str:
    """What stays the same of a segment from load to load: its query may be a new signature each time."""
    part = segment.byte_range
    uri = segment.uri.partition("?")[0]
    return uri if part is None else f"{uri}@{part.offset}+{part.length}"


def _url(representation: Representation, target: Target) -> str:
    base = representation.base_urls[0].url
    return base if target.url is None else resolve(base, target.url, representation.element.line)
