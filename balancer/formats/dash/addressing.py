"""How the segments of a representation are found: SegmentTemplate, SegmentList, SegmentBase, or one file.

    read_addressing(levels, ...) -> Addressing

`levels` are the representation's element and those above it.  The nearest level that has
one of the three decides which (5.3.9.1); attributes and children that are not there
are inherited from the same kind of element above.

A timeline stays in runs: `<S t="0" d="4" r="19999"/>` is one value, not 20,000.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

import msgspec

from shoal.balancer.errors import PlaylistMalformed, PlaylistTooLarge
from shoal.balancer.model import ByteRange

from .limits import Limits
from .template import Template, template
from .values import UINT64_MAX, Reader
from .xml import Element

__all__ = ["Addressing", "AddressingKind", "Run", "Target", "read_addressing"]


class AddressingKind(enum.StrEnum):
    TEMPLATE = "SegmentTemplate"
    LIST = "SegmentList"
    BASE = "SegmentBase"  # one file whose segments its index (sidx) names, or nothing does
    FILE = "BaseURL"  # one file that is one segment: subtitles mostly


class Run(msgspec.Struct, frozen=True):
    """`count` segments of equal length, one after another.  Times are ticks on the media timeline."""

    time: int
    duration: int
    count: int  # OPEN: up to the end of the period, or as far as there is media by now
    number: int  # of the first


OPEN = -1


class Target(msgspec.Struct, frozen=True):
    """A URL, relative to the base URL, and a range of it; both None for the base URL itself."""

    url: str | None = None
    byte_range: ByteRange | None = None


class Addressing(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed to name every segment.  Ticks are of `timescale` a second."""

    kind: AddressingKind
    timescale: int = 1
    offset: int = 0  # presentationTimeOffset: the media time at which the period begins
    start_number: int = 1
    end_number: int | None = None
    duration: int | None = None  # ticks; of each segment, where there are no runs
    runs: tuple[Run, ...] | None = None
    media: Template | None = None
    entries: tuple[Target, ...] = ()  # of a list
    initialization: Template | Target | None = None
    index: Target | None = None  # where the sidx is
    availability_offset_us: int = 0  # by how much segments come before they are complete
    is_complete: bool = True  # availabilityTimeComplete: False: what comes early is not all there yet
    element: Element | None = None  # the nearest of its kind
    elements: tuple[Element, ...] = ()  # of its kind, the nearest first


_KINDS = (AddressingKind.TEMPLATE, AddressingKind.LIST, AddressingKind.BASE)


def read_addressing(levels: Sequence[Element], limits: Limits) -> Addressing:
    """That of the representation whose element is `levels[0]`; its parents follow."""
    for place, level in enumerate(levels):
        here = [kind for kind in _KINDS if level.one(kind) is not None]
        if len(here) > 1:
            raise PlaylistMalformed(
                f"{level.name} has a {here[0]} and a {here[1]}; one of them is allowed", line=level.line
            )
        if here:
            same = [found for found in (above.one(here[0]) for above in levels[place:]) if found is not None]
            return _read(here[0], tuple(same), limits)
    return Addressing(kind=AddressingKind.FILE)


def _read(kind: AddressingKind, elements: tuple[Element, ...], limits: Limits) -> Addressing:
    said = Reader(limits, *elements)
    timescale = said.integer("timescale", 1)
    if timescale == 0 or timescale >= 1 << 32:
        raise PlaylistMalformed(f"timescale is {timescale}; give 1 to 4294967295", line=said.line)
    start_number = said.integer("startNumber", 1)
    duration = said.maybe_integer("duration")
    if duration == 0:
        raise PlaylistMalformed("duration is '0'; give how long a segment is", line=said.line)
    timeline = _child(elements, "SegmentTimeline")
    if timeline is not None:
        duration = None  # one of them is to be there; packagers that write both mean the timeline, as players read it
    addressing = Addressing(
        kind=kind,
        timescale=timescale,
        offset=said.integer("presentationTimeOffset"),
        start_number=start_number,
        end_number=said.maybe_integer("endNumber"),
        duration=duration,
        runs=None if timeline is None else _runs_of(timeline, start_number, limits),
        initialization=_target(elements, "Initialization", "sourceURL", "range", limits),
        index=_target(elements, "RepresentationIndex", "sourceURL", "range", limits),
        availability_offset_us=said.offset_us("availabilityTimeOffset") or 0,
        is_complete=said.flag("availabilityTimeComplete", default=True),
        element=elements[0],
        elements=elements,
    )
    replace = msgspec.structs.replace
    if kind is AddressingKind.TEMPLATE:
        return _with_templates(addressing, said)
    if kind is AddressingKind.LIST:
        return replace(addressing, entries=_entries(elements, limits))
    index_range = said.byte_range("indexRange")
    if index_range is not None and addressing.index is None:
        return replace(addressing, index=Target(None, index_range))
    return addressing


def _with_templates(addressing: Addressing, said: Reader) -> Addressing:
    media, initialization = said.text("media"), said.text("initialization")
    if not media:
        raise PlaylistMalformed("SegmentTemplate has no media; it says how segments are called", line=said.line)
    read = _template(said, "media", media)
    if read.has_number and read.has_time:
        raise PlaylistMalformed("media has both $Number$ and $Time$; use one of them", line=said.line)
    first: Template | Target | None = addressing.initialization
    if first is None and initialization:
        first = _template(said, "initialization", initialization)
        if first.has_number or first.has_time:
            raise PlaylistMalformed("initialization has $Number$ or $Time$, and there is one of it", line=said.line)
    return msgspec.structs.replace(addressing, media=read, initialization=first)


def _template(said: Reader, name: str, text: str) -> Template:
    """Read once for all representations that share it."""
    element = next(each for each in said.elements if name in each.attributes)
    kept: dict[str, Template] = element.kept or {}
    element.kept = kept
    if name not in kept:
        kept[name] = template(text, said.line)
    return kept[name]


def _child(elements: Sequence[Element], name: str) -> Element | None:
    return next((found for found in (element.one(name) for element in elements) if found is not None), None)


def _target(elements: Sequence[Element], name: str, url: str, byte_range: str, limits: Limits) -> Target | None:
    found = _child(elements, name)
    if found is None:
        return None
    said = Reader(limits, found)
    return Target(said.text(url) or None, said.byte_range(byte_range))


def _entries(elements: Sequence[Element], limits: Limits) -> tuple[Target, ...]:
    """The SegmentURLs of the nearest level that has some."""
    return next(filter(None, (_entries_of(element, limits) for element in elements)), ())


def _entries_of(element: Element, limits: Limits) -> tuple[Target, ...]:
    """Read once for all representations that share it."""
    kept: tuple[Target, ...] | None = element.kept
    if kept is not None:
        return kept
    urls = element.all("SegmentURL")
    if len(urls) > limits.segments_max:
        raise PlaylistTooLarge(
            f"has {len(urls)} SegmentURLs; raise segments_max above {limits.segments_max}", line=element.line
        )
    readers = [Reader(limits, url) for url in urls]
    entries = tuple(Target(each.text("media") or None, each.byte_range("mediaRange")) for each in readers)
    element.kept = entries
    return entries


def _runs_of(timeline: Element, number: int, limits: Limits) -> tuple[Run, ...]:
    """Read once for all representations that share it."""
    kept: dict[int, tuple[Run, ...]] = timeline.kept or {}
    if number not in kept:
        if len(kept) == limits.starts_max:
            raise PlaylistTooLarge(
                f"has a timeline that is counted from over {limits.starts_max} numbers; raise starts_max, "
                "or give each representation its own",
                line=timeline.line,
            )
        timeline.kept = kept | {number: _runs(timeline, number, limits)}
    return timeline.kept[number]  # type: ignore[no-any-return]


def _runs(timeline: Element, number: int, limits: Limits) -> tuple[Run, ...]:
    """The S elements as runs; numbers count on, and a time that is not said is where the one before ended (5.3.9.6)."""
    rows = timeline.all("S")
    runs: list[Run] = []
    time = count = 0
    last = -1  # when the last segment of the rows above begins: one that repeats up to the next may have none
    for place, row in enumerate(rows):
        said = Reader(limits, row)
        begin = said.maybe_integer("t")
        if said.text("n") is not None:
            number = said.integer("n")
        # A little before the one above it has ended: times were rounded, or two programmes joined.  Players take both.
        # Each begins after the one above it all the same: so no two segments are alike.
        if begin is not None and begin <= last:
            raise PlaylistMalformed(f"S begins at {begin}, and not after the one above it ({last})", line=row.line)
        time = time if begin is None else begin
        duration, repeat = said.integer("d"), said.signed("r")
        if duration == 0:
            raise PlaylistMalformed("S has no d, or one of 0; give how long the segment is", line=row.line)
        many = repeat + 1
        if repeat < 0:
            # Up to the S that follows, or to the end of the period.
            after = Reader(limits, rows[place + 1]).maybe_integer("t") if place + 1 < len(rows) else None
            if place + 1 < len(rows) and after is None:
                raise PlaylistMalformed("S repeats up to the next one, which has no t", line=row.line)
            many = OPEN if after is None else max(0, -(-(after - time) // duration))
        count += max(many, 0)
        if count > limits.segments_max:
            raise PlaylistTooLarge(
                f"has {count} segments in one timeline; raise segments_max above {limits.segments_max}", line=row.line
            )
        end = time + duration * max(many, 1)
        if end > UINT64_MAX:
            raise PlaylistMalformed(f"S goes on to tick {end}, beyond 64 bits", line=row.line)
        if many:
            runs.append(Run(time, duration, many, number))
            last = time + duration * (many - 1)
        number += max(many, 0)
        time += duration * max(many, 0)
    return tuple(runs)
