"""Channel on an aiortc data channel: a bounded queue in, back-pressure out, one reason at the end."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any

from aiortc import InvalidStateError, RTCDataChannel

from shoal.transports.errors import ChannelClosed, MessageTooLarge
from shoal.transports.sansio.limits import ChannelLimits

__all__ = ["DataChannel"]

_SECOND_US = 1_000_000


class DataChannel:
    """A Channel.  `finish` is for its link; everybody else calls `close`."""

    def __init__(
        self, raw: RTCDataChannel, limits: ChannelLimits, start_closing: Callable[..., asyncio.Task[None]]
    ) -> None:
        self.label = raw.label
        self.fingerprint: str | None = None
        self.remote_address: str | None = None
        self.max_message_bytes = limits.message_bytes_max
        self._raw = raw
        self._limits = limits
        self._start_closing = start_closing
        self._unread: deque[bytes] = deque()
        self._unread_bytes = 0
        self._arrived = asyncio.Event()
        self._has_room = asyncio.Event()
        self._raw_closed = asyncio.Event()
        self._detail: str | None = None  # set once no more is sent or taken in
        raw.bufferedAmountLowThreshold = limits.buffered_bytes_low
        raw.on("message", self._on_message)
        raw.on("bufferedamountlow", self._has_room.set)
        raw.on("close", self._on_close)

    @property
    def buffered_bytes(self) -> int:
        return int(self._raw.bufferedAmount)

    async def send(self, message: bytes) -> None:
        """As Channel.send.  Any bytes-like object is taken; nothing was sent when it is cancelled."""
        data = message if type(message) is bytes else bytes(message)  # aiortc takes no bytearray
        if len(data) > self.max_message_bytes:
            raise MessageTooLarge(f"{len(data)} bytes in one message; split at {self.max_message_bytes}")
        self._check_open()
        if self._raw.bufferedAmount > self._limits.buffered_bytes_high:
            await self._wait_for_room()
        try:
            self._raw.send(data)
        except InvalidStateError as error:  # the peer's reset is here, and its event is not yet
            self._end("closed by the peer")
            raise self._closed_error() from error
        except ValueError as error:  # the other side announced a smaller limit in its description
            raise MessageTooLarge(f"{len(data)} bytes in one message: {error}") from error

    async def _wait_for_room(self) -> None:
        while self._raw.bufferedAmount > self._limits.buffered_bytes_low:
            self._has_room.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._limits.buffered_recheck_us / _SECOND_US):
                    await self._has_room.wait()
            self._check_open()

    async def receive(self) -> bytes:
        """As Channel.receive; one reader at a time."""
        while not self._unread:
            self._check_open()
            self._arrived.clear()
            await self._arrived.wait()
        message = self._unread.popleft()
        self._unread_bytes -= len(message)
        return message

    async def close(self, detail: str = "done") -> None:
        """As Channel.close; the connection goes with it."""
        await asyncio.shield(self._start_closing(detail, ours=True))

    async def finish(self, detail: str, *, ours: bool) -> None:
        """Send what was handed over, close, and wait for the other side to confirm, for a second at most."""
        self._end(f"{'closed here' if ours else 'closed'}: {detail}")
        if self._raw.readyState == "closed":
            return
        self._raw.close()  # aiortc resets the stream after what is queued on it
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.close_timeout_us / _SECOND_US):
                await self._raw_closed.wait()

    def _end(self, detail: str) -> None:
        if self._detail is None:
            self._detail = detail
        self._arrived.set()
        self._has_room.set()

    def _on_message(self, message: Any) -> None:
        """Runs inside aiortc's receive path, where an exception would end the association: it raises nothing."""
        if self._detail is not None:
            return
        limits = self._limits
        if not isinstance(message, bytes):
            self._abandon("the peer sent text on a binary channel")
        elif len(message) > limits.incoming_message_bytes_max:
            self._abandon(f"the peer sent {len(message)} bytes in one message")
        elif (
            self._unread_bytes + len(message) > limits.unread_bytes_max
            or len(self._unread) >= limits.unread_messages_max
        ):
            self._abandon(f"the peer flooded: {self._unread_bytes} bytes in {len(self._unread)} messages were unread")
        else:
            self._unread.append(message)
            self._unread_bytes += len(message)
            self._arrived.set()

    def _abandon(self, detail: str) -> None:
        self._end(f"closed here: {detail}")
        self._start_closing(detail, ours=True)

    def _on_close(self) -> None:
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
