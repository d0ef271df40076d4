"""A delta update made whole again (draft-pantos-hls-rfc8216bis, 6.2.5.1).

    the playlist before          the update                the whole
    MEDIA-SEQUENCE:10            MEDIA-SEQUENCE:11         MEDIA-SEQUENCE:11
    segments 10 to 19            SKIPPED-SEGMENTS=7        segments 11 to 17, from before
                                 segments 18 to 20         segments 18 to 20, from the update

It is done on lines, before they are read: what then comes out of the parser is
what a whole playlist gives, with everything that applies to a skipped segment.
From before come the lines of the skipped segments, and ahead of them the keys, the
initialization section and the bit rate that were in force where the window begins
now.  Left behind are parts (servers drop those of old segments themselves) and what
an update repeats: hints, reports and, unless it says which of them went
(RECENTLY-REMOVED-DATERANGES), date ranges.

Linear in the window.  An update that does not join is PlaylistUnsupported: load
the whole playlist then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import urljoin

from shoal.balancer.errors import PlaylistTooLarge, PlaylistUnsupported

from .attributes import AttributeList, decimal_integer
from .low_latency import skip
from .playlist import MediaPlaylist, MediaSegment, Skip
from .tokenizer import Limits, Line

__all__ = ["HEAD", "IN_FORCE", "SKIP", "expand", "folder_of", "in_force", "of_segments", "sequence_of", "skip_url"]

SKIP = "EXT-X-SKIP"

# Of the whole playlist: an update says them itself.
HEAD = frozenset(
    {
        "EXTM3U",
        "EXT-X-DEFINE",
        "EXT-X-DISCONTINUITY-SEQUENCE",
        "EXT-X-I-FRAMES-ONLY",
        "EXT-X-INDEPENDENT-SEGMENTS",
        "EXT-X-MEDIA-SEQUENCE",
        "EXT-X-PART-INF",
        "EXT-X-PLAYLIST-TYPE",
        "EXT-X-SERVER-CONTROL",
        "EXT-X-START",
        "EXT-X-TARGETDURATION",
        "EXT-X-VERSION",
    }
)
_REPEATED = frozenset({"EXT-X-ENDLIST", "EXT-X-PART", "EXT-X-PRELOAD-HINT", "EXT-X-RENDITION-REPORT", SKIP})
IN_FORCE = frozenset({"EXT-X-BITRATE", "EXT-X-KEY", "EXT-X-MAP"})


def skip_url(url: str) -> str:
    """`url` with the directive that asks for a delta update; the rest of its query stays as it was signed."""
    return f"{url}{'&' if '?' in url else '?'}_HLS_skip=YES"


def expand(lines: Sequence[Line], url: str, before: MediaPlaylist | None, limits: Limits) -> list[Line]:
    """The lines of the whole playlist, numbered anew.  `lines` are of the update, loaded from `url`."""
    place = next(index for index, line in enumerate(lines) if line.name == SKIP)
    left_out = skip(AttributeList(lines[place], limits))
    if before is None:
        raise PlaylistUnsupported(
            "EXT-X-SKIP: a delta update, which leaves segments out; ask without _HLS_skip", line=left_out.line
        )
    if folder_of(url) != folder_of(before.url):
        raise PlaylistUnsupported(
            f"EXT-X-SKIP: the segments it leaves out are known from {folder_of(before.url)}; ask without _HLS_skip",
            line=left_out.line,
        )
    segments = _skipped(sequence_of(lines), left_out, before)
    old = before.layout.lines
    whole = list(lines[:place])
    if segments:
        first = segments[0].place
        begin = before.segments[first - 1].line if first else 0
        whole += in_force(old[:begin], limits)
        # Tags of the whole playlist that we do not know stand before its first segment, and would pile up there.
        said = frozenset(line.text for line in lines[:place]) if first == 0 else frozenset()
        kept = of_segments(old[begin : segments[-1].line], segments[0], left_out, limits)
        whole += [line for line in kept if line.text not in said or line.number > segments[0].line]
    whole += _without_known(lines[place + 1 :], whole, limits)
    if len(whole) > limits.lines_max:
        raise PlaylistTooLarge(f"has {len(whole)} lines with those left out; raise lines_max above {limits.lines_max}")
    return [Line(number, line.text, line.ending or "\n", line.name) for number, line in enumerate(whole, 1)]


def _without_known(lines: Sequence[Line], before: Sequence[Line], limits: Limits) -> Iterator[Line]:
    """`lines`, of which the first segment does not say again what is in force: each update would add it once more."""
    known = {line.text for line in in_force(before, limits)}
    is_first = True
    for line in lines:
        is_first = is_first and not line.is_uri
        if not (is_first and line.name in IN_FORCE and line.text in known):
            yield line


def _skipped(sequence: int, left_out: Skip, before: MediaPlaylist) -> Sequence[MediaSegment]:
    first = sequence - before.media_sequence
    if first < 0 or first + left_out.segments > len(before.segments):
        raise PlaylistUnsupported(
            f"EXT-X-SKIP leaves out segments {sequence} to {sequence + left_out.segments - 1}, and "
            f"{before.media_sequence} to {before.media_sequence + len(before.segments) - 1} are known; "
            "ask without _HLS_skip",
            line=left_out.line,
        )
    return before.segments[first : first + left_out.segments]


def sequence_of(lines: Iterable[Line]) -> int:
    for line in lines:
        if line.name == "EXT-X-MEDIA-SEQUENCE":
            return decimal_integer(line.value, line, line.name)
    return 0


def in_force(lines: Iterable[Line], limits: Limits) -> list[Line]:
    """What the lines that went leave in force for those after them: keys, an initialization section, a bit rate."""
    found: dict[tuple[str, str], Line] = {}
    for line in lines:
        if line.name not in IN_FORCE:
            continue
        key_format = ""
        if line.name == "EXT-X-KEY":
            attributes = AttributeList(line, limits)
            key_format = attributes.text("KEYFORMAT") or "identity"
            if attributes["METHOD"].value == "NONE":
                found = {name: kept for name, kept in found.items() if name[0] != "EXT-X-KEY"}
                continue
        found.pop((line.name, key_format), None)
        found[line.name, key_format] = line
    return list(found.values())


def of_segments(lines: Iterable[Line], first: MediaSegment, left_out: Skip, limits: Limits) -> list[Line]:
    kept: list[Line] = []
    for line in lines:
        if line.name in HEAD or line.name in _REPEATED:
            continue
        if line.name == "EXT-X-DATERANGE" and _is_gone(line, left_out, limits):
            continue
        if line.name == "EXT-X-BYTERANGE" and line.number < first.line:
            assert first.byte_range is not None  # else the range before, which it follows, would be lost
            text = f"#EXT-X-BYTERANGE:{first.byte_range.length}@{first.byte_range.offset}"
            kept.append(Line(line.number, text, line.ending, line.name))
        else:
            kept.append(line)
    return kept


def _is_gone(line: Line, left_out: Skip, limits: Limits) -> bool:
    if left_out.removed_date_ranges is None:
        return True  # an update that skips no date ranges has them all
    return AttributeList(line, limits).text("ID") in left_out.removed_date_ranges


def folder_of(url: str) -> str:
    return urljoin(url.partition("?")[0], ".")
