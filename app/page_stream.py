"""A session for a web page's own player: segments by the URL that the player knows, and reports as text.

JavaScript (page/player/player.js) calls this through Pyodide.  A player names a
segment by its URL on the first CDN; which source delivers it is the session's decision.
Nothing here knows the browser, so the tests run it natively too.
"""

from __future__ import annotations

import secrets
from contextlib import AsyncExitStack

import msgspec

from shoal.balancer.errors import ConfigurationError, UnknownResource
from shoal.balancer.model import ResourceKey
from shoal.balancer.recording import Compressed, Recording

from .memory import memory_report
from .session import SessionOptions, StreamSession, open_session

__all__ = ["PageOptions", "PageRecording", "PageStream", "open_page_stream"]


class PageOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a page may choose, as JSON; each as in SessionOptions."""

    url: str
    cdns: dict[str, str] = {}
    trackers: tuple[str, ...] = ()
    allow_private: bool = False
    are_peers_allowed: bool = True
    record: bool = False  # keep every event and decision, for `PageStream.recording`


class PageRecording:
    """A session's recording, in the page's memory."""

    def __init__(self) -> None:
        self._kept = Compressed()
        self.recording = Recording(self._kept.write, salt=secrets.token_bytes(16))

    def file(self) -> bytes:
        return self._kept.file(self.recording.last_line())


class PageStream:
    """One running session; `aclose` ends it."""

    def __init__(self, session: StreamSession, stack: AsyncExitStack, recording: PageRecording | None = None) -> None:
        self._session = session
        self._stack = stack
        self._recording = recording
        self._keys: dict[str, ResourceKey] = {}  # as many as the stream's playlists name

    async def learn(self) -> int:
        """Read every media playlist anew; how many segments can be asked for.  BalancerError, TransportError."""
        root = await self._session.playlist()
        keys: dict[str, ResourceKey] = {}
        for rendition in range(root.renditions):
            for segment in (await self._session.playlist(rendition)).segments:
                if segment.byte_range is None:  # else one URL names several
                    keys[segment.uri] = segment.key
        self._keys = keys
        return len(keys)

    async def read(self, url: str) -> bytes:
        """A whole segment, every byte verified where hashes are known.  UnknownResource, NoSource, WrongBytes."""
        if url not in self._keys:
            await self.learn()  # a live playlist has gone on
        key = self._keys.get(url)
        if key is None:
            raise UnknownResource(f"{url[:200]!r} is no segment of this stream; let the player fetch it itself")
        parts = [piece.data async for piece in self._session.read(key)]
        data = b"".join(parts)
        self._session.delivered(key, len(data))
        return data

    async def allow_peers(self, allowed: bool) -> None:
        """The viewer agrees to peers, or withdraws that; without it no tracker is asked and no address gathered."""
        await self._session.allow_peers(allowed=allowed)

    async def report(self) -> str:
        """The SessionReport as JSON."""
        return msgspec.json.encode(await self._session.report()).decode()

    def memory(self) -> str:
        """A MemoryReport of the whole interpreter as JSON; `memory.py` says what it costs."""
        return msgspec.json.encode(memory_report()).decode()

    def recording(self) -> bytes:
        """All events and decisions since the session began, for `shoal sim --replay-session`: JSON lines, gzip.

        ConfigurationError unless PageOptions said `record`.
        """
        if self._recording is None:
            raise ConfigurationError("this session is not recorded; open one with the option record")
        return self._recording.file()

    async def aclose(self) -> None:
        await self._stack.aclose()


async def open_page_stream(options: str) -> PageStream:
    """Start the session that PageOptions (JSON) describe.  ValidationError says which option is wrong."""
    wanted = msgspec.json.decode(options, type=PageOptions)
    session_options = SessionOptions(
        url=wanted.url,
        cdns=wanted.cdns,
        trackers=wanted.trackers,
        allow_private=wanted.allow_private,
        are_peers_allowed=wanted.are_peers_allowed,
    )
    recording = PageRecording() if wanted.record else None
    stack = AsyncExitStack()
    session = await stack.enter_async_context(
        open_session(session_options, recording=None if recording is None else recording.recording)
    )
    try:
        stream = PageStream(session, stack, recording)
        await stream.learn()
    except BaseException:
        await stack.aclose()
        raise
    return stream
