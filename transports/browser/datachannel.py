"""Channel on an RTCDataChannel: a bounded queue in, back-pressure out, one reason at the end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from shoal.transports.errors import ChannelClosed, MessageTooLarge
from shoal.transports.sansio.limits import ChannelLimits
from shoal.transports.sansio.unread import Unread

from .page import JsException, Listeners, from_js_bytes, in_words, to_js_bytes

__all__ = ["DataChannel"]

_SECOND_US = 1_000_000
_RECHECK_S = 0.5  # the event for room comes once, and a sender that came too late for it would wait for ever


class DataChannel:
    """A Channel.  `finish` is for its link; everybody else calls `close`."""

    def __init__(self, raw: Any, limits: ChannelLimits, start_closing: Callable[..., asyncio.Task[None]]) -> None:
        self.label: str = raw.label
        self.fingerprint: str | None = None
        self.remote_address: str | None = None
        self.max_message_bytes = limits.message_bytes_max
        self._raw = raw
        self._limits = limits
        self._start_closing = start_closing
        self._unread: Unread[bytes] = Unread(bytes_max=limits.unread_bytes_max, messages_max=limits.unread_messages_max)
        self._arrived = asyncio.Event()
        self._has_room = asyncio.Event()
        self._raw_closed = asyncio.Event()
        self._detail: str | None = None  # set once no more is sent or taken in
        raw.binaryType = "arraybuffer"
        raw.bufferedAmountLowThreshold = limits.buffered_bytes_low
        self._listeners = Listeners(raw)
        self._listeners.on("message", self._on_message)
        self._listeners.on("bufferedamountlow", lambda _: self._has_room.set())
        self._listeners.on("close", self._on_close)

    @property
    def buffered_bytes(self) -> int:
        return int(self._raw.bufferedAmount)

    async def send(self, message: bytes, *, urgent: bool = False) -> None:
        """As Channel.send.  Any bytes-like object is taken; nothing was sent when it is cancelled.

        The browser lets nothing go ahead of what it has; an urgent message only waits for no room.
        """
        size = len(message)
        if size > self.max_message_bytes:
            raise MessageTooLarge(f"{size} bytes in one message; split at {self.max_message_bytes}")
        self._check_open()
        if not urgent and self._raw.bufferedAmount > self._limits.buffered_bytes_high:
            await self._wait_for_room()
        try:
            self._raw.send(to_js_bytes(message))
        except JsException as error:
            if getattr(error, "name", "") == "TypeError":  # the other side announced a smaller limit
                raise MessageTooLarge(f"{size} bytes in one message: {in_words(error)}") from error
            self._end("closed by the peer")
            raise self._closed_error() from error

    async def _wait_for_room(self) -> None:
        while self._raw.bufferedAmount > self._limits.buffered_bytes_low:
            self._has_room.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RECHECK_S):
                    await self._has_room.wait()
            self._check_open()

    async def receive(self) -> bytes:
        """As Channel.receive; one reader at a time."""
        while not self._unread:
            self._check_open()
            self._arrived.clear()
            await self._arrived.wait()
        return self._unread.pop()

    async def close(self, detail: str = "done") -> None:
        """As Channel.close; the connection goes with it."""
        await asyncio.shield(self._start_closing(detail, ours=True))

    async def finish(self, detail: str, *, ours: bool) -> None:
        """Send what was handed over, close, and wait for the other side to confirm, for a second at most."""
        self._end(f"{'closed here' if ours else 'closed'}: {detail}")
        if self._raw.readyState != "closed":
            self._raw.close()  # the browser resets the stream after what is queued on it
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._limits.close_timeout_us / _SECOND_US):
                    await self._raw_closed.wait()
        self._listeners.release()

    def _end(self, detail: str) -> None:
        if self._detail is None:
            self._detail = detail
        self._arrived.set()
        self._has_room.set()

    def _on_message(self, event: Any) -> None:
        """Inside the browser's event: it raises nothing."""
        if self._detail is not None:
            return
        data = event.data
        if isinstance(data, str):
            self._abandon("the peer sent text on a binary channel")
            return
        size = data.byteLength
        if size > self._limits.incoming_message_bytes_max:
            self._abandon(f"the peer sent {size} bytes in one message")
            return
        refusal = self._unread.push(from_js_bytes(data), size)
        if refusal is not None:
            self._abandon(f"the peer {refusal}")
        self._arrived.set()

    def _abandon(self, detail: str) -> None:
        self._end(f"closed here: {detail}")
        self._start_closing(detail, ours=True)

    def _on_close(self, _event: Any) -> None:
        self._raw_closed.set()
        self._end("closed by the peer")
        self._start_closing("closed by the peer")

    def _check_open(self) -> None:
        if self._detail is not None:
            raise self._closed_error()

    def _closed_error(self) -> ChannelClosed:
        detail = self._detail or "closed by the peer"
        return ChannelClosed(
            f"channel {self.label!r} is closed ({detail}); connect again or use another", detail=detail
        )
