"""Between SCTP's packets and UDP's datagrams, without what aiortc does for each of them besides.

That is a try at STUN, a queue, a wake of a task, a look for what DTLS would answer, and eight coroutines none of which
ever waits.  Whatever is not application data on an established connection takes aiortc's way.
"""

from __future__ import annotations

import asyncio
import contextlib
import types
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from aiortc import rtcdtlstransport, rtcsctptransport
from OpenSSL import SSL

from .intake import intake_of

__all__ = ["Datagrams", "run_now", "run_quietly"]

_NEEDED_OF_DTLS = ("_ssl", "_state", "_data_receiver")
_NEEDED_OF_ICE = ("_nominated", "_queue", "data_received")
_APPLICATION_DATA = b"\x17"  # RFC 6347, 4.1: the first byte of a DTLS record is its type
_AFTER_STUN = b"\x04"  # RFC 7983, 7: STUN's begin with 0 to 3
_DATAGRAM_BYTES_MAX = 1500


def run_now(handling: Coroutine[Any, Any, None]) -> None:
    """Run one of aiortc's coroutines that handle or send a packet, here and now: none of them waits for anything.

    Should one do so in a new aiortc, the rest of it becomes a task.
    """
    try:
        awaited = handling.send(None)
    except StopIteration:
        return
    rest: Any = _the_rest(handling, awaited)  # a coroutine, which no annotation of a generator says
    asyncio.ensure_future(rest)  # noqa: RUF006 - the loop has it, by what it waits for


def run_quietly(sending: Coroutine[Any, Any, None]) -> None:
    """The same for what sends a packet that nobody waits for: that it cannot be sent any more is told elsewhere."""
    with contextlib.suppress(ConnectionError, SSL.Error):
        run_now(sending)


@types.coroutine
def _the_rest(handling: Coroutine[Any, Any, None], awaited: Any) -> Iterator[Any]:
    while True:
        yield awaited
        try:
            awaited = handling.send(None)
        except StopIteration:
            return


class Datagrams:
    """The short way of one association."""

    def __init__(self, sctp: Any, take_in: Callable[[bytes], bool]) -> None:
        """`take_in` is given each packet, and says whether that was all there is to do with it."""
        dtls: Any = getattr(sctp, "transport", None)
        ice: Any = getattr(getattr(dtls, "transport", None), "_connection", None)
        needed = [(dtls, name) for name in _NEEDED_OF_DTLS] + [(ice, name) for name in _NEEDED_OF_ICE]
        self.is_there = all(hasattr(owner, name) for owner, name in needed)
        self._take_in = take_in
        self._protocol: Any = None
        self._intake = intake_of(asyncio.get_running_loop())
        self._sctp = sctp
        self._dtls = dtls
        self._ice = ice

    def take(self) -> None:
        self._receive_the_long_way: Callable[[bytes, int], None] = self._ice.data_received
        self._ice.data_received = self._receive
        self._sctp._send_chunk = self._send_chunk

    def release(self) -> None:
        self._intake.forget(self._handle)
        self._ice.__dict__.pop("data_received", None)
        if self._protocol is not None:
            self._protocol.__dict__.pop("datagram_received", None)
        self._sctp.__dict__.pop("_send_chunk", None)

    def write(self, packet: bytes) -> None:
        """Send one packet.  ConnectionError when that cannot be done any more, as aiortc has it."""
        dtls = self._dtls
        pair = self._ice._nominated.get(1)
        if dtls._state is not rtcdtlstransport.State.CONNECTED or pair is None:
            raise ConnectionError("not connected")
        try:
            dtls._ssl.send(packet)
            datagram = dtls._ssl.bio_read(_DATAGRAM_BYTES_MAX)
        except SSL.Error as error:  # shut down by us, and its state is told in a later step of the loop
            raise ConnectionError("shut down") from error
        try:
            pair.protocol.transport.sendto(datagram, pair.remote_addr)
        except RuntimeError as error:  # uvloop's word for a socket that is closed
            raise ConnectionError("the socket is closed") from error

    async def _send_chunk(self, chunk: rtcsctptransport.Chunk) -> None:
        sctp = self._sctp
        self.write(
            rtcsctptransport.serialize_packet(sctp._local_port, sctp._remote_port, sctp._remote_verification_tag, chunk)
        )

    def _receive_datagram(self, data: bytes, address: tuple[Any, ...]) -> None:
        if data[:1] < _AFTER_STUN:  # a check whether we are there is answered whatever waits
            type(self._protocol).datagram_received(self._protocol, data, address)
        else:  # all of DTLS, or its end would overtake what came before
            self._intake.take(self._handle, data, address)

    def _handle(self, data: bytes, address: tuple[Any, ...]) -> None:
        if data[:1] == _APPLICATION_DATA:
            self._receive(data, 1)
        else:
            type(self._protocol).datagram_received(self._protocol, data, address)

    def _receive(self, data: bytes, component: int) -> None:
        dtls, queue = self._dtls, self._ice._queue
        if (
            data[:1] != _APPLICATION_DATA
            or not queue.empty()  # what came before is handled before
            or dtls._state is not rtcdtlstransport.State.CONNECTED
            or dtls._data_receiver is not self._sctp
        ):
            self._receive_the_long_way(data, component)
            return
        if self._protocol is None and (pair := self._ice._nominated.get(1)) is not None:
            self._protocol = pair.protocol
            self._protocol.datagram_received = self._receive_datagram
        dtls._ssl.bio_write(data)
        try:
            packet = dtls._ssl.recv(_DATAGRAM_BYTES_MAX)
        except SSL.Error:
            return  # forged, or seen before
        try:
            if not self._take_in(packet):
                run_now(self._sctp._handle_data(packet))
        except ConnectionError:
            queue.put_nowait(None)  # how aiortc's own loop learns of the end
