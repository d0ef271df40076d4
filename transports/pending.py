"""A connection that waits for the other side: our offer, or our answer to theirs.  The same over every WebRTC.

What is asked of a connection is `Link`; `native/connector.py` and `browser/webrtc.py` have theirs.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from .errors import TransportError
from .interface import Channel
from .sansio.descriptions import bounded_description

__all__ = ["Link", "PendingAnswer", "PendingOffer"]


class Link(Protocol):
    """One connection with at most one channel."""

    async def set_remote(self, description: str, kind: str, timeout_us: int) -> None:
        """Take the other side's description, an offer or an answer.  ConnectFailed."""

    async def opened(self, timeout_us: int, since_s: float) -> Channel:
        """The channel, once it is open; the link is closed if that fails or is cancelled.  TimedOut.

        `since_s`, on the loop's clock, is when the time began that `timeout_us` limits.
        """
        ...

    async def close(self, detail: str) -> None:
        """Close channel and connection."""


class PendingOffer:
    """An OutgoingOffer."""

    def __init__(self, link: Link, description: str, timeout_us: int) -> None:
        self.description = description
        self._link = link
        self._timeout_us = timeout_us

    async def accept(self, answer: str) -> Channel:
        """As OutgoingOffer.accept; an answer that cannot be used ends the offer."""
        began_s = asyncio.get_running_loop().time()
        try:
            await self._link.set_remote(bounded_description(answer), "answer", self._timeout_us)
        except TransportError:
            await self._link.close("its answer could not be used")
            raise
        return await self._link.opened(self._timeout_us, began_s)

    async def close(self) -> None:
        await self._link.close("the offer was withdrawn")


class PendingAnswer:
    """An IncomingChannel."""

    def __init__(self, link: Link, description: str, timeout_us: int) -> None:
        self.description = description
        self._link = link
        self._timeout_us = timeout_us

    async def channel(self) -> Channel:
        """As IncomingChannel.channel."""
        return await self._link.opened(self._timeout_us, asyncio.get_running_loop().time())

    async def close(self) -> None:
        await self._link.close("the answer was withdrawn")
