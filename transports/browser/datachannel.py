"""Channel on an RTCDataChannel: a bounded queue in, a bounded queue out, one reason at the end.

    send(bulk)   -> queue --- as there is room (`sansio/backlog.py`) ---+
                                                                        +-> the browser's channel
    send(urgent) -------------------------------------------------------+

What the browser has can no longer be overtaken, so it is given no more than keeps it busy.  The queue is handed over
within its own event for room, and not in a task's step after it, which would come a slice or a frame later.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any

from shoal.transports.errors import ChannelClosed, MessageTooLarge
from shoal.transports.sansio.backlog import Backlog
from shoal.transports.sansio.limits import ChannelLimits
from shoal.transports.sansio.unread import Unread

from .page import JsException, Listeners, from_js_bytes, lent_js_bytes
from .watch import Watch

__all__ = ["DataChannel"]

_SECOND_US = 1_000_000
_RECHECK_S = 0.5  # the event for room comes once, and what was queued too late for it would wait for ever


class DataChannel:
    """A Channel.  `opened` and `finish` are for its link; everybody else calls `close`."""

    def __init__(self, raw: Any, limits: ChannelLimits, start_closing: Callable[..., asyncio.Task[None]]) -> None:
        self.label: str = raw.label
        self.fingerprint: str | None = None
        self.remote_address: str | None = None
        self.is_relayed = False
        self.max_message_bytes = limits.message_bytes_max
        self._raw = raw
        self._limits = limits
        self._start_closing = start_closing
        self._loop = asyncio.get_running_loop()
        self._unread: Unread[bytes] = Unread(bytes_max=limits.unread_bytes_max, messages_max=limits.unread_messages_max)
        self._bulk: deque[bytes] = deque()
        self._queued_bytes = 0
        self._backlog = Backlog()
        self._peer_message_bytes_max = float("inf")
        self._recheck: asyncio.TimerHandle | None = None
        self._watch: Watch | None = None
        self._arrived = asyncio.Event()
        self._has_room = asyncio.Event()
        self._raw_closed = asyncio.Event()
        self._is_fault = False  # the peer's, that it is closed
        self._detail: str | None = None  # set once no more is sent or taken in
        raw.binaryType = "arraybuffer"
        self._low_bytes = raw.bufferedAmountLowThreshold = self._backlog.low_bytes
        self._listeners = Listeners(raw)
        self._listeners.on_message(self._on_message)
        self._listeners.on("bufferedamountlow", lambda _: self._feed())
        self._listeners.on("close", self._on_close)

    def opened(self, connection: Any, watch: Watch | None = None) -> None:
        """Its RTCPeerConnection has said what the other side takes; `watch` is told of what comes."""
        self._watch = watch
        self._peer_message_bytes_max = connection.sctp.maxMessageSize or float("inf")

    @property
    def buffered_bytes(self) -> int:
        return self._queued_bytes + int(self._raw.bufferedAmount)

    @property
    def unread_bytes(self) -> int:
        return self._unread.byte_count

    async def send(self, message: bytes, *, urgent: bool = False) -> None:
        """As Channel.send.  Any bytes-like object is taken; nothing was sent when it is cancelled."""
        size = len(message)
        if size > self.max_message_bytes:
            raise MessageTooLarge(f"{size} bytes in one message; split at {self.max_message_bytes}")
        if size > self._peer_message_bytes_max:
            raise MessageTooLarge(f"{size} bytes in one message; the other side takes {self._peer_message_bytes_max:g}")
        self._check_open()
        if urgent and self._urgent_fits():
            self._hand_over(message, size)
        else:
            if self._queued_bytes > self._queue_bytes_high:
                await self._wait_for_room()
            self._bulk.append(bytes(message))  # no copy, unless the caller could change it
            self._queued_bytes += size
            self._feed()
        self._check_open()  # the browser may have refused it

    def _urgent_fits(self) -> bool:
        # What is urgent does not wait for bulk, but a peer that takes nothing at all must not fill our memory with it.
        return bool(self._raw.bufferedAmount <= self._backlog.bytes_max + self._limits.buffered_bytes_high)

    @property
    def _queue_bytes_high(self) -> int:
        # What one event for room takes: who sends is a task, and goes on a slice later, or when the machine lets it.
        return max(self._limits.buffered_bytes_high, self._backlog.high_bytes - self._backlog.low_bytes)

    @property
    def _queue_bytes_low(self) -> int:
        return max(self._limits.buffered_bytes_low, self._queue_bytes_high // 2)

    async def _wait_for_room(self) -> None:
        while self._queued_bytes > self._queue_bytes_low:
            self._has_room.clear()
            await self._has_room.wait()
            self._check_open()

    def _feed(self) -> None:
        """Hand over what there is room for; also called inside the browser's events, so it raises nothing."""
        if not self._bulk or self._raw.readyState != "open":
            return
        buffered = int(self._raw.bufferedAmount)
        backlog = self._backlog
        if buffered <= backlog.low_bytes:
            backlog.room(buffered, self._now_us())
            if backlog.low_bytes != self._low_bytes:
                self._low_bytes = self._raw.bufferedAmountLowThreshold = backlog.low_bytes
        while self._bulk and buffered < backlog.high_bytes:
            message = self._bulk.popleft()
            size = len(message)
            self._queued_bytes -= size
            buffered += size
            self._hand_over(message, size)
        if self._bulk:
            backlog.full(buffered, self._now_us())
            if self._recheck is None:
                self._recheck = self._loop.call_later(_RECHECK_S, self._feed_again)
        if self._queued_bytes <= self._queue_bytes_low:
            self._has_room.set()

    def _feed_again(self) -> None:
        self._recheck = None
        self._feed()

    def _hand_over(self, message: bytes, size: int) -> None:
        try:
            self._raw.send(lent_js_bytes(message))
        except JsException:
            self._forget_bulk()
            self._end("closed by the peer")
            self._start_closing("closed by the peer")
        else:
            self._backlog.sent(size)

    def _forget_bulk(self) -> None:
        self._bulk.clear()
        self._queued_bytes = 0

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
        while self._bulk and self._raw.readyState == "open":
            message = self._bulk.popleft()
            self._hand_over(message, len(message))
        self._forget_bulk()
        if self._recheck is not None:
            self._recheck.cancel()
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

    def _on_message(self, data: Any, size: int) -> None:
        """Inside the browser's event: it raises nothing."""
        if self._watch is not None:
            self._watch.heard = True
        if self._detail is not None:
            return
        if isinstance(data, str):
            self.abandon("the peer sent text on a binary channel", is_fault=True)
            return
        if size > self._limits.incoming_message_bytes_max:
            self.abandon(f"the peer sent {size} bytes in one message", is_fault=True)
            return
        refusal = self._unread.push(from_js_bytes(data), size)
        if refusal is not None:
            self.abandon(f"the peer {refusal}", is_fault=True)
        self._arrived.set()

    def silent(self) -> None:
        """Give the peer up, of which nothing was heard."""
        self.abandon("the peer is gone: it was silent for seconds")

    def abandon(self, detail: str, *, is_fault: bool = False) -> None:
        """Give the peer up, for what it did; also for its link.  `is_fault`: no peer may do that."""
        if self._detail is None:
            self._is_fault = is_fault
        self._forget_bulk()  # to whom this is said, nothing more is sent
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
        return ChannelClosed.to_peer(self.label, detail, is_fault=self._is_fault)

    def _now_us(self) -> int:
        return int(self._loop.time() * _SECOND_US)
