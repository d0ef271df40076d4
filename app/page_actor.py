"""What a web page's JavaScript asks of its session, over a bridge.

    open_page(options) -> Bridge      its actor "stream" takes Load, Leave, LoadPlaylist, GetReport and others

Whoever leaves a load has what is under way for it cancelled, as any reader of a session has.
JavaScript (page/player/) asks on the page's thread, or from there into a worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import msgspec

from shoal.balancer.config import BalancerConfig
from shoal.balancer.errors import BalancerError, ConfigurationError, UnknownResource
from shoal.balancer.model import ByteRange
from shoal.runtime import Actor, ActorError, ActorSystem, Reply, TaskHandle, handler
from shoal.transports.bridge import Bridge
from shoal.transports.errors import TransportError
from shoal.transports.sansio.bridge_frames import BridgeLimits

from .memory import MemoryReport, memory_report
from .page_stream import PageOptions, PageRecording, PageStream
from .session import READ_TIMEOUT_S, SessionOptions, open_session

__all__ = [
    "NAME",
    "Consent",
    "GetMemory",
    "GetRecording",
    "GetReport",
    "Leave",
    "Load",
    "LoadPlaylist",
    "NotLoaded",
    "PageActor",
    "PageMemory",
    "open_endpoint",
    "open_page",
]

NAME = "stream"  # of the actor
# A load is answered when the policy gives up, if not before, and the page waits longer than that.
_LIMITS = BridgeLimits(
    bytes_max=BalancerConfig().segment_bytes_max, ask_timeout_us=int(READ_TIMEOUT_S + 30) * 1_000_000
)


class Load(msgspec.Struct, frozen=True):
    """All of a resource, or of the part of a file that a playlist names; asked, and answered with its bytes."""

    url: str
    load: int  # a number that the asker never uses twice
    first: int | None = None  # of a part: its first byte, and the one after its last
    end: int | None = None


class Leave(msgspec.Struct, frozen=True):
    """Whoever asked for a load does not want it any more."""

    load: int


class LoadPlaylist(msgspec.Struct, frozen=True):
    """A media playlist as it is now; asked, and answered with its text in bytes."""

    url: str


class GetReport(msgspec.Struct, frozen=True):
    """Asked; answered with the SessionReport as JSON, in bytes: it may be longer than a frame's text."""


class GetMemory(msgspec.Struct, frozen=True):
    """Asked; answered with a PageMemory as JSON, in bytes."""


class GetRecording(msgspec.Struct, frozen=True):
    """Asked; answered with a file, as `PageStream.recording` gives it."""


class Consent(msgspec.Struct, frozen=True):
    """The viewer agrees to peers, or withdraws that; asked, and answered once it holds.

    Without it no tracker is asked and no address gathered.
    """

    allowed: bool


class PageMemory(msgspec.Struct, frozen=True):
    wasm_bytes: int | None  # of WebAssembly's memory, which never shrinks; None where there is none
    python: MemoryReport


class NotLoaded(BalancerError):
    """A load that failed, or that was left, and why."""

    reason = "not_loaded"


class PageActor(Actor[Any]):
    """What the page's JavaScript asks.  Nothing it does holds up another: each waits in a task of its own."""

    MESSAGES = (Load, Leave, LoadPlaylist, GetReport, GetMemory, GetRecording, Consent)
    ERRORS = (NotLoaded, UnknownResource, ConfigurationError)

    def __init__(self, stream: PageStream, wasm_bytes: Callable[[], int] | None = None) -> None:
        self._stream = stream
        self._wasm_bytes = wasm_bytes
        self._loads: dict[int, tuple[TaskHandle, Reply]] = {}  # at most as many as a bridge has asks open

    @handler
    def load(self, message: Load) -> None:
        reply = self.take_reply()
        self._loads[message.load] = self.start_task(self._load(message, reply)), reply

    @handler
    def leave(self, message: Leave) -> None:
        found = self._loads.pop(message.load, None)
        if found is not None:  # else it was answered before
            task, reply = found
            task.cancel()
            reply.fail(NotLoaded("it was left"))

    @handler
    def playlist(self, message: LoadPlaylist) -> None:
        self.start_task(_settle(self.take_reply(), lambda: self._playlist(message.url)))

    @handler
    def report(self, _: GetReport) -> None:
        self.start_task(_settle(self.take_reply(), self._report))

    @handler
    def memory(self, _: GetMemory) -> bytes:
        found = PageMemory(None if self._wasm_bytes is None else self._wasm_bytes(), memory_report())
        return msgspec.json.encode(found)

    @handler
    def recording(self, _: GetRecording) -> bytes | None:
        try:
            return self._stream.recording()
        except ConfigurationError as error:
            self.take_reply().fail(error)
            return None

    @handler
    def consent(self, message: Consent) -> None:
        allow = self._stream.session.allow_peers
        self.start_task(_settle(self.take_reply(), lambda: allow(allowed=message.allowed)))

    async def _load(self, message: Load, reply: Reply) -> None:
        part = None
        if message.first is not None and message.end is not None:
            part = ByteRange(message.first, message.end - message.first)
        await _settle(reply, lambda: self._stream.read(message.url, part))
        self._loads.pop(message.load, None)

    async def _playlist(self, url: str) -> bytes:
        return (await self._stream.playlist(url)).encode()

    async def _report(self) -> bytes:
        return msgspec.json.encode(await self._stream.session.report())


async def _settle(reply: Reply, work: Callable[[], Awaitable[Any]]) -> None:
    try:
        reply.set(await work())
    except UnknownResource as error:
        reply.fail(error)
    except (BalancerError, TransportError, ActorError, TimeoutError) as error:
        reply.fail(NotLoaded(f"{type(error).__name__}: {error}"))


async def open_page(options: str, wasm_bytes: Callable[[], int] | None = None) -> Bridge:
    """Start the session that PageOptions (JSON) describe; it ends with the bridge.

    ValidationError says which option is wrong.  Whatever `StreamSession.playlist` raises, and then nothing is left.
    """
    wanted = msgspec.json.decode(options, type=PageOptions)
    session_options = SessionOptions(
        url=wanted.url,
        cdns=wanted.cdns,
        trackers=wanted.trackers,
        allow_private=wanted.allow_private,
        are_peers_allowed=wanted.are_peers_allowed,
        peers=wanted.peers,
    )
    recording = PageRecording() if wanted.record else None
    async with AsyncExitStack() as stack:
        system = await stack.enter_async_context(ActorSystem())
        given = None if recording is None else recording.recording
        session = await stack.enter_async_context(open_session(session_options, system=system, recording=given))
        stream = PageStream(session, recording)
        await stream.learn()
        system.spawn(PageActor, stream, wasm_bytes, name=NAME)
        bridge = Bridge(system, actors={NAME: PageActor.MESSAGES}, errors=PageActor.ERRORS, limits=_LIMITS)
        kept = stack.pop_all()
    task = asyncio.ensure_future(_end_with(bridge, kept))
    _ENDING.add(task)  # a loop alone lets go of tasks that wait
    task.add_done_callback(_ENDING.discard)
    return bridge


_ENDING: set[asyncio.Task[None]] = set()


async def _end_with(bridge: Bridge, stack: AsyncExitStack) -> None:
    await bridge.closed()
    await stack.aclose()


async def open_endpoint(options: str, wasm_bytes: Callable[[], int] | None = None) -> Any:
    """As `open_page`, for JavaScript: what `page(...)` of bridge.js takes."""
    from shoal.transports.browser.bridge import PageEndpoint

    return PageEndpoint(await open_page(options, wasm_bytes))
