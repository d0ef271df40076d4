"""The segments of a representation, and which of them are there by now.

    segments_of(mpd, period, representation, now_us) -> MediaSegment...     what can be asked for
    segment_numbered(..., number)                    -> MediaSegment        one, there or not yet
    growth(mpd, representation, segment)             -> Growth              of one that is sent while it is made

Of a template `segments_of` is two steps, for who knows most of the segments from the load before:

    slots_of(mpd, period, representation, now_us)    -> Slot...             which there are
    segment_at(period, representation, slot)         -> MediaSegment        one of them
    maker_of(mpd, period, representation)            -> Maker               all else that comes into one

`now_us` is the time of day at the server, since 1970: of a live presentation, segments
that are counted and not listed come to be as time goes by (5.3.9.5.3).  It decides
nothing for what is not live.  Times that come out are microseconds since the beginning
of the presentation; where ticks are no whole microseconds they are rounded down.
"""

from __future__ import annotations

import msgspec

from shoal.balancer.errors import PlaylistMalformed, PlaylistTooLarge
from shoal.balancer.model import ByteRange

from .addressing import OPEN, Addressing, AddressingKind, Run, Target
from .limits import Limits
from .mpd import BaseUrl, Mpd, Period, Representation
from .sidx import Reference
from .template import Template
from .values import resolve

__all__ = [
    "Growth",
    "InitSection",
    "Maker",
    "MediaSegment",
    "Slot",
    "growth",
    "indexed",
    "init_of",
    "maker_of",
    "segment_at",
    "segment_numbered",
    "segments_of",
    "slots_of",
    "start_us_of",
]

_S = 1_000_000

# What tells the segments of a template from one another: number, time and duration, the latter two in ticks.
Slot = tuple[int, int, int]


class MediaSegment(msgspec.Struct, frozen=True, kw_only=True):
    number: int  # what $Number$ is
    time: int  # what $Time$ is, in ticks
    uri: str  # absolute
    byte_range: ByteRange | None = None
    start_us: int
    duration_us: int


class InitSection(msgspec.Struct, frozen=True):
    uri: str
    byte_range: ByteRange | None = None


class Maker(msgspec.Struct, frozen=True):
    """All that makes a segment and its growth, but for its slot: equal makers make the same of one slot."""

    id: str
    bandwidth: int
    base_url: BaseUrl
    start_us: int  # of the period
    duration_us: int | None  # of the period, where segments are counted: the last one ends with it
    timescale: int
    offset: int
    media: Template | None
    availability_offset_us: int
    is_complete: bool
    live_since_us: int | None  # since 1970; None where it is not live


class Growth(msgspec.Struct, frozen=True):
    """Low latency: a segment that can be had before it is complete, and comes as it is made until then."""

    until_us: int  # time of day at the server, since 1970
    by_us: int  # of media at a time


def growth(mpd: Mpd, representation: Representation, segment: MediaSegment) -> Growth | None:
    """None for a segment that comes whole (5.3.9.5.3: availabilityTimeOffset, and availabilityTimeComplete).

    The pieces are what remains of its duration once it can be had: the first is complete then.
    """
    base = representation.base_urls[0]
    early_us = _early_us(representation)
    if not mpd.is_live or not early_us or (representation.addressing.is_complete and base.is_complete):
        return None
    assert mpd.availability_start_us is not None, "the parser asks for it"
    end_us = mpd.availability_start_us + segment.start_us + segment.duration_us
    return Growth(end_us, segment.duration_us - early_us if early_us < segment.duration_us else segment.duration_us)


def init_of(representation: Representation) -> InitSection | None:
    """The initialization section; None where segments need none (text, MPEG transport streams)."""
    first = representation.addressing.initialization
    if first is None:
        return None
    if isinstance(first, Target):
        return InitSection(_url(representation, first.url), first.byte_range)
    return InitSection(_url(representation, first.fill(representation.id, representation.bandwidth, 0, 0)))


def segments_of(
    mpd: Mpd,
    period: Period,
    representation: Representation,
    now_us: int,
    *,
    limits: Limits | None = None,
    newest: int = 0,
) -> list[MediaSegment]:
    """Those that can be had at `now_us`, in order.  Of SegmentBase the whole file, unless `indexed` is asked.

    With `newest` only so many of the last are made.

    Linear in their number.  PlaylistTooLarge for more than `segments_max` in what is not live; of what is
    live the newest count.  PlaylistMalformed where nothing says how long the period is, and it is counted.
    """
    match representation.addressing.kind:
        case AddressingKind.BASE | AddressingKind.FILE:
            return [_whole(period, representation)]
        case AddressingKind.LIST:
            return _listed(period, representation)[-newest:]
    slots = slots_of(mpd, period, representation, now_us, limits=limits)
    return [segment_at(period, representation, slot) for slot in slots[-newest:]]


def slots_of(
    mpd: Mpd, period: Period, representation: Representation, now_us: int, *, limits: Limits | None = None
) -> list[Slot]:
    """Those of a template that can be had at `now_us`, in order, no two alike.  Errors as of `segments_of`."""
    limits = limits or Limits()
    addressing = representation.addressing
    assert addressing.kind is AddressingKind.TEMPLATE
    if addressing.runs is None:
        return _counted(mpd, period, representation, now_us, limits)
    last_us = _media_end_us(mpd, period, representation, now_us)
    found: list[Slot] = []
    for run in addressing.runs:
        first, end = _places(mpd, run, addressing, period, last_us)
        if mpd.is_live and run.count == OPEN:
            first = max(first, end - limits.segments_max)
        _check_count(len(found) + end - first, representation, limits)
        number, time, duration = run.number, run.time, run.duration
        found += [(number + place, time + place * duration, duration) for place in range(first, end)]
    return found


def segment_at(period: Period, representation: Representation, slot: Slot) -> MediaSegment:
    """What stands there; of a counted segment that would end after its period, as long as the period has it."""
    segment = _segment(period, representation, *slot)
    addressing = representation.addressing
    if addressing.runs is not None or addressing.duration is None or period.duration_us is None:
        return segment
    shorter_us = max(0, period.start_us + period.duration_us - segment.start_us)
    return msgspec.structs.replace(segment, duration_us=shorter_us) if shorter_us < segment.duration_us else segment


def start_us_of(period: Period, representation: Representation, slot: Slot) -> int:
    """As `segment_at(...).start_us`."""
    addressing = representation.addressing
    return period.start_us + (slot[1] - addressing.offset) * _S // addressing.timescale


def maker_of(mpd: Mpd, period: Period, representation: Representation) -> Maker:
    """Of a template."""
    addressing = representation.addressing
    return Maker(
        id=representation.id,
        bandwidth=representation.bandwidth,
        base_url=representation.base_urls[0],
        start_us=period.start_us,
        duration_us=period.duration_us if addressing.runs is None else None,
        timescale=addressing.timescale,
        offset=addressing.offset,
        media=addressing.media,
        availability_offset_us=addressing.availability_offset_us,
        is_complete=addressing.is_complete,
        live_since_us=mpd.availability_start_us if mpd.is_live else None,
    )


def segment_numbered(
    mpd: Mpd, period: Period, representation: Representation, number: int, now_us: int, *, ahead_us: int = 0
) -> MediaSegment | None:
    """The segment that a counted template calls `number`; None where the period has none.

    One that will be there `ahead_us` from now is given as well: a player's clock is not ours.
    """
    addressing = representation.addressing
    if addressing.kind is not AddressingKind.TEMPLATE or addressing.runs is not None or addressing.duration is None:
        return None
    place = number - addressing.start_number
    first, end = _counted_window(mpd, period, representation, now_us + ahead_us, back_us=2 * ahead_us)
    if not first <= place < end:
        return None
    return segment_at(period, representation, _counted_slot(addressing, addressing.duration, place))


def indexed(period: Period, representation: Representation, references: tuple[Reference, ...]) -> list[MediaSegment]:
    """The segments of a SegmentBase whose index says `references`."""
    uri = _url(representation, None)
    offset_us = representation.addressing.offset * _S // representation.addressing.timescale
    return [
        MediaSegment(
            number=place,
            time=reference.time,
            uri=uri,
            byte_range=reference.byte_range,
            start_us=period.start_us + reference.time * _S // reference.timescale - offset_us,
            duration_us=reference.duration * _S // reference.timescale,
        )
        for place, reference in enumerate(references)
    ]


def _url(representation: Representation, relative: str | None) -> str:
    base = representation.base_urls[0].url
    return base if relative is None else resolve(base, relative, representation.element.line)


def _whole(period: Period, representation: Representation) -> MediaSegment:
    return MediaSegment(
        number=0,
        time=0,
        uri=_url(representation, None),
        start_us=period.start_us,
        duration_us=period.duration_us or 0,
    )


def _segment(period: Period, representation: Representation, number: int, time: int, duration: int) -> MediaSegment:
    addressing = representation.addressing
    assert addressing.media is not None
    return MediaSegment(
        number=number,
        time=time,
        uri=_url(representation, addressing.media.fill(representation.id, representation.bandwidth, number, time)),
        start_us=start_us_of(period, representation, (number, time, duration)),
        duration_us=duration * _S // addressing.timescale,
    )


def _check_count(count: int, representation: Representation, limits: Limits) -> None:
    if count > limits.segments_max:
        raise PlaylistTooLarge(
            f"representation {representation.id!r} has {count} segments; "
            f"raise segments_max above {limits.segments_max}",
            line=representation.element.line,
        )


# -- timelines


def _places(mpd: Mpd, run: Run, addressing: Addressing, period: Period, last_us: int | None) -> tuple[int, int]:
    """The places in a run, from 0, of its first segment and of the one after its last.

    An open run goes up to `last_us` of the period; in a live presentation it begins where the window does.
    """
    first, end = 0, run.count
    if run.count == OPEN:
        if last_us is None:
            raise PlaylistMalformed("S repeats to the end of the period, and nothing says when that is")
        last = addressing.offset + last_us * addressing.timescale // _S - run.time
        is_ended = period.duration_us is not None and last_us >= period.duration_us
        # What has begun in a period that has ended is there; else what is complete.
        end = max(0, -(-last // run.duration) if is_ended else last // run.duration)
        if mpd.is_live and mpd.time_shift_us is not None:
            back = mpd.time_shift_us * addressing.timescale // _S
            first = min(end, max(0, (last - back) // run.duration))
    if addressing.end_number is not None:
        end = min(end, max(0, addressing.end_number - run.number + 1))
    return min(first, end), end


def _media_end_us(mpd: Mpd, period: Period, representation: Representation, now_us: int) -> int | None:
    """Up to where in the period there is media by now; None: nothing says."""
    if not mpd.is_live:
        return period.duration_us
    assert mpd.availability_start_us is not None, "the parser asks for it"
    there_us = now_us - mpd.availability_start_us - period.start_us + _early_us(representation)
    return there_us if period.duration_us is None else min(there_us, period.duration_us)


def _early_us(representation: Representation) -> int:
    return representation.addressing.availability_offset_us + representation.base_urls[0].availability_offset_us


# -- lists


def _listed(period: Period, representation: Representation) -> list[MediaSegment]:
    addressing = representation.addressing
    if addressing.runs is not None:
        times = [
            (run.time + place * run.duration, run.duration)
            for run in addressing.runs
            for place in range(max(run.count, 0) or len(addressing.entries))
        ]
    elif addressing.duration is not None:
        # What begins after the period has ended is not part of it.
        end = None if period.duration_us is None else -(-period.duration_us * addressing.timescale // _S)
        each = range(0, addressing.duration * len(addressing.entries), addressing.duration)
        times = [(time, addressing.duration) for time in each if end is None or time < end]
    elif len(addressing.entries) <= 1:
        whole = (period.duration_us or 0) * addressing.timescale // _S
        times = [(0, whole)]
    else:
        raise PlaylistMalformed(
            "SegmentList has neither duration nor SegmentTimeline; one of them says how long segments are",
            line=representation.element.line,
        )
    if addressing.runs is not None and len(times) < len(addressing.entries):
        raise PlaylistMalformed(
            f"SegmentList has {len(addressing.entries)} SegmentURLs, and its SegmentTimeline {len(times)} segments",
            line=representation.element.line,
        )
    offset = addressing.offset if addressing.runs is not None else 0
    return [
        MediaSegment(
            number=addressing.start_number + place,
            time=time,
            uri=_url(representation, entry.url),
            byte_range=entry.byte_range,
            start_us=period.start_us + (time - offset) * _S // addressing.timescale,
            duration_us=duration * _S // addressing.timescale,
        )
        for place, (entry, (time, duration)) in enumerate(zip(addressing.entries, times, strict=False))
    ]


# -- counted segments


def _counted(mpd: Mpd, period: Period, representation: Representation, now_us: int, limits: Limits) -> list[Slot]:
    addressing = representation.addressing
    if addressing.duration is None:  # one segment
        whole = (period.duration_us or 0) * addressing.timescale // _S
        return [(addressing.start_number, addressing.offset, whole)]
    first, end = _counted_window(mpd, period, representation, now_us)
    if mpd.is_live:
        first = max(first, end - limits.segments_max)
    _check_count(end - first, representation, limits)
    return [_counted_slot(addressing, addressing.duration, place) for place in range(first, end)]


def _counted_slot(addressing: Addressing, duration: int, place: int) -> Slot:
    return addressing.start_number + place, place * duration + addressing.offset, duration


def _counted_window(
    mpd: Mpd, period: Period, representation: Representation, now_us: int, *, back_us: int = 0
) -> tuple[int, int]:
    """The places, from 0, of the first segment that is there and of the one after the last."""
    addressing = representation.addressing
    duration, timescale = addressing.duration, addressing.timescale
    assert duration is not None
    count = None
    if addressing.end_number is not None:
        count = max(0, addressing.end_number - addressing.start_number + 1)
    elif period.duration_us is not None:
        count = -(-period.duration_us * timescale // (duration * _S))
    if not mpd.is_live:
        if count is None:
            raise PlaylistMalformed(
                "nothing says how long the period is, and so how many segments it has; "
                "give mediaPresentationDuration, or the period's duration",
                line=representation.element.line,
            )
        return 0, count
    assert mpd.availability_start_us is not None, "the parser asks for it"
    since_us = now_us - mpd.availability_start_us - period.start_us
    end = max(0, (since_us + _early_us(representation)) * timescale // (duration * _S))
    end = end if count is None else min(end, count)
    if mpd.time_shift_us is None:
        return 0, end
    first = max(0, (since_us - mpd.time_shift_us - back_us) * timescale // (duration * _S))
    return min(first, end), end
