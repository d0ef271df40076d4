"""A session by the names that a web page's own player has for what is in it: the URLs on the first CDN.

Which source delivers is the session's decision.  `page_actor.py` lets the page's JavaScript ask.
Nothing here knows the browser, so the tests run it natively too.
"""

from __future__ import annotations

import re
import secrets

import msgspec

from shoal.balancer.actors.messages import PlaylistText
from shoal.balancer.errors import ConfigurationError, UnknownResource
from shoal.balancer.model import ByteRange, ResourceKey
from shoal.balancer.paths import path_of
from shoal.balancer.recording import Compressed, Recording

from .peering import PeerOptions
from .session import StreamSession

__all__ = ["PageOptions", "PageRecording", "PageStream"]


class PageOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a page may choose, as JSON; each as in SessionOptions."""

    url: str
    cdns: dict[str, str] = {}
    trackers: tuple[str, ...] = ()
    allow_private: bool = False
    are_peers_allowed: bool = True
    peers: PeerOptions = PeerOptions()  # every visitor can read it, a relay's password too: give one for hours
    record: bool = False  # keep every event and decision, for `PageStream.recording`


class PageRecording:
    """A session's recording, in the page's memory."""

    def __init__(self) -> None:
        self._kept = Compressed()
        self.recording = Recording(self._kept.write, salt=secrets.token_bytes(16))

    def file(self) -> bytes:
        return self._kept.file(self.recording.last_line())


_Name = tuple[str, ByteRange | None]
_URI = re.compile('URI="([^"]*)"')


def _keys_of(playlist: PlaylistText) -> dict[_Name, ResourceKey]:
    return {(one.uri, one.byte_range): one.key for one in (*playlist.others, *playlist.segments)}


def _with_own_urls(playlist: PlaylistText) -> str:
    """What `rewrite` did to the URLs of segments, init sections and keys, undone."""
    named = {path_of(one.key, one.uri): one for one in (*playlist.others, *playlist.segments)}
    lines: list[str] = []
    for line in playlist.text.splitlines():
        found = named.get(line)
        inside = _URI.search(line) if line.startswith(("#EXT-X-MAP:", "#EXT-X-KEY:")) else None
        if found is not None:
            part = found.byte_range
            lines += [] if part is None else [f"#EXT-X-BYTERANGE:{part.length}@{part.offset}"]
            lines.append(found.uri)
        elif inside is not None and (other := named.get(inside[1])) is not None:
            part = other.byte_range
            of_part = "" if part is None else f',BYTERANGE="{part.length}@{part.offset}"'
            lines.append(f'{line[: inside.start()]}URI="{other.uri}"{of_part}{line[inside.end() :]}')
        else:
            lines.append(line)
    return "\n".join([*lines, ""])


class PageStream:
    """One running session, by the names that a player has for what is in it."""

    def __init__(self, session: StreamSession, recording: PageRecording | None = None) -> None:
        self.session = session
        self._recording = recording
        self._renditions: dict[str, int] = {}  # of media playlists, by URL
        self._keys: list[dict[_Name, ResourceKey]] = []  # of each: as many as its playlist names

    async def learn(self) -> int:
        """Read every media playlist anew; how many resources can be asked for.  BalancerError, TransportError."""
        root = await self.session.playlist()
        urls = root.uris or (self.session.options.url,)
        self._keys = [_keys_of(await self.session.playlist(rendition)) for rendition in range(len(urls))]
        self._renditions = {url: rendition for rendition, url in enumerate(urls)}
        return sum(map(len, self._keys))

    async def playlist(self, url: str) -> str:
        """A media playlist as the session has it now, with the player's own URLs in it; as `learn`, UnknownResource.

        A part of a file keeps its place in it; what a local player is not told (`rewrite.DROPPED`) is missing here too.
        """
        rendition = self._renditions.get(url)
        if rendition is None:
            raise UnknownResource(f"{url[:200]!r} is no media playlist of this stream; let the player fetch it itself")
        found = await self.session.playlist(rendition)
        self._keys[rendition] = _keys_of(found)
        return _with_own_urls(found)

    async def read(self, url: str, part: ByteRange | None = None) -> bytes:
        """A whole resource, every byte verified where hashes are known.  UnknownResource, NoSource, WrongBytes.

        Cancelled, what is under way for it is cancelled too, unless others read it.
        """
        key = self._key(url, part)
        if key is None:
            await self.learn()  # a live playlist has gone on
            key = self._key(url, part)
        if key is None:
            raise UnknownResource(f"{url[:200]!r} is nothing of this stream; let the player fetch it itself")
        data = b"".join([piece.data async for piece in self.session.read(key)])
        self.session.delivered(key, len(data))
        return data

    def _key(self, url: str, part: ByteRange | None) -> ResourceKey | None:
        return next((keys[url, part] for keys in self._keys if (url, part) in keys), None)

    def recording(self) -> bytes:
        """All events and decisions since the session began, for `shoal sim --replay-session`: JSON lines, gzip.

        ConfigurationError unless PageOptions said `record`.
        """
        if self._recording is None:
            raise ConfigurationError("this session is not recorded; open one with the option record")
        return self._recording.file()
