"""How many connections a server keeps, and which of them makes room when there is one too many.

In this order, so that a thousand clients which send nothing, drip their headers, or
take nothing of what they asked for, keep nobody out:

    1. one without a request for `IDLE_S`, the longest so     a player opens another when it needs one
    2. one that took nothing of its body for `STUCK_S`,       a player that paused goes on by Range
       the longest so
    3. one without a request, the longest so
    4. the new one: all others are being served

A player on the same machine takes what it asked for in milliseconds.

What was handed to a client that does not take it stays in memory: not the piece alone, but all of
which it is a part, as a segment that the store has let go of meanwhile.  Where more than
`unread_bytes_max` are kept so, the same ones leave that take nothing, the longest so first.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Generic, NamedTuple, Protocol, TypeVar

__all__ = ["Crowd"]

# In the kernel, for each of a crowd (more than half of the connections allowed): left to itself, Linux takes megabytes
# for a client that does not read, and with a hundred of those each send takes milliseconds.  A few are served faster
# without, since a segment is then taken in one call.
SEND_BUFFER_BYTES = 256 * 1024
IDLE_S = 1.0  # between a connection and its request, a client that means it takes a millisecond
STUCK_S = 0.25  # with 128 connections, 500 attackers a second find no more than they leave


class Member(Protocol):
    """A connection."""

    @property
    def transport(self) -> asyncio.Transport | None:
        """None once it has gone."""


M = TypeVar("M", bound=Member)


class _Handed(NamedTuple):
    transport: asyncio.Transport
    since_s: float
    whole: object  # what its piece is a part of, and keeps in memory
    byte_count: int  # of that


class Crowd(Generic[M]):
    """Keeps to its number of connections."""

    def __init__(self, *, connections_max: int, unread_bytes_max: int) -> None:
        self.connections: set[M] = set()
        self._connections_max = connections_max
        # Each with the moment since when; the longest so first.
        self._idle: dict[M, tuple[asyncio.Transport, float]] = {}  # without a request
        self._stuck: dict[M, _Handed] = {}  # it was given bytes, and is to take them
        self._unread_bytes_max = unread_bytes_max
        self._unread_bytes = 0  # kept for them; what several are given counts once
        self._sharers: dict[int, int] = {}  # how many were given the same: by its id, which holds while they have it
        self._trimming: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._now = self._loop.time
        self.refused = 0
        self.evicted = 0

    def connected(self, connection: M) -> None:
        """A new one: it, or another, is cut where it is one too many."""
        transport = connection.transport
        assert transport is not None
        self.connections.add(connection)
        if len(self.connections) > self._connections_max:
            leaving = self._leaving()
            if leaving is None:
                self.refused += 1
                transport.abort()
                return
            self.evicted += 1
            leaving.abort()
        if len(self.connections) > self._connections_max // 2:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._idle[connection] = (transport, self._now())

    def _leaving(self) -> asyncio.Transport | None:
        """Whose place is free."""
        return self._leaving_idle(IDLE_S) or self._leaving_stuck() or self._leaving_idle(0.0)

    def _leaving_idle(self, limit_s: float) -> asyncio.Transport | None:
        for connection, (transport, since_s) in self._idle.items():
            if self._now() - since_s < limit_s:
                break
            del self._idle[connection]
            return transport
        return None

    def _leaving_stuck(self) -> asyncio.Transport | None:
        for connection, handed in self._stuck.items():
            if self._now() - handed.since_s < STUCK_S:
                break
            self._let_go(connection)
            return handed.transport
        return None

    def _trim(self) -> None:
        """Let those leave for whom too much is kept; who may yet take it is looked at again."""
        self._trimming = None
        while self._unread_bytes > self._unread_bytes_max:
            leaving = self._leaving_stuck()
            if leaving is None:
                self._trimming = self._loop.call_later(STUCK_S, self._trim)
                return
            self.evicted += 1
            leaving.abort()

    def _let_go(self, connection: M) -> None:
        handed = self._stuck.pop(connection, None)
        if handed is None:
            return
        mark = id(handed.whole)
        self._sharers[mark] -= 1
        if not self._sharers[mark]:
            del self._sharers[mark]
            self._unread_bytes -= handed.byte_count

    def gone(self, connection: M) -> None:
        self.connections.discard(connection)
        self._idle.pop(connection, None)
        self._let_go(connection)

    def busy(self, connection: M) -> None:
        """It has a request."""
        self._idle.pop(connection, None)

    def idle(self, connection: M) -> None:
        """Its request is answered."""
        if connection in self._stuck:
            self._let_go(connection)
        if connection.transport is not None:  # else it has gone
            self._idle[connection] = (connection.transport, self._now())

    def handed(self, connection: M, piece: bytes | memoryview) -> None:
        """It is being given bytes."""
        self._let_go(connection)
        if connection.transport is None:
            return  # it has gone
        whole = piece.obj if isinstance(piece, memoryview) else piece
        handed = _Handed(connection.transport, self._now(), whole, memoryview(whole).nbytes)
        self._stuck[connection] = handed
        sharers = self._sharers.get(id(whole), 0)
        self._sharers[id(whole)] = sharers + 1
        if not sharers:
            self._unread_bytes += handed.byte_count
        if self._unread_bytes > self._unread_bytes_max and self._trimming is None:
            self._trim()

    def took(self, connection: M) -> None:
        """It took them."""
        self._let_go(connection)
