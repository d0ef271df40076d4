"""Signaling of the in-memory network, and the side that listens, for a simulated tracker."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from shoal.transports.errors import AddressRefused, ChannelClosed, ConnectFailed, MessageTooLarge, TimedOut
from shoal.transports.interface import TextSocket

from .network import Host
from .pipe import Pipe, PipeEnded

__all__ = ["MemorySignaling", "TextListener", "listen_text"]

_SECOND_US = 1_000_000
_HELD_BYTES_MAX = 256 * 1024  # unread by the other side, as socket buffers hold


class TextListener:
    """What `listen_text` gives: close it to stop listening and to end its sockets."""

    def __init__(self, host: Host, port: int, on_socket: Callable[[TextSocket], Awaitable[None]]) -> None:
        self.port = port
        self._host = host
        self._on_socket = on_socket
        self._sockets: dict[_Socket, asyncio.Task[None]] = {}

    def accept(self, socket: _Socket) -> None:
        self._sockets[socket] = asyncio.ensure_future(self._serve(socket))

    async def _serve(self, socket: _Socket) -> None:
        try:
            with contextlib.suppress(ChannelClosed):  # the client left, which is how most sockets end
                await self._on_socket(socket)
        finally:
            self._sockets.pop(socket, None)
            await socket.close()

    async def aclose(self) -> None:
        self._host.network.listeners.pop((self._host.name, self.port), None)
        tasks = list(self._sockets.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def listen_text(host: Host, on_socket: Callable[[TextSocket], Awaitable[None]], *, port: int = 0) -> TextListener:
    """Run `on_socket` for each socket that connects to the host's port; returning from it closes the socket."""
    port = port or host.free_port()
    if (host.name, port) in host.network.listeners:
        raise ConnectFailed(f"port {port} of {host.name} is taken; stop its owner, or use port 0 for a free one")
    listener = TextListener(host, port, on_socket)
    host.network.listeners[host.name, port] = listener
    return listener


class MemorySignaling:
    """A Signaling on one host."""

    def __init__(self, host: Host, *, connect_timeout_us: int = 10_000_000) -> None:
        self._host = host
        self._connect_timeout_us = connect_timeout_us
        self._sockets: set[_Socket] = set()
        self._closed = False

    async def connect(self, url: str, *, message_bytes_max: int = 128 * 1024) -> TextSocket:
        if self._closed:
            raise ConnectFailed("this signaling is closed; make another")
        parts = urlsplit(url)
        if parts.scheme not in {"ws", "wss"}:
            raise AddressRefused(f"scheme {parts.scheme!r} refused for a tracker; use ws or wss")
        port = parts.port or (443 if parts.scheme == "wss" else 80)
        try:
            async with asyncio.timeout(self._connect_timeout_us / _SECOND_US):
                return await self._connect(parts.hostname or "", port, message_bytes_max)
        except TimeoutError as error:
            raise TimedOut(
                f"{parts.netloc} opened no WebSocket within {self._connect_timeout_us / _SECOND_US:g} s; try again",
                phase="connect",
                timeout_us=self._connect_timeout_us,
            ) from error

    async def _connect(self, name: str, port: int, message_bytes_max: int) -> TextSocket:
        found = self._host.network.find(self._host, name, port)
        if found is None or not isinstance(found[1], TextListener):
            raise ConnectFailed(f"{name} port {port}: nobody listens there")
        owner, listener = found
        there, back = self._host.to(owner), owner.to(self._host)
        await there.passing()
        await back.passing()
        await asyncio.sleep(2 * (there.latency_s() + back.latency_s()))  # TCP, then the upgrade
        if there.refuses():
            raise ConnectFailed(f"{name} port {port}: connection refused")
        outgoing: Pipe[str] = Pipe(there)
        incoming: Pipe[str] = Pipe(back)
        ours = _Socket(outgoing, incoming, message_bytes_max, self._sockets.discard)
        self._sockets.add(ours)
        listener.accept(_Socket(incoming, outgoing, message_bytes_max, lambda _: None))
        return ours

    async def aclose(self) -> None:
        self._closed = True
        for socket in list(self._sockets):
            await socket.close()


class _Socket:
    """A TextSocket, of either side."""

    def __init__(
        self, outgoing: Pipe[str], incoming: Pipe[str], message_bytes_max: int, forget: Callable[[_Socket], None]
    ) -> None:
        self._outgoing = outgoing
        self._incoming = incoming
        self._message_bytes_max = message_bytes_max
        self._forget = forget
        self._detail: str | None = None

    async def send(self, text: str) -> None:
        size = len(text.encode())
        if size > self._message_bytes_max:
            raise MessageTooLarge(f"{size} bytes in one message; the tracker's limit is {self._message_bytes_max}")
        self._check_open()
        try:
            self._outgoing.send(text, size)
            await self._outgoing.wait_below(_HELD_BYTES_MAX)
        except PipeEnded as error:
            raise self._ended(error) from error

    async def receive(self) -> str:
        self._check_open()
        try:
            return await self._incoming.receive()
        except PipeEnded as error:
            raise self._ended(error) from error

    async def close(self) -> None:
        if self._detail is None:
            self._detail = "closed here"
            self._outgoing.close("closed by the other side")
            self._incoming.close("closed here")
            self._forget(self)

    def _check_open(self) -> None:
        if self._detail is not None:
            raise self._closed_error(self._detail)

    def _ended(self, error: PipeEnded) -> ChannelClosed:
        if self._detail is None:
            self._detail = error.detail
            self._outgoing.close("closed by the other side")
            self._forget(self)
        return self._closed_error(self._detail)

    def _closed_error(self, detail: str) -> ChannelClosed:
        return ChannelClosed.to_tracker(detail)
