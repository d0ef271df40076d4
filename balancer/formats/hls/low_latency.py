"""What a low-latency playlist says beside its segments (draft-pantos-hls-rfc8216bis, 4.4.3.7 to 4.4.5).

    EXT-X-PART             a piece of the segment that comes next, published before that is whole
    EXT-X-PART-INF         how long parts are at most
    EXT-X-SERVER-CONTROL   what the server can do: wait with its answer, leave out what is known
    EXT-X-PRELOAD-HINT     what will be needed next, to be asked for before it exists
    EXT-X-RENDITION-REPORT how far another rendition is
    EXT-X-SKIP             how many segments a delta update leaves out (`delta.py` puts them back)

One reader for each tag: a line in, a frozen value out, PlaylistMalformed for what a
server must not write.  Durations are microseconds.
"""

from __future__ import annotations

from shoal.balancer.model import ByteRange

from .attributes import OFFSET_MAX, AttributeList, byte_range, duration_us
from .common import Common
from .playlist import Part, PreloadHint, RenditionReport, ServerControl, Skip, UriKind
from .tokenizer import Line

__all__ = ["PartReader", "part_target_us", "preload_hint", "rendition_report", "server_control", "skip"]


class PartReader:
    """Parts in the order of the playlist: a range without an offset follows the one before of the same URI."""

    def __init__(self, common: Common) -> None:
        self._common = common
        self._ends: dict[str, int] = {}  # URI -> where its last range ended

    def go_on(self, end: tuple[str, int] | None) -> None:
        """Go on behind parts of which the last range ended there."""
        self._ends = {} if end is None else dict((end,))

    def read(self, line: Line) -> Part:
        attributes = self._common.attributes(line)
        attributes.required_text("URI")
        text = attributes.text("BYTERANGE")
        uri = self._common.attribute_target(line, attributes["URI"], UriKind.PART)
        part = None if text is None else self._range(uri, text, line)
        is_gap = attributes.flag("GAP")
        if not is_gap:  # nobody loads a gap, so that it needs no name
            self._common.refer_attribute(line, attributes["URI"], UriKind.PART, uri, part)
        return Part(
            uri=uri,
            duration_us=_duration(attributes, "DURATION"),
            byte_range=part,
            is_independent=attributes.flag("INDEPENDENT"),
            is_gap=is_gap,
            line=line.number,
        )

    def _range(self, uri: str, text: str, line: Line) -> ByteRange:
        length, offset = byte_range(text, line, "BYTERANGE")
        begin = self._ends.get(uri, 0) if offset is None else offset
        if begin + length > OFFSET_MAX:
            AttributeList(line, self._common.limits).fail("BYTERANGE ends above 2^63-1")
        self._ends = {uri: begin + length}  # an encoder goes on with one file and does not come back to another
        return ByteRange(begin, length)


def part_target_us(attributes: AttributeList) -> int:
    """EXT-X-PART-INF."""
    return _duration(attributes, "PART-TARGET")


def server_control(attributes: AttributeList) -> ServerControl:
    return ServerControl(
        can_block_reload=attributes.flag("CAN-BLOCK-RELOAD"),
        can_skip_until_us=_duration_or_none(attributes, "CAN-SKIP-UNTIL"),
        can_skip_date_ranges=attributes.flag("CAN-SKIP-DATERANGES"),
        hold_back_us=_duration_or_none(attributes, "HOLD-BACK"),
        part_hold_back_us=_duration_or_none(attributes, "PART-HOLD-BACK"),
    )


def preload_hint(common: Common, line: Line) -> PreloadHint | None:
    """None for a type that the draft does not know, which a client has to ignore (4.4.5.3)."""
    attributes = common.attributes(line)
    attributes.required_text("URI")
    kind = attributes["TYPE"].value
    if kind not in {"PART", "MAP"}:
        return None
    uri = common.attribute_target(line, attributes["URI"], UriKind.PRELOAD_HINT)
    first_byte = attributes.integer("BYTERANGE-START") or 0
    byte_count = attributes.integer("BYTERANGE-LENGTH")
    if first_byte + (byte_count or 0) > OFFSET_MAX:
        attributes.fail("the byte range ends above 2^63-1")
    if kind == "PART":  # an initialization section is named when a playlist says that it is there
        common.refer_attribute(line, attributes["URI"], UriKind.PRELOAD_HINT, uri, ByteRange(first_byte, 0))
    return PreloadHint(type=kind, uri=uri, first_byte=first_byte, byte_count=byte_count)


def rendition_report(common: Common, line: Line) -> RenditionReport:
    attributes = common.attributes(line)
    attributes.required_text("URI")
    return RenditionReport(
        uri=common.attribute_uri(line, attributes["URI"], UriKind.RENDITION_REPORT),
        last_sequence=attributes.integer("LAST-MSN"),
        last_part=attributes.integer("LAST-PART"),
    )


def skip(attributes: AttributeList) -> Skip:
    assert attributes["SKIPPED-SEGMENTS"]
    removed = attributes.text("RECENTLY-REMOVED-DATERANGES")
    return Skip(
        segments=attributes.integer("SKIPPED-SEGMENTS") or 0,
        removed_date_ranges=None if removed is None else tuple(removed.split("\t")),
        line=attributes.line.number,
    )


def _duration(attributes: AttributeList, name: str) -> int:
    return duration_us(attributes[name].value, attributes.line, name)


def _duration_or_none(attributes: AttributeList, name: str) -> int | None:
    return _duration(attributes, name) if name in attributes else None
