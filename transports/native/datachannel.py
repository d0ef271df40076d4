"""Channel on a library's data channel: a bounded queue in, two queues and a credit window out, one reason at the end.

    send(urgent) -> urgent queue -+                                         +-> unread queue -> receive()
                                  +-> credit window -> library ... library -+
    send(bulk)   -> bulk queue ---+

What the library has taken can no longer be overtaken, so it is given one message at a time: an urgent one when the one
before has left, one of bulk when the path has room as well (`sansio/window.py`).  An urgent message then waits for one
message and half a window at most.  Neither is given while so much is not known to have come that, with what waits here,
a peer would cost more than 4 MiB.  Where the library does not show what came, the other side reports it
(`sansio/reports.py`); if it does not, the library keeps 64 KiB and a message.  A peer that was silent is asked for a
sign of life (`sansio/liveness.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import Any

from shoal.transports.errors import ChannelClosed, MessageTooLarge
from shoal.transports.sansio.limits import ChannelLimits
from shoal.transports.sansio.liveness import Liveness, Pulse
from shoal.transports.sansio.reports import Arrivals, BadReport, Departures, Reports
from shoal.transports.sansio.upload_cap import UploadCap
from shoal.transports.sansio.window import CreditWindow

from .stack import Stack

__all__ = ["DataChannel"]

_SECOND_US = 1_000_000
_FAULTS = {"text", "oversized", "flooded", "unreadable", "misreported"}  # what no peer may send; it is held against it


class DataChannel:
    """A Channel.  `opened` and `finish` are for its link; everybody else calls `close`."""

    def __init__(
        self,
        raw: Any,
        stack: Stack,
        limits: ChannelLimits,
        start_closing: Callable[..., asyncio.Task[None]],
        *,
        count: Callable[[str], None],
        cap: UploadCap | None,
    ) -> None:
        """`count` is told why the channel ended, in one word, where it was not simply closed.

        `cap` is shared with others; bulk waits for it, and what is urgent only counts.
        """
        self.label = raw.label
        self.fingerprint: str | None = None
        self.remote_address: str | None = None
        self.is_relayed = False
        self.max_message_bytes = limits.message_bytes_max
        self._raw = raw
        self._limits = limits
        self._start_closing = start_closing
        self._count = count
        self._cap = cap
        self._capped: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._unread: deque[bytes] = deque()
        self.unread_bytes = 0
        self._urgent: deque[bytes] = deque()
        self._bulk: deque[bytes] = deque()
        self._queued_bytes = 0
        self._urgent_bytes = 0  # of these
        self._window = CreditWindow(bytes_min=limits.window_bytes_min, bytes_max=limits.window_bytes_max)
        self._closed_error_class = stack.closed_error
        self._association = stack.association(
            raw,
            on_progress=self._feed,
            on_round_trip=self._on_round_trip,
            on_unreadable=self.unreadable,
            on_heard=self._on_heard,
        )
        self._association.window_bytes = self._window.window_bytes
        self._reports_wanted, self._sends_groups = stack.reports.wanted, stack.reports.grouped
        self._departures: Departures | None = None  # what the other side reports of ours
        self._arrivals: Arrivals | None = None  # what we report of theirs
        self._liveness = Liveness(
            self._now_us(), interval_us=limits.heartbeat_interval_us, dead_after_us=limits.dead_after_us
        )
        self._ticking: asyncio.TimerHandle | None = None
        self._arrived = asyncio.Event()
        self._has_room = asyncio.Event()  # for bulk
        self._urgent_left = asyncio.Event()
        self._emptied = asyncio.Event()
        self._raw_closed = asyncio.Event()
        self._is_fault = False  # the peer's, that it is closed
        self._detail: str | None = None  # set once no more is sent or taken in
        raw.bufferedAmountLowThreshold = limits.buffered_bytes_low
        raw.on("message", self._on_message)
        raw.on("bufferedamountlow", self._feed)
        raw.on("close", self._on_close)

    def opened(self, peer_reports: Reports) -> None:
        """Begin to send, and to watch for the peer's silence; `peer_reports`: as its description says."""
        if self._reports_wanted and peer_reports.given:
            self._departures = Departures()
        if peer_reports.wanted:
            self._arrivals = Arrivals()
        if peer_reports.grouped and self._sends_groups:
            self._association.acknowledge_in_groups()
        self._tick()
        self._feed()

    @property
    def buffered_bytes(self) -> int:
        return self._queued_bytes + int(self._raw.bufferedAmount)

    async def send(self, message: bytes, *, urgent: bool = False) -> None:
        """As Channel.send.  Any bytes-like object is taken; nothing was sent when it is cancelled."""
        data = message if type(message) is bytes else bytes(message)  # libraries take no bytearray
        if len(data) > self.max_message_bytes:
            raise MessageTooLarge(f"{len(data)} bytes in one message; split at {self.max_message_bytes}")
        self._check_open()
        if urgent:
            # It does not wait for bulk, but a peer that takes nothing at all must not fill our memory with it.
            while not self._urgent_fits(data):
                await self._room(self._urgent_left)
            self._urgent.append(data)
            self._urgent_bytes += len(data)
        else:
            if self._is_high():
                while not self._is_low():
                    await self._room(self._has_room)
            self._bulk.append(data)
        self._queued_bytes += len(data)
        self._feed()

    def _urgent_fits(self, data: bytes) -> bool:
        limits = self._limits
        return (
            self._urgent_bytes + len(data) <= limits.buffered_bytes_high
            and len(self._urgent) < limits.buffered_messages_high
        )

    def _is_high(self) -> bool:
        limits = self._limits
        return self._queued_bytes > limits.buffered_bytes_high or len(self._bulk) >= limits.buffered_messages_high

    def _is_low(self) -> bool:
        limits = self._limits
        return self._queued_bytes <= limits.buffered_bytes_low and len(self._bulk) <= limits.buffered_messages_high // 2

    async def _room(self, event: asyncio.Event) -> None:
        event.clear()
        await event.wait()
        self._check_open()

    def _feed(self) -> None:
        """Hand over what may go now; called at each acknowledgement, in the library's paths, so it raises nothing."""
        if self._raw.readyState != "open":
            return
        while self._urgent and self._may_hand_over():
            message = self._urgent.popleft()
            self._urgent_bytes -= len(message)
            self._hand_over(message)
            self._urgent_left.set()
        while self._bulk and self._may_hand_over_bulk() and not self._waits_for_cap():
            self._hand_over(self._bulk.popleft())
        if self._bulk and self._in_flight_bytes() > self._window.refill_bytes:
            self._window.held_back()
        if self._is_low():
            self._has_room.set()
        if not self._urgent and not self._bulk:
            self._emptied.set()

    def _may_hand_over(self) -> bool:
        """Whether the library has sent what it has, or nearly, and so much of it has come that it may have more."""
        association, departures = self._association, self._departures
        held = association.held_bytes if departures is None else departures.in_flight_bytes
        if held > self._limits.held_bytes_max:
            return False
        if association.is_hooked:
            return association.is_empty and not self._raw.bufferedAmount
        return int(self._raw.bufferedAmount) <= self._limits.buffered_bytes_low  # its own event calls us again

    def _may_hand_over_bulk(self) -> bool:
        return self._may_hand_over() and (
            # The next report calls us again; without any, the library paces itself.
            (self._departures is None and not self._association.is_hooked)
            or self._in_flight_bytes() <= self._window.refill_bytes
        )

    def _in_flight_bytes(self) -> int:
        return self._association.in_flight_bytes if self._departures is None else self._departures.in_flight_bytes

    def _waits_for_cap(self) -> bool:
        wait_us = 0 if self._cap is None else self._cap.wait_us(self._now_us())
        if wait_us and self._capped is None:
            self._capped = self._loop.call_later(wait_us / _SECOND_US, self._cap_allows)
        return wait_us > 0

    def _cap_allows(self) -> None:
        self._capped = None
        self._feed()

    def _hand_over(self, data: bytes) -> None:
        self._queued_bytes -= len(data)
        self._give(data, len(data))

    def _give(self, data: bytes | str, size: int) -> None:
        if self._cap is not None:
            self._cap.take(size, self._now_us())
        try:
            self._raw.send(data)
        except self._closed_error_class:  # the peer's reset is here, and its event is not yet
            self._end("closed by the peer")
        except ValueError as error:  # the other side announced a smaller limit in its description
            self.abandon("refused", f"a message of {size} bytes could not be sent: {error}")
        else:
            if self._departures is not None and isinstance(data, bytes):
                self._departures.sent(size, self._now_us())
            self._window.sent(size, self._in_flight_bytes() + (size if self._departures is None else 0))

    def _on_round_trip(self, seconds: float) -> None:
        now_us = self._now_us()
        if self._window.round_trip(max(1, int(seconds * _SECOND_US)), now_us):
            self._window.round_over(self._association.unacknowledged_bytes() + int(self._raw.bufferedAmount), now_us)
            self._association.window_bytes = self._window.window_bytes

    def _on_report(self, departures: Departures, text: str) -> None:
        now_us = self._now_us()
        try:
            round_trip_us = departures.reported(text, now_us)
        except BadReport as error:
            self.abandon("misreported", str(error))
            return
        if round_trip_us is not None and self._window.round_trip(max(1, round_trip_us), now_us):
            self._window.round_over(departures.in_flight_bytes, now_us)
        self._feed()

    async def receive(self) -> bytes:
        """As Channel.receive; one reader at a time."""
        while not self._unread:
            self._check_open()
            self._arrived.clear()
            await self._arrived.wait()
        message = self._unread.popleft()
        self.unread_bytes -= len(message)
        return message

    async def close(self, detail: str = "done") -> None:
        """As Channel.close; the connection goes with it."""
        await asyncio.shield(self._start_closing(detail, ours=True))

    async def finish(self, detail: str, *, ours: bool) -> None:
        """Send what was handed over, close, and wait for the other side to confirm, for a second at most."""
        self._end(f"{'closed here' if ours else 'closed'}: {detail}")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.close_timeout_us / _SECOND_US):
                while (self._urgent or self._bulk) and self._raw.readyState == "open":
                    self._emptied.clear()
                    await self._emptied.wait()
                if self._raw.readyState != "closed":
                    self._raw.close()  # the stream is reset after what was taken
                    await self._raw_closed.wait()
        if self._capped is not None:
            self._capped.cancel()
        self._association.release()

    def _end(self, detail: str) -> None:
        if self._detail is None:
            self._detail = detail
        if self._ticking is not None:
            self._ticking.cancel()
        self._arrived.set()
        self._has_room.set()
        self._urgent_left.set()

    def _tick(self) -> None:
        """Once an interval while the channel is open."""
        now_us = self._now_us()
        was_heard, self._association.heard = self._association.heard, False
        if was_heard:
            self._liveness.heard(now_us)
        pulse = self._liveness.tick(now_us)
        if self._association.tells_silence and not was_heard:
            if pulse is Pulse.ASK:
                self._association.send_heartbeat()
            self._association.look(self.silent if pulse is Pulse.DEAD else None)
            if self._detail is not None:
                return
        self._ticking = self._loop.call_later(self._limits.heartbeat_interval_us / _SECOND_US, self._tick)

    def _on_heard(self) -> None:
        self._liveness.heard(self._now_us())

    def silent(self) -> None:
        """Give the peer up, of which nothing was heard; also for its link, where the library says so."""
        self.abandon("silent", "the peer is gone: it was silent for seconds, and asked")

    def _on_message(self, message: Any) -> None:
        """Runs inside the library's receive path, where an exception would end the association: it raises nothing."""
        self._association.heard = True
        if self._departures is not None and isinstance(message, str):
            self._on_report(self._departures, message)  # also while closing, or what is queued would not leave
            return
        if self._detail is not None:
            return
        limits = self._limits
        if not isinstance(message, bytes):
            self.abandon("text", "the peer sent text on a binary channel")
        elif len(message) > limits.incoming_message_bytes_max:
            self.abandon("oversized", f"the peer sent {len(message)} bytes in one message")
        elif (
            self.unread_bytes + len(message) > limits.unread_bytes_max
            or len(self._unread) >= limits.unread_messages_max
        ):
            unread = f"{self.unread_bytes} bytes in {len(self._unread)} messages were unread"
            self.abandon("flooded", f"the peer flooded: {unread}")
        else:
            self._unread.append(message)
            self.unread_bytes += len(message)
            self._arrived.set()
            report = None if self._arrivals is None else self._arrivals.came(len(message))
            # A later one says the same, so whoever sends and acknowledges nothing is told no more.
            if report is not None and self._association.held_bytes <= limits.held_bytes_max:
                self._give(report, len(report))

    def unreadable(self, detail: str) -> None:
        """Give the peer up, for what it sent; also for its link."""
        self.abandon("unreadable", f"the peer sent what is no SCTP: {detail}")

    def abandon(self, reason: str, detail: str) -> None:
        """Give the peer up, for what it did; `reason` is counted, in one word.  Also for its link."""
        if self._detail is None:
            self._count(reason)
            self._is_fault = reason in _FAULTS
        self._queued_bytes = self._urgent_bytes = 0  # to whom this is said, nothing more is sent
        self._urgent.clear()
        self._bulk.clear()
        self._end(f"closed here: {detail}")
        self._start_closing(detail, ours=True)

    def _on_close(self) -> None:
        self._raw_closed.set()
        self._emptied.set()
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
