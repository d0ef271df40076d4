"""A live playlist that is loaded again and again, each time at the price of what is new in it.

    Reload(rendition, name, report)   one rendition, over all its loads
        .read(data, url) -> Load      what came; changes nothing, so that of several that are read one can be taken
        .take(load)      -> Update    resources, and the text for the player

Most reloads say again what was said before, without the oldest segments and with some new ones or parts at the end.
What stayed is compared as bytes, and only the rest is read, numbered and named (window.py), whatever tags there are.
A delta update is joined to what it leaves out as text, if it can be, and then is as any other load (joined.py).
What does not follow so from the load before is read as a whole, with the same result:
tests/balancer/formats/hls/test_reload.py holds one against the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import msgspec

from shoal.balancer.errors import PlaylistError
from shoal.balancer.model import ByteRange, Kind, Segment

from .blocking import Edge, edge_of
from .catalogue import Catalogue, Resources
from .delta import SKIP
from .joined import joined
from .parser import parse
from .playlist import MediaPlaylist, MediaSegment, Multivariant, Part, UriKind
from .rewrite import Rewritten, rewrite
from .tokenizer import Limits, join
from .window import Slide, Window, window_of

__all__ = ["Load", "Reload", "Update"]

_NO_VARIABLES: Mapping[str, str] = MappingProxyType({})
_KINDS = {
    UriKind.MAP: Kind.INIT,
    UriKind.KEY: Kind.KEY,
    UriKind.PART: Kind.PART,
    UriKind.PRELOAD_HINT: Kind.PART,
}
_SKIP = f"#{SKIP}".encode()


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """One load of a media playlist."""

    data: bytes  # of all of it; what a delta update left out is in it
    playlist: MediaPlaylist  # all of it; of a slide, its head and what is new
    limits: Limits
    slide: Slide | None = None

    def whole(self) -> MediaPlaylist:
        """All of it, in any case."""
        if self.slide is None:
            return self.playlist
        playlist = parse(self.data, self.playlist.url, limits=self.limits)
        assert isinstance(playlist, MediaPlaylist), "its pieces are of one"
        return playlist

    @property
    def end(self) -> int:
        """The number that follows its last segment."""
        return self.edge.segment

    @property
    def edge(self) -> Edge:
        """How far it is."""
        if self.slide is None:
            return edge_of(self.playlist)
        return Edge(self.slide.end, len(self.playlist.parts), len(self.newest[-1].parts))

    @property
    def newest(self) -> Sequence[MediaSegment]:
        """Its last two segments."""
        return self.playlist.segments[-2:] if self.slide is None else self.slide.newest

    @property
    def newest_parts(self) -> list[Part]:
        """Those of the last whole segment, and of the one behind it."""
        return [*(part for segment in self.newest[-1:] for part in segment.parts), *self.playlist.parts]


class Update(msgspec.Struct, frozen=True, kw_only=True):
    resources: Resources
    rewritten: Rewritten


class Reload:
    """One rendition.

    `name` gives the path under which a player finds a resource, of which it asks key and URI, and `report` the path of
    another rendition by the URL of its playlist; None where there is none.
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
        self._window: Window | None = None

    def read(
        self,
        data: bytes,
        url: str,
        *,
        variables: Mapping[str, str] = _NO_VARIABLES,
        limits: Limits | None = None,
        before: Load | None = None,
    ) -> Load | Multivariant:
        """As `parse`, which it costs where it cannot tell what is new.  A delta update is of `before`."""
        limits = limits or Limits()
        is_update = _SKIP in data
        text = self._joined(data, url, limits, before) if is_update else data
        slide = self._slide(text, url, limits) if text is not None else None
        if text is not None and slide is not None:
            return Load(data=text, playlist=slide.playlist, limits=limits, slide=slide)
        known = before.whole() if before is not None and is_update else None
        playlist = parse(data, url, variables=variables, limits=limits, before=known)
        if isinstance(playlist, Multivariant):
            return playlist
        return Load(data=join(playlist.layout.lines) if is_update else data, playlist=playlist, limits=limits)

    def take(self, load: Load) -> Update:
        """This load replaces the one before.  Cost: as `read`."""
        window, slide = self._window, load.slide
        if window is not None and slide is not None and window.is_as_read(slide):
            resources = self._catalogue.slide(window.resources, slide.cut, slide.kept, slide.playlist)
            if resources is not None:
                count = len(slide.playlist.segments)
                media = (*resources.media[:1], *(resources.media[-count:] if count else ()))
                fresh = self._rewritten(slide.playlist, media)
                told = window.take(slide, load.data, fresh.data, resources)
                return Update(resources=resources, rewritten=Rewritten(told, fresh.dropped))
        playlist = load.whole()  # another was taken since
        resources = self._catalogue.update(playlist)
        rewritten = self._rewritten(playlist, resources.media)
        self._window = window_of(load.data, playlist, load.limits, resources, rewritten.data)
        return Update(resources=resources, rewritten=rewritten)

    def _joined(self, update: bytes, url: str, limits: Limits, before: Load | None) -> bytes | None:
        if self._window is None or before is None or not self._window.is_of(before.data):
            return None
        try:
            return joined(update, url, self._window, limits)
        except PlaylistError:
            return None

    def _slide(self, data: bytes, url: str, limits: Limits) -> Slide | None:
        if self._window is None:
            return None
        try:
            return self._window.follow(data, url, limits)
        except PlaylistError:
            return None  # the whole tells in which line

    def _rewritten(self, playlist: MediaPlaylist, media: Sequence[Segment]) -> Rewritten:
        paths: dict[tuple[str, ByteRange | None], str] = {}
        for one in media:
            paths.setdefault((one.uri, one.byte_range), self._name(one))

        def name(kind: UriKind, uri: str, byte_range: ByteRange | None) -> str | None:
            if kind is UriKind.SEGMENT:
                return paths.get((uri, byte_range), uri)
            if kind is UriKind.RENDITION_REPORT:
                return self._report(uri)
            if kind not in _KINDS:
                return uri
            key = self._catalogue.key_of(_KINDS[kind], uri, byte_range)
            if key is None:  # a key of another scheme, or what no segment goes with
                return None if _KINDS[kind] is Kind.PART else uri
            return self._name(Segment(key=key, uri=uri))

        return rewrite(playlist, name)
