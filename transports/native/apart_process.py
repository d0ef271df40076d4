"""The process in which the connections of `apart.py` live: `python -m shoal.transports.native.apart_process FD`.

It has a loop of its own, on which nobody computes but WebRTC.  It ends when the application's side of the socket does,
however that came about; its channels then close as those of any connector do.
"""

from __future__ import annotations

import asyncio
import importlib
import socket
import sys
from typing import Any, cast

from shoal.transports.errors import ChannelClosed, TimedOut, TransportMissing
from shoal.transports.interface import Channel
from shoal.transports.sansio.apart_frames import (
    Accept,
    Answer,
    Close,
    Closed,
    Described,
    Failed,
    FrameReader,
    FromPeers,
    Message,
    Offer,
    Open,
    Opened,
    Options,
    Send,
    Sent,
    Setup,
    ToPeers,
    encode,
)

from .connector import PeerConnector

__all__ = ["PeersSide", "main", "make_peer_connector"]

# Held for an application that does not read: three seconds at 20 MB/s.  Beyond it nothing is taken from the channels
# either, and their own limits close those whose peers go on.
_HELD_BYTES_MAX = 64 * 1024 * 1024
_ENGINES = {"aiortc": ("webrtc", "WebRtcConnector"), "wrtc": ("webrtc_native", "NativeWebRtcConnector")}
_INSTALL = {"aiortc": 'pip install "shoal[webrtc]"', "wrtc": 'pip install "shoal[webrtc-native]"'}


def make_peer_connector(engine: str, options: Options) -> PeerConnector:
    """TransportMissing, ValueError: what the engine's connector says to its arguments, or that it is not there."""
    if engine not in _ENGINES:
        raise TransportMissing(f"there is no engine {engine!r} for peers; take one of {', '.join(_ENGINES)}")
    module, name = _ENGINES[engine]
    try:
        make: type[PeerConnector] = getattr(importlib.import_module(f"{__package__}.{module}"), name)
    except ImportError as error:
        raise TransportMissing(f"the engine {engine!r} cannot be loaded: {error}; {_INSTALL[engine]}") from error
    arguments: dict[str, Any] = {field: getattr(options, field) for field in Options.__struct_fields__}
    return make(**arguments)


class PeersSide(asyncio.Protocol):
    """Frames in, connections out; `finished` is done when the application's side went and everything is closed."""

    def __init__(self) -> None:
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reader: FrameReader[ToPeers] = FrameReader(ToPeers)
        self._transport: asyncio.WriteTransport | None = None
        self._connector: PeerConnector | None = None
        self._links: dict[int, _Link] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.close_timeout_s = 1.0  # for what is queued before a channel, and again for what it has; as Setup says
        self.may_write = asyncio.Event()
        self.may_write.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is of no such class
        self._transport.set_write_buffer_limits(high=_HELD_BYTES_MAX)

    def pause_writing(self) -> None:
        self.may_write.clear()

    def resume_writing(self) -> None:
        self.may_write.set()

    def data_received(self, data: bytes) -> None:
        for frame in self._reader.feed(data):
            self._handle(frame)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.may_write.set()
        self.start(self._finish())

    async def _finish(self) -> None:
        for link in list(self._links.values()):
            link.stop()
        if self._connector is not None:
            await self._connector.aclose()
        if not self.finished.done():
            self.finished.set_result(None)

    def write(self, frame: FromPeers) -> None:
        if self._transport is not None:
            self._transport.write(encode(frame))

    def start(self, coroutine: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)  # so that none is collected while it runs
        task.add_done_callback(self._tasks.discard)
        return task

    def ended(self) -> dict[str, int]:
        return {} if self._connector is None else self._connector.statistics().ended

    def forget(self, link: int) -> None:
        self._links.pop(link, None)

    def _handle(self, frame: ToPeers) -> None:
        if isinstance(frame, Setup):
            self._connector = make_peer_connector(frame.engine, frame.options)
            self.close_timeout_s = frame.options.limits.close_timeout_us / 1e6
            return
        if isinstance(frame, Offer | Answer):
            assert self._connector is not None
            link = self._links[frame.link] = _Link(frame.link, self)
            link.begin(self._connector, frame)
            return
        known = self._links.get(frame.link)
        if known is not None:  # else it ended while this was on its way
            known.handle(frame)


class _Link:
    """One connection."""

    def __init__(self, number: int, side: PeersSide) -> None:
        self._number = number
        self._side = side
        self._pending: Any = None  # an OutgoingOffer or an IncomingChannel
        self._channel: Channel | None = None
        self._queues: dict[bool, asyncio.Queue[bytes]] = {False: asyncio.Queue(), True: asyncio.Queue()}
        self._tasks: list[asyncio.Task[None]] = []
        self._opening: asyncio.Task[None] | None = None

    def begin(self, connector: PeerConnector, frame: Offer | Answer) -> None:
        self._opening = self._side.start(self._describe(connector, frame))

    def handle(self, frame: ToPeers) -> None:
        match frame:
            case Accept(description=description):
                self._opening = self._side.start(self._open(description))
            case Open():
                self._opening = self._side.start(self._open(None))
            case Send(data=data, urgent=urgent):
                self._queues[urgent].put_nowait(data)
            case Close(detail=detail):
                self._side.start(self._close(detail))

    def stop(self) -> None:
        for task in (*self._tasks, *([self._opening] if self._opening else [])):
            task.cancel()

    async def _describe(self, connector: PeerConnector, frame: Offer | Answer) -> None:
        try:
            if isinstance(frame, Offer):
                self._pending = await connector.offer(frame.label)
            else:
                self._pending = await connector.answer(frame.description)
        except Exception as error:  # whatever it is, the application waits for an answer
            self._fail(error)
        else:
            self._side.write(Described(self._number, self._pending.description))

    async def _open(self, answer: str | None) -> None:
        try:
            channel = await (self._pending.channel() if answer is None else self._pending.accept(answer))
        except Exception as error:
            self._fail(error)
            return
        self._channel = channel
        what = channel.label, channel.fingerprint, channel.remote_address, channel.is_relayed
        self._side.write(Opened(self._number, *what))
        sending = [self._side.start(self._send(channel, urgent=urgent)) for urgent in (False, True)]
        self._tasks = [*sending, self._side.start(self._read(channel))]

    async def _send(self, channel: Channel, *, urgent: bool) -> None:
        queue = self._queues[urgent]
        try:
            while True:
                data = await queue.get()
                await channel.send(data, urgent=urgent)
                self._side.write(Sent(self._number, len(data), channel.buffered_bytes))
                queue.task_done()
        except ChannelClosed:
            pass  # the reader says so

    async def _read(self, channel: Channel) -> None:
        try:
            while True:
                await self._side.may_write.wait()
                self._side.write(Message(self._number, await channel.receive()))
        except ChannelClosed as error:
            self._end(error.detail, is_fault=error.is_fault)

    async def _close(self, detail: str) -> None:
        if self._channel is None:
            if self._opening is not None:
                self._opening.cancel()
                await asyncio.wait([self._opening])
            if self._pending is not None:
                await self._pending.close()
        else:
            queues: asyncio.Future[Any] = asyncio.gather(*(queue.join() for queue in self._queues.values()))
            ends: list[asyncio.Future[Any]] = [queues, *self._tasks]
            await asyncio.wait(ends, timeout=self._side.close_timeout_s, return_when=asyncio.FIRST_COMPLETED)
            queues.cancel()
            await self._channel.close(detail)
        self._end(f"closed here: {detail}")

    def _fail(self, error: Exception) -> None:
        phase, timeout_us = (error.phase, error.timeout_us) if isinstance(error, TimedOut) else ("", 0)
        self._side.write(Failed(self._number, type(error).__name__, str(error), phase, timeout_us))
        self._side.forget(self._number)

    def _end(self, detail: str, *, is_fault: bool = False) -> None:
        self._side.write(Closed(self._number, detail, self._side.ended(), is_fault))
        self._side.forget(self._number)
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()


async def serve(sock: socket.socket) -> None:
    side = PeersSide()
    await asyncio.get_running_loop().create_connection(lambda: side, sock=sock)
    await side.finished


def main() -> None:
    try:
        import uvloop
    except ImportError:
        run: Any = asyncio.run
    else:
        run = uvloop.run
    run(serve(socket.socket(fileno=int(sys.argv[1]))))


if __name__ == "__main__":
    main()
