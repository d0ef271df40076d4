"""Signaling on the page's WebSocket.

The browser decides: why a socket did not open is not told (a refusal, a name, a
status look the same), redirects are refused, pings are answered out of sight,
and a page cannot stop a tracker from sending.  So what is not read is bounded,
and a flood closes the socket.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from shoal.transports.errors import AddressRefused, ChannelClosed, ConnectFailed, MessageTooLarge, TimedOut
from shoal.transports.interface import AddressPolicy, TextSocket
from shoal.transports.sansio.unread import Unread

from .addresses import checked_url
from .page import JsException, Listeners, in_words, js

__all__ = ["BrowserSignaling"]

_SECOND_US = 1_000_000
_SCHEMES = ("ws", "wss")
_CLOSE_TIMEOUT_S = 1.0
_UNSENT_BYTES_MAX = 256 * 1024  # twice the longest message; a tracker that takes no more does not read
_UNSENT_RECHECK_S = 0.02  # there is no event for it
_UNREAD_MESSAGES_MAX = 1024


class BrowserSignaling:
    """A Signaling; every socket it opens belongs to it until closed."""

    def __init__(self, policy: AddressPolicy | None = None, *, connect_timeout_us: int = 10_000_000) -> None:
        """Trackers are named by whoever makes the page, so that private addresses are allowed by default."""
        self._policy = policy if policy is not None else AddressPolicy(allow_private=True)
        self._connect_timeout_us = connect_timeout_us
        self._sockets: set[_Socket] = set()
        self._closed = False

    async def connect(self, url: str, *, message_bytes_max: int = 128 * 1024) -> TextSocket:
        """As Signaling.connect.  AddressRefused, ConnectFailed, TimedOut."""
        if self._closed:
            raise ConnectFailed("this signaling is closed; make another")
        host = checked_url(self._policy, url, schemes=_SCHEMES).hostname
        try:
            raw = js.WebSocket.new(url)
        except JsException as error:
            raise AddressRefused(f"{url[:200]!r} refused: {in_words(error)}") from error
        socket = _Socket(raw, message_bytes_max, self._sockets.discard)
        self._sockets.add(socket)
        try:
            async with asyncio.timeout(self._connect_timeout_us / _SECOND_US):
                is_open = await socket.opened()
        except TimeoutError as error:
            await socket.close()
            raise TimedOut(
                f"{host} did not open a WebSocket within {self._connect_timeout_us / _SECOND_US:g} s; try again",
                phase="connect",
                timeout_us=self._connect_timeout_us,
            ) from error
        except BaseException:
            await socket.close()
            raise
        if not is_open:
            raise ConnectFailed(f"{host} opened no WebSocket, and the browser does not say why; try another tracker")
        return socket

    async def aclose(self) -> None:
        """Close every socket, all at once: at most a second."""
        self._closed = True
        await asyncio.gather(*(socket.close() for socket in list(self._sockets)))


class _Socket:
    """A TextSocket."""

    def __init__(self, raw: Any, message_bytes_max: int, forget: Callable[[_Socket], None]) -> None:
        self._raw = raw
        self._message_bytes_max = message_bytes_max
        self._forget = forget
        self._detail: str | None = None  # set once nothing more is sent or taken in
        self._unread: Unread[str] = Unread(bytes_max=8 * message_bytes_max, messages_max=_UNREAD_MESSAGES_MAX)
        self._changed = asyncio.Event()
        self._gone = asyncio.Event()
        self._listeners = Listeners(raw)
        self._listeners.on("open", lambda _: self._changed.set())
        self._listeners.on("message", self._on_message)
        self._listeners.on("close", self._on_close)

    async def opened(self) -> bool:
        """Whether it opened, once that is known."""
        while self._raw.readyState == js.WebSocket.CONNECTING:
            self._changed.clear()
            await self._changed.wait()
        return bool(self._raw.readyState == js.WebSocket.OPEN)

    async def send(self, text: str) -> None:
        """As TextSocket.send; waits while the tracker does not read.  ChannelClosed, MessageTooLarge."""
        size = len(text.encode())
        if size > self._message_bytes_max:
            raise MessageTooLarge(f"{size} bytes in one message; the tracker's limit is {self._message_bytes_max}")
        while self._detail is None and self._raw.bufferedAmount > _UNSENT_BYTES_MAX:  # noqa: ASYNC110, no event says so
            await asyncio.sleep(_UNSENT_RECHECK_S)
        self._check_open()
        self._raw.send(text)

    async def receive(self) -> str:
        """As TextSocket.receive; one reader at a time."""
        while not self._unread:
            self._check_open()
            self._changed.clear()
            await self._changed.wait()
        return self._unread.pop()

    async def close(self) -> None:
        """Say goodbye and wait for the answer, for a second at most.  Does nothing the second time."""
        self._abandon("closed here")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await self._gone.wait()
        self._let_go()

    def _on_message(self, event: Any) -> None:
        if self._detail is not None:
            return
        text = event.data
        if not isinstance(text, str):
            self._abandon("the tracker sent a binary message")
            return
        size = len(text.encode(errors="surrogatepass"))
        if size > self._message_bytes_max:
            self._abandon(f"the tracker sent {size} bytes in one message")
            return
        refusal = self._unread.push(text, size)
        if refusal is not None:
            self._abandon(f"the tracker {refusal}")
        self._changed.set()

    def _on_close(self, event: Any) -> None:
        self._end(f"closed by the tracker with {event.code} {event.reason}".rstrip())
        self._gone.set()
        self._let_go()

    def _abandon(self, detail: str) -> None:
        if self._detail is None:
            self._end(detail)
            self._raw.close()

    def _end(self, detail: str) -> None:
        if self._detail is None:
            self._detail = detail
        self._changed.set()

    def _let_go(self) -> None:
        self._listeners.release()
        self._forget(self)

    def _check_open(self) -> None:
        if self._detail is not None:
            raise ChannelClosed.to_tracker(self._detail)
