"""Media playlists (RFC 8216, 4.3.2 and 4.3.3).

    tags that apply to the next segment        EXTINF BYTERANGE DISCONTINUITY GAP PROGRAM-DATE-TIME
    tags that apply from here on               KEY MAP BITRATE
    tags of the whole playlist                 TARGETDURATION MEDIA-SEQUENCE ... ENDLIST
    tags of low latency (low_latency.py)       PART PART-INF SERVER-CONTROL PRELOAD-HINT RENDITION-REPORT

A delta update (EXT-X-SKIP) is whole when it comes here: `delta.py` saw to that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Sized

from shoal.balancer.errors import PlaylistMalformed, PlaylistTooLarge
from shoal.balancer.model import ByteRange

from .attributes import OFFSET_MAX, byte_range, closed_byte_range, date_time_us, decimal_integer, duration_us
from .common import Common
from .low_latency import PartReader, part_target_us, preload_hint, rendition_report, server_control
from .playlist import (
    InitSection,
    Key,
    MediaPlaylist,
    MediaSegment,
    Part,
    PreloadHint,
    RenditionReport,
    ServerControl,
    UriKind,
)
from .runs import Item, Run
from .segments import PlainSegments, Segments
from .tokenizer import BLANKS, Line, shorten

__all__ = ["MEDIA_TAGS", "MediaParser"]

MEDIA_TAGS = frozenset(
    {
        "EXTINF",
        "EXT-X-BITRATE",
        "EXT-X-BYTERANGE",
        "EXT-X-DISCONTINUITY",
        "EXT-X-DISCONTINUITY-SEQUENCE",
        "EXT-X-ENDLIST",
        "EXT-X-GAP",
        "EXT-X-I-FRAMES-ONLY",
        "EXT-X-KEY",
        "EXT-X-MAP",
        "EXT-X-MEDIA-SEQUENCE",
        "EXT-X-PART",
        "EXT-X-PART-INF",
        "EXT-X-PLAYLIST-TYPE",
        "EXT-X-PRELOAD-HINT",
        "EXT-X-PROGRAM-DATE-TIME",
        "EXT-X-RENDITION-REPORT",
        "EXT-X-SERVER-CONTROL",
        "EXT-X-SKIP",
        "EXT-X-TARGETDURATION",
    }
)

_SEQUENCE_MAX = 2**53 - 1  # players written in JavaScript count no further


class _Next:
    """What was said of the segment whose URI comes next."""

    def __init__(self) -> None:
        self.duration: Line | None = None
        self.duration_us = 0
        self.title = ""
        self.byte_range: tuple[int, int | None] | None = None
        self.byte_range_line = 0
        self.is_discontinuity = False
        self.is_gap = False
        self.program_date_time_us: int | None = None
        self.parts: list[Part] = []

    @property
    def is_said(self) -> bool:
        """Whether anything was."""
        return bool(
            self.duration is not None
            or self.byte_range
            or self.is_discontinuity
            or self.is_gap
            or self.program_date_time_us is not None
            or self.parts
        )


class MediaParser:
    """Reads one playlist, once."""

    def __init__(self, common: Common, variables: dict[str, str]) -> None:
        self.common = common
        self.variables = variables
        self.segments: list[MediaSegment] = []  # since the last run
        self._pieces: list[tuple[MediaSegment, ...] | PlainSegments] = []
        self._count = 0  # of segments so far
        self.target_duration_us: int | None = None
        self.media_sequence = 0
        self.discontinuity_sequence = 0
        self.playlist_type: str | None = None
        self.has_end = False
        self.is_i_frames_only = False
        self.part_target_us: int | None = None
        self.server_control: ServerControl | None = None
        self.preload_hints: list[PreloadHint] = []
        self.rendition_reports: list[RenditionReport] = []
        self._part_reader = PartReader(common)
        self._part_count = 0
        self._next = _Next()
        self._discontinuities = 0  # so far
        self._keys: dict[str, Key] = {}  # by KEYFORMAT
        self._keys_in_force: tuple[Key, ...] = ()
        self._map: InitSection | None = None
        self._bitrate_kbps: int | None = None
        self._said: set[str] = set()  # since the last segment: MAP, and KEY with its KEYFORMAT
        self._has_idle = False
        self._range_end: tuple[str, int] | None = None  # of the segment before, if it was a part of a file

    def parse(self) -> MediaPlaylist:
        return self.finish(self.read(self.common.items))

    def read(self, items: Iterable[Item]) -> list[Item]:
        """Read these; gives them back, as what is left to keep."""
        kept: list[Item] = []
        for item in items:
            kept += self._run(item) if isinstance(item, Run) else self._line(item)
        return kept

    def go_on(self, last: MediaSegment, count: int, part_end: tuple[str, int] | None) -> None:
        """Go on behind `last`, as if `count` segments that end with it had been read; `part_end` is of their parts."""
        self.segments = []
        self._count = count
        self._discontinuities = last.discontinuity_sequence - self.discontinuity_sequence
        self._keys = {key.key_format: key for key in last.keys}
        self._keys_in_force = last.keys
        self._map = last.map
        self._bitrate_kbps = last.bitrate_kbps
        self._range_end = _end(last)
        self._part_reader.go_on(part_end)

    def finish(self, items: Sequence[Item]) -> MediaPlaylist:
        """What they say; `items` are all that was read."""
        self.common.items = items
        if self._next.duration is not None:
            raise PlaylistMalformed(
                "EXTINF has no URI line after it; is the playlist cut off?", line=self._next.duration.number
            )
        if self.target_duration_us is None:
            raise PlaylistMalformed("has no EXT-X-TARGETDURATION; add it (RFC 8216, 4.3.3.1)")
        common = self.common
        return MediaPlaylist(
            url=common.url,
            version=common.version,
            target_duration_us=self.target_duration_us,
            media_sequence=self.media_sequence,
            discontinuity_sequence=self.discontinuity_sequence,
            playlist_type=self.playlist_type,
            has_end=self.has_end,
            is_i_frames_only=self.is_i_frames_only,
            is_independent=common.is_independent,
            start=common.start,
            segments=self._segments(),
            parts=tuple(self._next.parts),
            part_target_us=self.part_target_us,
            server_control=self.server_control,
            preload_hints=tuple(self.preload_hints),
            rendition_reports=tuple(self.rendition_reports),
            has_idle=self._has_idle,
            variables=self.variables,
            unknown_tags=tuple(common.unknown_tags),
            layout=common.layout(),
        )

    def _line(self, line: Line) -> tuple[Line]:
        """Read it; gives it back, as what is left to keep."""
        if line.is_uri:
            self._segment(line)
        elif line.name and not self.common.read(line):
            self._tag(line)
        return (line,)

    def _run(self, run: Run) -> tuple[Item, ...]:
        """Read it; gives it back, with its beginning in lines if the first segment is not plain after all."""
        if self._next.is_said:
            begun = tuple(run.first_block())
            for line in begun:
                self._line(line)
            rest = run.after_first_block()
            return begun if rest is None else (*begun, *self._run(rest))
        if self._count + run.count > self.common.limits.segments_max:
            raise self._too_many(run.number)
        self._close_piece()
        segments = PlainSegments(
            run,
            self.common.folder,
            place=self._count,
            sequence=self.media_sequence + self._count,
            discontinuity_sequence=self.discontinuity_sequence + self._discontinuities,
            map=self._map,
            keys=self._keys_in_force,
            bitrate_kbps=self._bitrate_kbps,
        )
        self._pieces.append(segments)
        self._count += run.count
        self._said.clear()
        self._range_end = _end(segments[run.count - 1])
        return (run,)

    def _segments(self) -> Sequence[MediaSegment]:
        if not self._pieces:
            return tuple(self.segments)
        self._close_piece()
        return Segments(self._pieces)

    def _close_piece(self) -> None:
        if self.segments:
            self._pieces.append(tuple(self.segments))
            self.segments = []

    def _tag(self, line: Line) -> None:
        match line.name:
            case "EXTINF":
                self._extinf(line)
            case "EXT-X-BYTERANGE":
                self._next.byte_range = byte_range(line.value, line, line.name)
                self._next.byte_range_line = line.number
            case "EXT-X-DISCONTINUITY":
                self._next.is_discontinuity = True
            case "EXT-X-GAP":
                self._next.is_gap = True
            case "EXT-X-PROGRAM-DATE-TIME":
                self._next.program_date_time_us = date_time_us(line.value, line)
            case "EXT-X-BITRATE":
                self._bitrate_kbps = decimal_integer(line.value, line, line.name)
            case "EXT-X-KEY":
                self._key(line)
            case "EXT-X-MAP":
                self._init_section(line)
            case "EXT-X-TARGETDURATION":
                self.common.once(line)
                self.target_duration_us = self._duration(line, line.value)
            case "EXT-X-MEDIA-SEQUENCE":
                self.media_sequence = self._sequence(line)
            case "EXT-X-DISCONTINUITY-SEQUENCE":
                self.discontinuity_sequence = self._sequence(line)
            case "EXT-X-PLAYLIST-TYPE":
                self.common.once(line)
                if line.value not in {"VOD", "EVENT"}:
                    raise PlaylistMalformed(
                        f"EXT-X-PLAYLIST-TYPE is {shorten(line.value)}; write VOD, EVENT or no such tag",
                        line=line.number,
                    )
                self.playlist_type = line.value
            case "EXT-X-ENDLIST":
                self.has_end = True
            case "EXT-X-I-FRAMES-ONLY":
                self.is_i_frames_only = True
            case _:
                self._low_latency_tag(line)

    def _low_latency_tag(self, line: Line) -> None:
        match line.name:
            case "EXT-X-PART":
                self._part_count += 1
                if self._part_count > self.common.limits.parts_max:
                    raise PlaylistTooLarge(
                        f"has too many parts; raise parts_max above {self.common.limits.parts_max}", line=line.number
                    )
                self._next.parts.append(self._part_reader.read(line))
            case "EXT-X-PART-INF":
                self.common.once(line)
                self.part_target_us = part_target_us(self.common.attributes(line))
            case "EXT-X-SERVER-CONTROL":
                self.common.once(line)
                self.server_control = server_control(self.common.attributes(line))
            case "EXT-X-PRELOAD-HINT":
                hint = preload_hint(self.common, line)
                if hint is not None:
                    self._room(line, self.preload_hints)
                    self.preload_hints.append(hint)
            case "EXT-X-RENDITION-REPORT":
                self._room(line, self.rendition_reports)
                self.rendition_reports.append(rendition_report(self.common, line))
            case _:
                self.common.keep_unknown(line)

    def _room(self, line: Line, collected: Sized) -> None:
        if len(collected) >= self.common.limits.streams_max:
            raise PlaylistTooLarge(
                f"{line.name} is there too often; raise streams_max above {self.common.limits.streams_max}",
                line=line.number,
            )

    def _extinf(self, line: Line) -> None:
        if self._next.duration is not None:
            raise PlaylistMalformed(
                f"a second EXTINF (the first is in line {self._next.duration.number}) with no URI line between them; "
                "add the URI or remove one",
                line=line.number,
            )
        duration, _, title = line.value.partition(",")
        self._next.duration = line
        self._next.duration_us = self._duration(line, duration.strip(BLANKS))
        self._next.title = title.strip(BLANKS)

    def _duration(self, line: Line, value: str) -> int:
        duration = duration_us(value, line, line.name)
        if duration > self.common.limits.duration_us_max:
            raise PlaylistTooLarge(
                f"{line.name} is {shorten(value)} seconds; raise duration_us_max above "
                f"{self.common.limits.duration_us_max}",
                line=line.number,
            )
        return duration

    def _sequence(self, line: Line) -> int:
        self.common.once(line)
        number = decimal_integer(line.value, line, line.name)
        if number > _SEQUENCE_MAX - self.common.limits.segments_max:
            raise PlaylistTooLarge(f"{line.name} is {number}; players count to 2^53-1", line=line.number)
        if self._count or (line.name == "EXT-X-DISCONTINUITY-SEQUENCE" and self._next.is_discontinuity):
            raise PlaylistMalformed(
                f"{line.name} comes after what it numbers; move it before the first segment (RFC 8216, 4.3.3)",
                line=line.number,
            )
        return number

    def _key(self, line: Line) -> None:
        key = self.common.key(line, UriKind.KEY)
        if key is None:
            self._has_idle |= len(self._said - {"MAP"}) > 0
            self._keys.clear()
        else:
            self._keys[key.key_format] = key  # in place of the one of the same KEYFORMAT (4.3.2.4)
            if len(self._keys) > self.common.limits.keys_max:
                raise PlaylistTooLarge(
                    f"has too many keys at once; raise keys_max above {self.common.limits.keys_max}", line=line.number
                )
        self._keys_in_force = tuple(self._keys.values())
        if key is not None:
            self._note(f"KEY {key.key_format}")

    def _note(self, said: str) -> None:
        self._has_idle |= said in self._said
        self._said.add(said)

    def _init_section(self, line: Line) -> None:
        attributes = self.common.attributes(line)
        attributes.required_text("URI")
        text = attributes.text("BYTERANGE")
        part = None if text is None else closed_byte_range(text, line, "BYTERANGE")
        uri = self.common.attribute_uri(line, attributes["URI"], UriKind.MAP, part)
        self._map = InitSection(uri=uri, byte_range=part)
        self._note("MAP")

    def _segment(self, line: Line) -> None:
        said = self._next
        if said.duration is None:
            raise PlaylistMalformed(
                f"segment {shorten(line.text)} without an EXTINF before it; add the tag", line=line.number
            )
        if self._count == self.common.limits.segments_max:
            raise self._too_many(line.number)
        self._discontinuities += said.is_discontinuity
        uri = self.common.line_uri(line, UriKind.SEGMENT)
        part = self._part(uri)
        if not said.is_gap:  # nobody loads a gap, so that it needs no name
            self.common.refer(line, UriKind.SEGMENT, uri, part)
            self._said.clear()
        self.segments.append(
            MediaSegment(
                place=self._count,
                sequence=self.media_sequence + self._count,
                discontinuity_sequence=self.discontinuity_sequence + self._discontinuities,
                uri=uri,
                duration_us=said.duration_us,
                title=said.title,
                byte_range=part,
                map=self._map,
                keys=self._keys_in_force,
                is_discontinuity=said.is_discontinuity,
                is_gap=said.is_gap,
                parts=tuple(said.parts),
                program_date_time_us=said.program_date_time_us,
                bitrate_kbps=self._bitrate_kbps,
                line=line.number,
            )
        )
        self._count += 1
        self._next = _Next()

    def _too_many(self, line_number: int) -> PlaylistTooLarge:
        return PlaylistTooLarge(
            f"has too many segments; raise segments_max above {self.common.limits.segments_max}", line=line_number
        )

    def _part(self, uri: str) -> ByteRange | None:
        """The byte range of the segment at hand; one without an offset follows the range before (4.3.2.2)."""
        said = self._next.byte_range
        if said is None:
            self._range_end = None
            return None
        length, offset = said
        if offset is None:
            if self._range_end is None or self._range_end[0] != uri:
                raise PlaylistMalformed(
                    "EXT-X-BYTERANGE has no offset, and the segment before is no range of the same file; write "
                    f"{length}@OFFSET",
                    line=self._next.byte_range_line,
                )
            offset = self._range_end[1]
        if offset + length > OFFSET_MAX:
            raise PlaylistMalformed("EXT-X-BYTERANGE ends above 2^63-1", line=self._next.byte_range_line)
        self._range_end = (uri, offset + length)
        return ByteRange(offset, length)


def _end(segment: MediaSegment) -> tuple[str, int] | None:
    """Where the next range of the same file begins, if the next one does not say it."""
    part = segment.byte_range
    return None if part is None else (segment.uri, part.offset + part.length)
