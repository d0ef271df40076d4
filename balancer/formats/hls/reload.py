"""A live playlist that is loaded again and again, each time at the price of what is new in it.

    Reload(rendition, name, report)   one rendition, over all its loads
        .read(data, url) -> Load      what came; changes nothing, so that of several that are read one can be taken
        .take(load)      -> Update    resources, and the text for the player

Most reloads say again what was said before, without the oldest segments and with
some new ones at the end.  Where a window is of segments that stand for themselves,

    #EXT-X-PROGRAM-DATE-TIME:...      or without
    #EXTINF:6.000,
    segment_00017.m4s

and its head says the same as before but for EXT-X-MEDIA-SEQUENCE, what stayed is
compared as bytes, and only the rest is parsed, numbered and named.  All else (keys
that change, discontinuities, parts, byte ranges, another head) is read as a whole,
with the same result: tests/balancer/formats/hls/test_reload.py holds one against
the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import msgspec

from shoal.balancer.errors import PlaylistError
from shoal.balancer.model import ByteRange, Kind, Segment

from .blocking import Edge, edge_of
from .catalogue import Catalogue, Resources
from .parser import parse
from .playlist import MediaPlaylist, MediaSegment, Multivariant, Playlist, UriKind
from .rewrite import Rewritten, rewrite
from .tokenizer import Limits

__all__ = ["Load", "Reload", "Update"]

_NO_VARIABLES: Mapping[str, str] = MappingProxyType({})
_KINDS = {UriKind.SEGMENT: Kind.MEDIA, UriKind.MAP: Kind.INIT, UriKind.KEY: Kind.KEY}

_CHUNK = (
    rb"(?:#EXT-X-PROGRAM-DATE-TIME:[^\r\n{]{1,64}+\n)?"
    rb"#EXTINF:[0-9]{1,4}(?:\.[0-9]{1,9})?,[^\r\n{]{0,200}+\n"
    rb"[A-Za-z0-9/][^\r\n{]{0,2000}+\n"
)
_ONE_CHUNK = re.compile(_CHUNK)
_CHUNKS = re.compile(b"(?:" + _CHUNK + b")*+")
_BODY = re.compile(rb"^#EXT(?:INF|-X-PROGRAM-DATE-TIME):", re.MULTILINE)
_NUMBER = re.compile(rb"^#EXT-X-MEDIA-SEQUENCE:([0-9]{1,15})\n", re.MULTILINE)
_LINES_A_CHUNK = 3
# Of a head that says nothing of the first segment alone, and of which no delta update is asked for.
_HEAD = re.compile(
    rb"(?:#EXT(?:M3U|-X-(?:VERSION|TARGETDURATION|MEDIA-SEQUENCE|DISCONTINUITY-SEQUENCE|PLAYLIST-TYPE|START"
    rb"|INDEPENDENT-SEGMENTS|ALLOW-CACHE|MAP|KEY))(?::[^\r\n{]{0,4096}+)?\n){2,64}+"
)
_HEAD_BYTES_MAX = 16 * 1024  # a longer head is most of the playlist, or none
_KEPT_MIN = 16  # segments; to read fewer again costs less than to hold them against the load before


class _Window(msgspec.Struct, frozen=True):
    """What was taken last, so that one end of it can be dropped and the other added to."""

    head: tuple[bytes, bytes]  # before and behind the media sequence number
    first: int  # that number
    data: bytes  # as it came: the chunks are from `begin` on
    begin: int
    lengths: list[int]  # of each chunk
    told: bytes  # as the player has it
    told_begin: int
    told_lengths: list[int]
    uris: set[str]  # of the segments: no two are the same; passed on to the next window
    resources: Resources


class _Slide(msgspec.Struct, frozen=True):
    """How a load follows from what was taken last."""

    window: _Window
    first: int
    cut: int  # segments that are listed no longer
    kept: int
    begin: int  # of what is new, in the data


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """One load of a media playlist."""

    data: bytes
    playlist: MediaPlaylist  # all of it; of a slide, its head and what is new
    whole: Callable[[], Playlist]  # all of it in any case
    slide: _Slide | None = None

    @property
    def end(self) -> int:
        """The number that follows its last segment."""
        return self.playlist.media_sequence + len(self.playlist.segments)

    @property
    def edge(self) -> Edge:
        """How far it is."""
        return edge_of(self.playlist) if self.slide is None else Edge(self.end)

    @property
    def newest(self) -> Sequence[Segment | MediaSegment]:
        """Its last two segments."""
        before: list[Segment | MediaSegment] = []
        if self.slide is not None:
            before += self.slide.window.resources.media[-2:]
        return [*before, *self.playlist.segments[-2:]][-2:]


class Update(msgspec.Struct, frozen=True, kw_only=True):
    resources: Resources
    rewritten: Rewritten


class Reload:
    """One rendition.

    `name` gives the path under which a player finds a resource, and `report` the path of another rendition by the
    URL of its playlist; None where there is none.
    """

    def __init__(
        self,
        rendition: int,
        name: Callable[[Segment], str],
        report: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        self._catalogue = Catalogue(rendition)
        self._name = name
        self._report = report
        self._window: _Window | None = None

    def read(
        self,
        data: bytes,
        url: str,
        *,
        variables: Mapping[str, str] = _NO_VARIABLES,
        limits: Limits | None = None,
        before: MediaPlaylist | None = None,
    ) -> Load | Multivariant:
        """As `parse`, which it costs where it cannot tell what is new."""

        def whole() -> Playlist:
            return parse(data, url, variables=variables, limits=limits, before=before)

        slid = self._slid(data, limits or Limits())
        if slid is not None:
            slide, fresh = slid
            try:
                playlist = parse(fresh, url, variables=variables, limits=limits)
            except PlaylistError:
                pass  # the whole tells in which line
            else:
                if isinstance(playlist, MediaPlaylist) and self._is_new(playlist):
                    return Load(data=data, playlist=playlist, whole=whole, slide=slide)
        playlist = whole()
        if isinstance(playlist, Multivariant):
            return playlist
        return Load(data=data, playlist=playlist, whole=whole)

    def take(self, load: Load) -> Update:
        """This load replaces the one before.  Cost: as `read`."""
        playlist, slide = load.playlist, load.slide
        if slide is not None:
            if slide.window is self._window:
                return self._take_slide(load.data, playlist, slide)
            again = load.whole()  # another was taken since
            assert isinstance(again, MediaPlaylist), "it was one when it was read"
            playlist = again
        resources = self._catalogue.update(playlist)
        rewritten = self._rewritten(playlist, resources)
        self._window = _window_of(load.data, playlist, resources, rewritten)
        return Update(resources=resources, rewritten=rewritten)

    # -- what stayed, and what is new

    def _slid(self, data: bytes, limits: Limits) -> tuple[_Slide, bytes] | None:
        """How `data` follows from what was taken last, and a playlist of its head and what is new; None if it does not.

        Cost: that of comparing bytes, and what is new.
        """
        window, head = self._window, _head_of(data)
        if window is None or head is None or len(data) > limits.playlist_bytes_max:
            return None
        before, first, behind = head
        cut = first - window.first
        kept = len(window.lengths) - cut
        if (before, behind) != window.head or cut < 0 or kept < _KEPT_MIN:
            return None
        begin = len(before) + len(str(first)) + len(behind)
        stayed = memoryview(window.data)[window.begin + sum(window.lengths[:cut]) :]
        if not data.startswith(stayed, begin):
            return None
        rest = data[begin + len(stayed) :]
        if _CHUNKS.fullmatch(rest) is None:
            return None
        count = kept + rest.count(b"#EXTINF:")
        if count > limits.segments_max or _LINES_A_CHUNK * count + behind.count(b"\n") > limits.lines_max - 8:
            return None
        fresh = b"%b%d%b%b" % (before, first + kept, behind, rest)
        return _Slide(window, first, cut, kept, begin + len(stayed)), fresh

    def _is_new(self, playlist: MediaPlaylist) -> bool:
        """Whether each segment has a name that no other of the window has, so that its path is its own."""
        window = self._window
        assert window is not None, "there is one to slide"
        uris = {segment.uri for segment in playlist.segments}
        return len(uris) == len(playlist.segments) and window.uris.isdisjoint(uris)

    def _take_slide(self, data: bytes, playlist: MediaPlaylist, slide: _Slide) -> Update:
        """As `take` of the whole: `playlist` is the head, and what is new."""
        window, cut = slide.window, slide.cut
        old = window.resources
        media = self._catalogue.slide(cut, playlist.segments)
        begin_us = old.media[cut].start_us
        resources = Resources(
            media=old.media[cut:] + media,
            inits=tuple(msgspec.structs.replace(one, start_us=begin_us) for one in old.inits),
            keys=tuple(msgspec.structs.replace(one, start_us=begin_us) for one in old.keys),
        )
        fresh = self._rewritten(playlist, msgspec.structs.replace(resources, media=media))
        head, told = _parted(fresh.data)
        number = b"#EXT-X-MEDIA-SEQUENCE:%d\n"
        head = head.replace(number % (slide.first + slide.kept), number % slide.first, 1)
        told_begin = window.told_begin + sum(window.told_lengths[:cut])
        window.uris.difference_update(segment.uri for segment in old.media[:cut])
        window.uris.update(segment.uri for segment in media)
        self._window = _Window(
            head=window.head,
            first=slide.first,
            data=data,
            begin=len(window.head[0]) + len(str(slide.first)) + len(window.head[1]),
            lengths=window.lengths[cut:] + _lengths(data[slide.begin :]),
            told=b"".join((head, memoryview(window.told)[told_begin:], told)),
            told_begin=len(head),
            told_lengths=window.told_lengths[cut:] + _lengths(told),
            uris=window.uris,
            resources=resources,
        )
        return Update(resources=resources, rewritten=Rewritten(self._window.told, fresh.dropped))

    def _rewritten(self, playlist: MediaPlaylist, resources: Resources) -> Rewritten:
        paths: dict[tuple[Kind, str, ByteRange | None], str] = {}
        for one in (*resources.inits, *resources.keys, *resources.media):
            paths.setdefault((one.key.kind, one.uri, one.byte_range), self._name(one))
        # Of a part, a hint says where it begins and no more.
        parts = {(one.uri, _offset(one.byte_range)): one for one in (*resources.parts, *resources.hinted)}

        def name(kind: UriKind, uri: str, byte_range: ByteRange | None) -> str | None:
            if kind is UriKind.RENDITION_REPORT:
                return self._report(uri)
            if kind in {UriKind.PART, UriKind.PRELOAD_HINT}:
                part = parts.get((uri, _offset(byte_range)))
                return None if part is None else self._name(part)
            what = _KINDS.get(kind)
            return uri if what is None else paths.get((what, uri, byte_range), uri)

        return rewrite(playlist, name)


def _window_of(data: bytes, playlist: MediaPlaylist, resources: Resources, rewritten: Rewritten) -> _Window | None:
    """None for a playlist of which the next load is to be read as a whole."""
    head = _head_of(data)
    if head is None or not playlist.is_live or playlist.media_sequence != head[1]:
        return None
    body, (told_head, told) = _parted(data)[1], _parted(rewritten.data)
    if not (_CHUNKS.fullmatch(body) and _CHUNKS.fullmatch(told)):
        return None
    lengths, told_lengths = _lengths(body), _lengths(told)
    uris = {segment.uri for segment in resources.media}
    if not len(uris) == len(resources.media) == len(lengths) == len(told_lengths) >= _KEPT_MIN:
        return None
    return _Window(
        head=(head[0], head[2]),
        first=head[1],
        data=data,
        begin=len(data) - len(body),
        lengths=lengths,
        told=rewritten.data,
        told_begin=len(told_head),
        told_lengths=told_lengths,
        uris=uris,
        resources=resources,
    )


def _offset(byte_range: ByteRange | None) -> int:
    return byte_range.offset if byte_range is not None else 0


def _parted(data: bytes) -> tuple[bytes, bytes]:
    """The head, and the chunks."""
    found = _BODY.search(data)
    return (data, b"") if found is None else (data[: found.start()], data[found.start() :])


def _head_of(data: bytes) -> tuple[bytes, int, bytes] | None:
    """The head before its media sequence number, that, and behind it; None if it is not one of the simple ones."""
    found = _BODY.search(data, 0, _HEAD_BYTES_MAX)
    head = data[: found.start()] if found is not None else b""
    number = _NUMBER.search(head)
    if number is None or not _HEAD.fullmatch(head) or (number[1].startswith(b"0") and number[1] != b"0"):
        return None
    return head[: number.start(1)], int(number[1]), head[number.end(1) :]


def _lengths(chunks: bytes) -> list[int]:
    return [len(found[0]) for found in _ONE_CHUNK.finditer(chunks)]
