"""What was taken last of a live playlist, and how the next load follows from it.

    the last load      head  s0  s1  s2  s3 ............ s97 s98  rest
    the next           head          s2' s3 ............ s97 s98' s99  rest
                                     ^   ^-- compared --^ ^-- read --^

A window is cut behind each URI line.  Of the next load three pieces are looked at: the head with its first segment,
which says again what is in force; then as many segments as are there byte for byte; and the rest, which is read on from
what the last of those left in force.  That the first segment comes out as it was is what makes the others the same:
nothing else reaches from one segment to the next.

It is given up, and the playlist read as a whole, where something is said of all of it between two segments (a version,
a hint, a definition), where two segments have one name, and where too little stayed.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Sequence

import msgspec

from shoal.balancer.model import Segment

from .catalogue import Resources
from .common import Common
from .delta import HEAD, SKIP
from .media import MediaParser
from .multivariant import MULTIVARIANT_TAGS
from .playlist import MediaPlaylist, MediaSegment, Part
from .tokenizer import Limits, Line, lines_of, tokenize

__all__ = ["Slide", "Window", "window_of"]

_KEPT_MIN = 16  # segments; to read fewer again costs less than to hold them against the load before
_HEAD_BYTES_MAX = 64 * 1024  # with the first segment; a longer one is most of the playlist, or none
_PART_BYTES_MIN = len('#EXT-X-PART:DURATION=1,URI="a"\n')

# Tags, comments and blank lines, and then a URI line: a segment's text.
_CHUNK = re.compile(rb"(?:(?:#[^\n]*+|[ \t\r]*+)\n)*+[^\n]++\n")
# A reference that is a fragment alone is resolved to the playlist's own URL, with its query.
_FRAGMENT = re.compile(rb'"[ \t]*+#')
_WHOLE = frozenset(HEAD | MULTIVARIANT_TAGS | {"EXT-X-ENDLIST", "EXT-X-PRELOAD-HINT", "EXT-X-RENDITION-REPORT", SKIP})
_NEVER = frozenset(MULTIVARIANT_TAGS | {"EXT-X-DEFINE", "EXT-X-ENDLIST", SKIP})

_Name = str | tuple[str, int, int]


class Slide(msgspec.Struct, frozen=True, kw_only=True):
    """How a load follows from what was taken last."""

    window: Window
    cut: int  # segments that are listed no longer
    kept: int  # that stay, with the first one
    head_end: int  # in the data: behind the first segment
    tail_begin: int  # of what is new
    takes: int  # of the window, before it
    playlist: MediaPlaylist  # the head, and the segments that are new
    last: MediaSegment  # that stays
    newest: tuple[MediaSegment, ...]  # two
    has_fragments: bool

    @property
    def first(self) -> int:
        """Media sequence number of the first segment."""
        return self.playlist.media_sequence

    @property
    def end(self) -> int:
        """The number that follows the last one."""
        return self.first + self.kept + len(self.playlist.segments)


class _Row:
    """The segments of a window by their place: what is left of the last whole load, and what came since."""

    __slots__ = ("_begin", "_end", "_newer", "_whole")

    def __init__(self, whole: Sequence[MediaSegment]) -> None:
        self._whole = whole
        self._begin, self._end = 0, len(whole)
        self._newer: list[MediaSegment] = []

    def __len__(self) -> int:
        return self._end - self._begin + len(self._newer)

    def __getitem__(self, place: int) -> MediaSegment:
        old = self._end - self._begin
        return self._whole[self._begin + place] if place < old else self._newer[place - old]

    def slide(self, cut: int, kept: int, newer: Iterable[MediaSegment]) -> None:
        self._begin += min(cut, old := self._end - self._begin)
        del self._newer[: max(0, cut - old)]
        old = self._end - self._begin
        self._end = self._begin + min(old, kept)
        del self._newer[max(0, kept - old) :]
        self._newer += newer
        if self._begin == self._end:
            self._whole = ()  # a playlist's text is behind it
            self._begin = self._end = 0


class Window:
    """Made by `window_of`, and changed by `take` alone: what was read before that is read for nothing."""

    __slots__ = (
        *("_data", "_end", "_has_fragments", "_lengths", "_limits", "_names", "_part_ends", "_segments"),
        *("_takes", "_told", "_told_end", "_told_lengths", "first", "resources", "url"),
    )

    def __init__(
        self,
        data: bytes,
        told: bytes,
        *,
        lengths: tuple[list[int], list[int]],  # of each piece, in both
        names: set[_Name],
        playlist: MediaPlaylist,
        limits: Limits,
        resources: Resources,
    ) -> None:
        self._data, self._told = data, told
        self._lengths, self._told_lengths = lengths
        self._end, self._told_end = sum(self._lengths), sum(self._told_lengths)  # of the last segment
        self._names = names
        self.url = playlist.url
        self._limits = limits
        self.first = playlist.media_sequence
        self._segments = _Row(playlist.segments)
        self._part_ends = deque(_part_ends(playlist.segments) if b"#EXT-X-PART:" in data else ())
        self._has_fragments = _FRAGMENT.search(data) is not None
        self._takes = 0
        self.resources = resources

    def __len__(self) -> int:
        return len(self._segments)

    def __getitem__(self, place: int) -> MediaSegment:
        return self._segments[place]

    def is_of(self, data: bytes) -> bool:
        """Whether that was taken last."""
        return self._data is data

    def is_as_read(self, slide: Slide) -> bool:
        """Whether nothing was taken since that was read."""
        return slide.window is self and slide.takes == self._takes

    def text(self, first: int, end: int) -> bytes:
        """Of the segments at these places; the head is before that at 0."""
        begin = sum(self._lengths[:first])
        return self._data[begin : begin + sum(self._lengths[first:end])]

    # -- reading

    def follow(self, data: bytes, url: str, limits: Limits) -> Slide | None:
        """How `data` follows from this; None if it does not, or if only the whole can tell.  Changes nothing.

        Cost: that of comparing bytes, and what is new.  PlaylistError, which then names a wrong line.
        """
        if limits != self._limits or not self._is_within(data):
            return None
        found = _CHUNK.match(data, 0, _HEAD_BYTES_MAX)
        if found is None:
            return None
        head = tokenize(found[0], limits)
        if b"{$" in found[0] or not _NEVER.isdisjoint(line.name for line in head):
            return None
        parser = MediaParser(Common((), url, limits), {})
        parser.read(head)
        (first,) = parser.segments
        cut = first.sequence - self.first
        if not 0 <= cut <= len(self._segments) - _KEPT_MIN or not _is_same(first, self._segments[cut]):
            return None
        kept, begin = self._stayed(data, found.end(), cut)
        tail = lines_of(data[begin:], len(head) + 1, limits)
        has_fragments = self._has_fragments or bool(_FRAGMENT.search(found[0]) or _FRAGMENT.search(data, begin))
        if kept < _KEPT_MIN or b"{$" in data[begin:] or not _is_of_segments(tail):
            return None
        if url != self.url and (has_fragments or url.partition("?")[0] != self.url.partition("?")[0]):
            return None
        last = self._segments[cut + kept - 1]
        parser.go_on(last, kept, self._part_end(first.sequence, last.sequence))
        parser.read(tail)
        playlist = parser.finish([*head, *tail])
        if not playlist.is_live or playlist.has_idle or not self._are_new(playlist.segments, cut, kept):
            return None
        before = (self._segments[cut + kept - 2], last)
        return Slide(
            window=self,
            cut=cut,
            kept=kept,
            head_end=found.end(),
            tail_begin=begin,
            playlist=playlist,
            last=last,
            newest=(*before, *playlist.segments[-2:])[-2:],
            takes=self._takes,
            has_fragments=has_fragments,
        )

    def _is_within(self, data: bytes) -> bool:
        """Whether it is so small that no limit of the whole can be broken which the pieces would not show."""
        limits = self._limits
        return (
            len(data) <= min(limits.playlist_bytes_max, _PART_BYTES_MIN * limits.parts_max)
            and data.count(b"\n") < limits.lines_max
        )

    def _stayed(self, data: bytes, begin: int, cut: int) -> tuple[int, int]:
        """How many segments from `cut` on are there still, and where in `data` they end."""
        old, view = sum(self._lengths[: cut + 1]), memoryview(self._data)
        same = high = self._end - old
        if not data.startswith(view[old : old + same], begin):
            same = 0
            while high - same > 1:
                middle = (same + high) // 2
                if data.startswith(view[old + same : old + middle], begin + same):
                    same = middle
                else:
                    high = middle
        kept, size = len(self._lengths) - cut, self._end - old
        while size > same:
            kept -= 1
            size -= self._lengths[cut + kept]
        return kept, begin + size

    def _part_end(self, first: int, last: int) -> tuple[str, int] | None:
        """The URI and the end of the last range that a part of these segments had."""
        for number, uri, end in reversed(self._part_ends):
            if number <= last:
                return (uri, end) if number >= first else None
        return None

    def _are_new(self, segments: Sequence[MediaSegment], cut: int, kept: int) -> bool:
        """Whether each has a name that no other of the window has, so that its path is its own."""
        names = [_name(one) for one in segments if not one.is_gap]
        freed = self._freed(cut, kept)
        return len({*names}) == len(names) and all(name in freed or name not in self._names for name in names)

    def _freed(self, cut: int, kept: int) -> set[_Name]:
        places = (*range(cut), *range(cut + kept, len(self._segments)))
        return {_name(one) for one in (self._segments[place] for place in places) if not one.is_gap}

    # -- going on

    def take(self, slide: Slide, data: bytes, fresh: bytes, resources: Resources) -> bytes:
        """`fresh` is for the player: the head, and what is new; gives all of it."""
        cut, kept, newer = slide.cut, slide.kept, slide.playlist.segments
        told = _CHUNK.match(fresh)
        assert told is not None, "its head has a segment"
        begin = sum(self._told_lengths[: cut + 1])
        end = self._told_end - sum(self._told_lengths[cut + kept :])
        self._told = b"".join((told[0], memoryview(self._told)[begin:end], fresh[told.end() :]))
        self._told_lengths = [
            told.end(),
            *self._told_lengths[cut + 1 : cut + kept],
            *_lengths(fresh[told.end() :]),
        ]
        self._lengths = [slide.head_end, *self._lengths[cut + 1 : cut + kept], *_lengths(data[slide.tail_begin :])]
        assert len(self._lengths) == len(self._told_lengths) == kept + len(newer), "each segment has its piece"
        self._told_end = sum(self._told_lengths)
        self._end = sum(self._lengths)
        self._names -= self._freed(cut, kept)
        self._names.update(_name(one) for one in newer if not one.is_gap)
        self._segments.slide(cut, kept, newer)
        while self._part_ends and self._part_ends[-1][0] > slide.last.sequence:
            self._part_ends.pop()
        self._part_ends += _part_ends(newer)
        while self._part_ends and self._part_ends[0][0] < slide.first:
            self._part_ends.popleft()
        self._data, self.first, self.url = data, slide.first, slide.playlist.url
        self._has_fragments = slide.has_fragments
        self._takes += 1
        self.resources = resources
        return self._told


def window_of(data: bytes, playlist: MediaPlaylist, limits: Limits, resources: Resources, told: bytes) -> Window | None:
    """None for a playlist of which the next load is to be read as a whole."""
    count = len(playlist.segments)
    if not playlist.is_live or playlist.variables or playlist.has_idle or count < _KEPT_MIN:
        return None
    lengths = _lengths(data), _lengths(told)
    names: set[_Name] = {_name(one) for one in resources.media}
    if not len(lengths[0]) == len(lengths[1]) == count or len(names) != len(resources.media):
        return None
    first, last = playlist.segments[0].line, playlist.segments[-1].line
    between = (line for line in playlist.layout.items if isinstance(line, Line) and first < line.number < last)
    if any(line.name in _WHOLE for line in between):
        return None
    return Window(data, told, lengths=lengths, names=names, playlist=playlist, limits=limits, resources=resources)


def _is_of_segments(lines: Sequence[Line]) -> bool:
    """Whether nothing is said of the whole playlist but behind the last segment, where it is read each time."""
    if any(line.name in _NEVER for line in lines):
        return False
    last = next((place for place in range(len(lines) - 1, -1, -1) if lines[place].is_uri), 0)
    return all(line.name not in _WHOLE for line in lines[:last])


def _is_same(one: MediaSegment, other: MediaSegment) -> bool:
    """Whether it is the segment that it was, and leaves in force what it left.  Its date and title may be new."""
    return (
        one.uri == other.uri
        and one.byte_range == other.byte_range
        and one.duration_us == other.duration_us
        and one.discontinuity_sequence == other.discontinuity_sequence
        and one.map == other.map
        and one.keys == other.keys
        and one.bitrate_kbps == other.bitrate_kbps
        and one.is_gap == other.is_gap
        and [*map(_told, one.parts)] == [*map(_told, other.parts)]
    )


def _told(part: Part) -> Part:
    return msgspec.structs.replace(part, line=0)


def _lengths(text: bytes) -> list[int]:
    lengths: list[int] = []
    end = 0
    while found := _CHUNK.match(text, end):
        lengths.append(found.end() - end)
        end = found.end()
    return lengths


def _name(one: MediaSegment | Segment) -> _Name:
    part = one.byte_range
    return one.uri if part is None else (one.uri, part.offset, part.length)


def _part_ends(segments: Iterable[MediaSegment]) -> list[tuple[int, str, int]]:
    """Of each segment whose parts have ranges: its number, and where the last of them ends in which file."""
    found: list[tuple[int, str, int]] = []
    for segment in segments:
        for part in reversed(segment.parts):
            if part.byte_range is not None:
                found.append((segment.sequence, part.uri, part.byte_range.offset + part.byte_range.length))
                break
    return found
