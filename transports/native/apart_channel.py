"""Channel of `apart.py`: its messages are on their way to or from the process that has the connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

from shoal.transports.errors import ChannelClosed, MessageTooLarge
from shoal.transports.sansio.apart_frames import Close, Opened, Send, Sent
from shoal.transports.sansio.limits import ChannelLimits
from shoal.transports.sansio.unread import Unread

__all__ = ["ApartChannel"]


class ApartChannel:
    """A Channel.  `arrived`, `was_sent` and `ended` are for its link."""

    def __init__(
        self,
        opened: Opened,
        limits: ChannelLimits,
        write: Callable[[Send | Close], None],
        count: Callable[[str], None],
        close_link: Callable[[str], Coroutine[None, None, None]],
    ) -> None:
        self.label = opened.label
        self.fingerprint = opened.fingerprint
        self.remote_address = opened.remote_address
        self.is_relayed = opened.is_relayed
        self.max_message_bytes = limits.message_bytes_max
        self._number = opened.link
        self._limits = limits
        self._write = write
        self._count = count
        self._close_link = close_link
        self._unread: Unread[bytes] = Unread(bytes_max=limits.unread_bytes_max, messages_max=limits.unread_messages_max)
        self._unsent_bytes = 0  # handed to the process, and not yet to the channel there
        self._unsent_messages = 0
        self._buffered_bytes = 0  # in the channel there
        self._arrived = asyncio.Event()
        self._has_room = asyncio.Event()
        self._detail: str | None = None
        self._is_fault = False  # of the peer

    @property
    def buffered_bytes(self) -> int:
        return 0 if self._detail is not None else self._unsent_bytes + self._buffered_bytes

    @property
    def unread_bytes(self) -> int:
        return self._unread.byte_count

    async def send(self, message: bytes, *, urgent: bool = False) -> None:
        """As Channel.send."""
        data = message if type(message) is bytes else bytes(message)
        if len(data) > self.max_message_bytes:
            raise MessageTooLarge(f"{len(data)} bytes in one message; split at {self.max_message_bytes}")
        # What is urgent goes ahead, for as much again: the process holds it like the rest.
        times = 2 if urgent else 1
        bytes_high, messages_high = (
            times * self._limits.buffered_bytes_high,
            times * self._limits.buffered_messages_high,
        )
        while self._detail is None and (self._unsent_bytes > bytes_high or self._unsent_messages >= messages_high):
            self._has_room.clear()
            await self._has_room.wait()
        if self._detail is not None:
            raise self._closed_error(self._detail)
        self._unsent_bytes += len(data)
        self._unsent_messages += 1
        self._write(Send(self._number, data, urgent))

    async def receive(self) -> bytes:
        """As Channel.receive; one reader at a time."""
        while not len(self._unread):
            if self._detail is not None:
                raise self._closed_error(self._detail)
            self._arrived.clear()
            await self._arrived.wait()
        return self._unread.pop()

    async def close(self, detail: str = "done") -> None:
        """As Channel.close."""
        self.ended(f"closed here: {detail}")
        await asyncio.shield(self._close_link(detail))

    def arrived(self, data: bytes) -> None:
        if self._detail is not None:
            return
        refused = self._unread.push(data, len(data))
        if refused is not None:
            self._count("flooded")
            self.ended(f"closed here: the peer {refused}", is_fault=True)
            self._write(Close(self._number, f"the peer {refused}"))
        self._arrived.set()

    def was_sent(self, sent: Sent) -> None:
        self._unsent_bytes -= sent.byte_count
        self._unsent_messages -= 1
        self._buffered_bytes = sent.buffered_bytes
        self._has_room.set()

    def ended(self, detail: str, *, is_fault: bool = False) -> None:
        if self._detail is None:
            self._detail, self._is_fault = detail, is_fault
        self._arrived.set()
        self._has_room.set()

    def _closed_error(self, detail: str) -> ChannelClosed:
        return ChannelClosed.to_peer(self.label, detail, is_fault=self._is_fault)
