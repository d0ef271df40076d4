"""The only place that touches what aiortc keeps to itself, each with what happens should it change.

    limit_gathering            how long STUN and TURN servers are waited for
    enlarge_receive_buffers    UDP buffers that hold what comes while Python is busy
    renew_names                what browsers' `.local` names are asked through, when the thread has another loop
    peer_fingerprint           of the certificate that the handshake verified
    selected_remote_address    of the path in use
    Association                what SCTP has under way, and a say in when it sends and acknowledges

`tests/transports/test_aiortc_private.py` fails when one of these goes away; at
run time nothing here raises, so that a new aiortc costs speed or a field in a
report, and not the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import struct
import threading
import types
import weakref
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from aioice import ice
from aiortc import RTCPeerConnection, rtcdtlstransport, rtcsctptransport
from cryptography.hazmat.primitives.hashes import SHA256
from google_crc32c import value as crc32c
from OpenSSL import SSL

__all__ = [
    "RECEIVE_BUFFER_BYTES",
    "Association",
    "enlarge_receive_buffers",
    "limit_gathering",
    "peer_fingerprint",
    "renew_names",
    "selected_remote_address",
]

# The usual 208 KiB overflow while Python is busy: 2.0 MB/s at 20 ms became 6.5 to 7.2 with this.
RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
_SO_RCVBUFFORCE = 33  # Linux; beyond the system's limit, for those who may

# RFC 9260, 6.2: at least every second packet is acknowledged, and none later than 200 ms.
_PACKETS_A_SACK = 2
_SACK_DELAY_S = 0.02  # much less, since the other side takes the time of an acknowledgement for the path's
# The other side's congestion window grows with each acknowledgement, so its start is acknowledged packet by packet,
# as Linux does for TCP: the first 600 KiB, which is a path of 12 MB/s and 50 ms.
_PACKETS_AT_ONCE = 512
_PACKET_BYTES = 1160  # aiortc's USERDATA_MAX_LENGTH
_INITIAL_WINDOW_PACKETS = 10  # RFC 6928 for TCP, and Chromium's for SCTP; aiortc has 3
# Parts of messages that are not whole: aiortc announces 1 MiB, and keeps whatever comes.  Whoever goes by that has no
# more than a credit window of ours under way.
_UNFINISHED_BYTES_MAX = 8 * 1024 * 1024
_HEARTBEAT_INFO = 1  # RFC 9260, 3.3.5
_WRAPPED = (
    *("_handle_data", "_data_channel_flush", "_update_rto", "_send_sack", "_mark_received", "_get_inbound_stream"),
    "_transmit",
)
_NEEDED = (
    *_WRAPPED,
    *("_send_chunk", "_flight_size", "_cwnd", "_outbound_queue", "_sent_queue", "_data_channel_queue"),
    *("_inbound_streams", "_sack_misordered", "_sack_duplicates", "_sack_needed", "_last_received_tsn"),
    *("_local_port", "_remote_port", "_remote_verification_tag", "_local_verification_tag", "_reconfig_deferred"),
    *("_advertised_rwnd",),
)
_NEEDED_OF_DTLS = ("_ssl", "_state", "_data_receiver")
_NEEDED_OF_ICE = ("_nominated", "_queue", "data_received")
# A packet with one DATA chunk (RFC 9260, 3 and 3.3.1): ports, tag, checksum; type, flags, length, TSN, stream, its
# sequence number, and what the message is.
_FRAGMENT = struct.Struct("!HHL4sBBHLHHL")
_LAST_OR_UNORDERED = rtcsctptransport.SCTP_DATA_LAST_FRAG | rtcsctptransport.SCTP_DATA_UNORDERED
_APPLICATION_DATA = b"\x17"  # RFC 6347, 4.1: the first byte of a DTLS record is its type
_DATAGRAM_BYTES_MAX = 1500


def _sockets(connection: RTCPeerConnection) -> list[Any]:
    ice: Any = connection.sctp.transport.transport if connection.sctp is not None else None
    protocols: list[Any] = ice._connection._protocols
    return [protocol.transport.get_extra_info("socket") for protocol in protocols]


def limit_gathering(connection: RTCPeerConnection, limit_s: float) -> None:
    """Have the connection's next gathering end after that with what it has, instead of aioice's five seconds."""
    with contextlib.suppress(AttributeError):
        ice: Any = connection.sctp.transport.transport if connection.sctp is not None else None
        gatherer = ice._connection
        gatherer.get_component_candidates = functools.partial(gatherer.get_component_candidates, timeout=limit_s)


def enlarge_receive_buffers(connection: RTCPeerConnection) -> int:
    """Ask for RECEIVE_BUFFER_BYTES on each of the connection's UDP sockets; how many were found.

    Call after gathering.  Without it throughput collapses on any path with delay.
    """
    found = 0
    with contextlib.suppress(AttributeError):
        for sock in _sockets(connection):
            found += 1
            try:
                sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)
            except OSError:
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    return found


class _Names(threading.local):
    loop: Callable[[], asyncio.AbstractEventLoop | None] | None = None  # of whom aioice's state is


_names = _Names()


def renew_names() -> None:
    """Let aioice ask for `.local` names in the running loop.

    It keeps one lock and one socket a thread.  Once two names were asked for at once, the lock belongs to the loop of
    that time, and a socket that was not closed stays with its loop; in the thread's next loop every description of a
    browser would be refused.
    """
    loop = asyncio.get_running_loop()
    if _names.loop is None or _names.loop() is not loop:
        _names.loop = weakref.ref(loop)
        with contextlib.suppress(AttributeError):
            ice._mdns.__dict__.clear()  # made anew at the next name


def peer_fingerprint(connection: RTCPeerConnection) -> str | None:
    """`sha-256 AB:CD:...` of the certificate that the DTLS handshake verified, or None.

    Not taken from the description: that may list several, of which one is true.
    """
    with contextlib.suppress(AttributeError):
        dtls: Any = connection.sctp.transport if connection.sctp is not None else None
        certificate = dtls._ssl.get_peer_certificate(as_cryptography=True)
        if certificate is not None:
            digest: bytes = certificate.fingerprint(SHA256())
            return "sha-256 " + digest.hex(":").upper()
    return None


def selected_remote_address(connection: RTCPeerConnection) -> str | None:
    """The IP address at the other end of the nominated candidate pair, or None."""
    with contextlib.suppress(AttributeError):
        ice: Any = connection.sctp.transport.transport if connection.sctp is not None else None
        pair = next(iter(ice._connection._nominated.values()), None)
        return None if pair is None else str(pair.remote_addr[0])
    return None


class _InboundStream(rtcsctptransport.InboundStream):
    """As aiortc's, without the walk over all fragments for each one that cannot be a message's last.

    A fragment at the end of what came, and not marked as last, completes nothing: a message of 64 KiB has 57, and the
    walks over them were a fifth of what receiving cost.
    """

    _completes_nothing = False  # of the class, so that a stream can become one of these

    def add_chunk(self, chunk: rtcsctptransport.DataChunk) -> None:
        super().add_chunk(chunk)
        is_last = chunk.flags & rtcsctptransport.SCTP_DATA_LAST_FRAG
        self._completes_nothing = not is_last and self.reassembly[-1] is chunk

    def pop_messages(self) -> Iterator[tuple[int, int, bytes]]:
        if self._completes_nothing:
            self._completes_nothing = False
            return iter(())
        return super().pop_messages()


def _run(handling: Coroutine[Any, Any, None]) -> None:
    """Run one of aiortc's coroutines that handle or send a packet, here and now: none of them waits for anything.

    Should one do so in a new aiortc, the rest of it becomes a task.
    """
    try:
        awaited = handling.send(None)
    except StopIteration:
        return
    rest: Any = _the_rest(handling, awaited)  # a coroutine, which no annotation of a generator says
    asyncio.ensure_future(rest)  # noqa: RUF006 - the loop has it, by what it waits for


@types.coroutine
def _the_rest(handling: Coroutine[Any, Any, None], awaited: Any) -> Iterator[Any]:
    while True:
        yield awaited
        try:
            awaited = handling.send(None)
        except StopIteration:
            return


class _ShortWay:
    """Between SCTP's packets and UDP's datagrams, without what aiortc does for each of them besides.

    That is a try at STUN, a queue, a wake of a task, a look for what DTLS would answer, and eight coroutines none of
    which ever waits.  Whatever is not application data on an established connection takes aiortc's way.
    """

    def __init__(self, sctp: Any, take_fragment: Callable[[bytes], bool]) -> None:
        dtls: Any = getattr(sctp, "transport", None)
        ice: Any = getattr(getattr(dtls, "transport", None), "_connection", None)
        needed = [(dtls, name) for name in _NEEDED_OF_DTLS] + [(ice, name) for name in _NEEDED_OF_ICE]
        self.is_there = all(hasattr(owner, name) for owner, name in needed)
        self._take_fragment = take_fragment
        self._protocol: Any = None
        self._sctp = sctp
        self._dtls = dtls
        self._ice = ice

    def take(self) -> None:
        self._receive_the_long_way: Callable[[bytes, int], None] = self._ice.data_received
        self._ice.data_received = self._receive
        self._sctp._send_chunk = self._send_chunk

    def release(self) -> None:
        self._ice.__dict__.pop("data_received", None)
        if self._protocol is not None:
            self._protocol.__dict__.pop("datagram_received", None)
        self._sctp.__dict__.pop("_send_chunk", None)

    async def _send_chunk(self, chunk: rtcsctptransport.Chunk) -> None:
        sctp, dtls = self._sctp, self._dtls
        pair = self._ice._nominated.get(1)
        if dtls._state is not rtcdtlstransport.State.CONNECTED or pair is None:
            raise ConnectionError("not connected")
        packet = rtcsctptransport.serialize_packet(
            sctp._local_port, sctp._remote_port, sctp._remote_verification_tag, chunk
        )
        dtls._ssl.send(packet)
        pair.protocol.transport.sendto(dtls._ssl.bio_read(_DATAGRAM_BYTES_MAX), pair.remote_addr)

    def _receive_datagram(self, data: bytes, address: tuple[Any, ...]) -> None:
        if data[:1] == _APPLICATION_DATA:  # STUN's begin with 0 or 1 (RFC 7983, 7)
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
            if not self._take_fragment(packet):
                _run(self._sctp._handle_data(packet))
        except ConnectionError:
            queue.put_nowait(None)  # how aiortc's own loop learns of the end


class Association:
    """One SCTP association, with its methods wrapped on the instance: no class is changed, others' are untouched.

    All callbacks run inside aiortc's send or receive path and must not raise.
    """

    def __init__(
        self,
        sctp: Any,
        *,
        on_progress: Callable[[], None],
        on_round_trip: Callable[[float], None],
        on_unreadable: Callable[[str], None],
    ) -> None:
        """`on_progress`: it may have room now.  `on_round_trip`: seconds, one for most acknowledgements.

        `on_unreadable`: a packet made aiortc raise, where it would end the connection in silence.
        """
        self.is_hooked = all(hasattr(sctp, name) for name in _NEEDED)
        self.heard = False  # set with each packet; whoever reads it clears it
        self.window_bytes: int | None = None  # SCTP's congestion window is kept at or below this
        self._sctp = sctp
        self._on_progress = on_progress
        self._on_round_trip = on_round_trip
        self._on_unreadable = on_unreadable
        self._unacknowledged = 0
        self._acknowledged_at_once = _PACKETS_AT_ONCE
        self._had_gap = False
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Future[None]] = set()  # so that none is collected while it runs
        self._short_way = _ShortWay(sctp, self._take_fragment)
        if self.is_hooked:
            self._wrap()
            if self._short_way.is_there:
                self._short_way.take()

    @property
    def in_flight_bytes(self) -> int:
        """Sent, and not known to have come or to be lost."""
        return int(self._sctp._flight_size)

    @property
    def is_empty(self) -> bool:
        """All that was handed to SCTP has left."""
        return not self._sctp._outbound_queue

    def unacknowledged_bytes(self) -> int:
        """Handed to SCTP and not known to have come; costs a walk over its queues."""
        sent, waiting = self._sctp._sent_queue, self._sctp._outbound_queue
        return sum(len(c.user_data) for c in sent if not c._acked) + sum(len(c.user_data) for c in waiting)

    def send_heartbeat(self) -> None:
        """Ask the other side for an answer (RFC 9260, 8.3); everything that comes sets `heard`."""
        chunk = rtcsctptransport.HeartbeatChunk()
        chunk.params.append((_HEARTBEAT_INFO, b"shoal"))
        self._send(self._sctp._send_chunk(chunk))

    def release(self) -> None:
        """Take the wraps off, so that nothing of ours is called any more."""
        if self._timer is not None:
            self._timer.cancel()
        if self.is_hooked:
            self.is_hooked = False
            if self._short_way.is_there:
                self._short_way.release()
            for name in _WRAPPED:
                self._sctp.__dict__.pop(name, None)

    def _wrap(self) -> None:
        sctp = self._sctp
        self._original_sack: Callable[[], Coroutine[Any, Any, None]] = sctp._send_sack
        self._original_mark: Callable[[int], bool] = sctp._mark_received
        handle, flush, update_rto = sctp._handle_data, sctp._data_channel_flush, sctp._update_rto
        send_packets = sctp._transmit
        self._announced_bytes: int = sctp._advertised_rwnd
        sctp._cwnd = max(sctp._cwnd, _INITIAL_WINDOW_PACKETS * _PACKET_BYTES)

        async def handle_data(data: bytes) -> None:
            self.heard = True
            try:
                await handle(data)
            except ConnectionError:
                raise  # how aiortc's own loop learns of the end
            except Exception as error:
                self._on_unreadable(repr(error))
            self._bound_unfinished()

        async def then_go_on(send: Callable[[], Coroutine[Any, Any, None]]) -> None:
            await send()
            # Not at the acknowledgement alone: browsers hold that of a single packet back for 200 ms, and a message
            # that is short would keep the next one waiting for so long.
            if not sctp._outbound_queue and not sctp._data_channel_queue:
                self._on_progress()

        def data_channel_flush() -> Coroutine[Any, Any, None]:
            self._on_progress()
            if self.window_bytes is not None and sctp._cwnd > self.window_bytes:
                sctp._cwnd = self.window_bytes
            return then_go_on(flush)

        def update_round_trip(seconds: float) -> None:
            update_rto(seconds)
            self._on_round_trip(seconds)

        for stream in sctp._inbound_streams.values():  # the one on which the channel was announced
            stream.__class__ = _InboundStream
        sctp._handle_data = handle_data
        sctp._data_channel_flush = data_channel_flush
        sctp._update_rto = update_round_trip
        sctp._transmit = lambda: then_go_on(send_packets)
        sctp._send_sack = self._send_sack
        sctp._mark_received = self._mark_received
        sctp._get_inbound_stream = self._get_inbound_stream

    def _bound_unfinished(self) -> None:
        unfinished = self._announced_bytes - self._sctp._advertised_rwnd
        if unfinished > _UNFINISHED_BYTES_MAX:
            self._on_unreadable(f"{unfinished} bytes of messages that do not end")

    def _mark_received(self, tsn: int) -> bool:
        """As aiortc's, which sorts and filters three empty sets for each packet that comes in its order."""
        sctp = self._sctp
        last = sctp._last_received_tsn
        if last is not None and tsn == last + 1 and not sctp._sack_misordered and not sctp._sack_duplicates:
            sctp._last_received_tsn = tsn
            return False
        return self._original_mark(tsn)

    def _get_inbound_stream(self, stream_id: int) -> _InboundStream:
        streams: dict[int, _InboundStream] = self._sctp._inbound_streams
        if stream_id not in streams:
            streams[stream_id] = _InboundStream()
        return streams[stream_id]

    def _take_fragment(self, packet: bytes) -> bool:
        """Take in a packet that is one fragment in its order, and not a message's last; False, and nothing, if not.

        Of the packets of a message of 64 KiB that is all but one.  This does what aiortc's `_handle_data` and what it
        calls come to for them.
        """
        sctp = self._sctp
        if len(packet) <= _FRAGMENT.size or not self.is_hooked:
            return False
        _, _, tag, checksum, kind, flags, length, tsn, stream_id, sequence, protocol = _FRAGMENT.unpack_from(packet)
        stream = sctp._inbound_streams.get(stream_id)
        if (
            kind != rtcsctptransport.DataChunk.type
            or flags & _LAST_OR_UNORDERED
            or length != len(packet) - rtcsctptransport.SCTP_COMMON_HEADER_LENGTH  # neither padded nor one of several
            or tag != sctp._local_verification_tag
            or tsn - 1 != sctp._last_received_tsn
            or sctp._sack_misordered
            or sctp._sack_duplicates
            or sctp._reconfig_deferred is not None
            or type(stream) is not _InboundStream
            or int.from_bytes(checksum, "little") != crc32c(packet[:8] + bytes(4) + packet[12:])
        ):
            return False
        chunk = rtcsctptransport.DataChunk(flags)
        chunk.tsn, chunk.stream_id, chunk.stream_seq, chunk.protocol = tsn, stream_id, sequence, protocol
        chunk.user_data = packet[_FRAGMENT.size :]
        self.heard = True
        sctp._last_received_tsn = tsn
        sctp._advertised_rwnd -= len(chunk.user_data)
        stream.add_chunk(chunk)
        self._bound_unfinished()
        if self._sack_is_due():
            _run(self._original_sack())
        return True

    async def _send_sack(self) -> None:
        if self._sack_is_due():
            await self._original_sack()

    def _sack_is_due(self) -> bool:
        sctp = self._sctp
        has_gap = bool(sctp._sack_misordered or sctp._sack_duplicates)
        self._unacknowledged += 1
        if self._acknowledged_at_once > 0:
            self._acknowledged_at_once -= 1
        elif not has_gap and not self._had_gap and self._unacknowledged < _PACKETS_A_SACK:
            sctp._sack_needed = False
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(_SACK_DELAY_S, self._sack_late)
            return False
        self._had_gap = has_gap
        self._unacknowledged = 0
        return True

    def _sack_late(self) -> None:
        self._timer = None
        if self._unacknowledged and self.is_hooked:
            self._unacknowledged = 0
            self._send(self._original_sack())

    def _send(self, sending: Coroutine[Any, Any, None]) -> None:
        async def send() -> None:
            # The handshake's end and the socket's are told elsewhere; OpenSSL has an error class of its own for them.
            with contextlib.suppress(Exception):
                await sending

        task = asyncio.ensure_future(send())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
