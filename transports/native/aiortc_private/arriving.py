"""Packets with data: what aiortc does with each, in fewer steps for those that come in their order, and when they are
acknowledged.

Of all packets that bring data nearly every one is a fragment that follows the one before it.  `take` does for it what
aiortc's `_handle_data` and all that it calls come to, and leaves every other packet to aiortc.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from aiortc import rtcsctptransport
from google_crc32c import value as crc32c
from OpenSSL import SSL

from .bounds import excess_of
from .datagrams import Datagrams, run_now

__all__ = ["ACKNOWLEDGEMENT", "ACKNOWLEDGEMENT_CHUNK_BYTES", "Arriving", "InboundStream"]

# RFC 9260, 6.2: at least every second packet is acknowledged, and none later than 200 ms.
_PACKETS_A_SACK = 2
# Another of ours lets as many go as were acknowledged, so it is told once for all that were read in one step of the
# loop.  An aiortc by itself sends four for each acknowledgement, however much that is of.
_PACKETS_A_GROUP_MAX = 32
_SACK_DELAY_S = 0.02  # much less, since the other side takes the time of an acknowledgement for the path's
# The other side's congestion window grows with each acknowledgement, so its start is acknowledged packet by packet,
# as Linux does for TCP: the first 600 KiB, which is a path of 12 MB/s and 50 ms.
_PACKETS_AT_ONCE = 512
# A packet with one DATA chunk (RFC 9260, 3 and 3.3.1): ports, tag, checksum; type, flags, length, TSN, stream, its
# sequence number, and what the message is.
_FRAGMENT = struct.Struct("!HHL4sBBHLHHL")
_PADDED_TO = 4
# A packet with one SACK and nothing after its fixed part (RFC 9260, 3 and 3.3.4): ports, tag, checksum; type, flags,
# length, cumulative TSN, window, how many gaps and duplicates follow.
ACKNOWLEDGEMENT = struct.Struct("!HHL4sBBHLLHH")
ACKNOWLEDGEMENT_CHUNK_BYTES = 16


class InboundStream(rtcsctptransport.InboundStream):
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


class _Fragment:
    """What an InboundStream needs of a DataChunk."""

    __slots__ = ("flags", "protocol", "stream_id", "stream_seq", "tsn", "user_data")

    def __init__(self, flags: int, tsn: int, message: tuple[int, int, int], user_data: bytes) -> None:
        """`message`: its stream, its number there, and what it is."""
        self.flags = flags
        self.tsn = tsn
        self.stream_id, self.stream_seq, self.protocol = message
        self.user_data = user_data


class Arriving:
    """The receiving half of one association."""

    def __init__(
        self,
        sctp: Any,
        datagrams: Datagrams,
        *,
        on_unreadable: Callable[[str], None],
    ) -> None:
        """`on_unreadable` as of an Association."""
        self.in_groups = False  # acknowledge what came in one step of the loop together
        self.heard = False
        self._sctp = sctp
        self._datagrams = datagrams
        self._on_unreadable = on_unreadable
        self._loop = asyncio.get_running_loop()
        self._unacknowledged = 0
        self._acknowledged_at_once = _PACKETS_AT_ONCE
        self._had_gap = False
        self._is_over = False
        self._timer: asyncio.TimerHandle | None = None
        self._group: asyncio.Handle | None = None

    def wrap(self) -> None:
        sctp = self._sctp
        self._original_sack: Callable[[], Coroutine[Any, Any, None]] = sctp._send_sack
        self._original_mark: Callable[[int], bool] = sctp._mark_received
        self._original_handle: Callable[[bytes], Coroutine[Any, Any, None]] = sctp._handle_data
        for stream in sctp._inbound_streams.values():  # the one on which the channel was announced
            stream.__class__ = InboundStream
        sctp._handle_data = self._handle_data
        sctp._send_sack = self._send_sack
        sctp._mark_received = self._mark_received
        sctp._get_inbound_stream = self._get_inbound_stream

    def release(self) -> None:
        self._is_over = True
        for handle in (self._timer, self._group):
            if handle is not None:
                handle.cancel()

    def take(self, packet: bytes) -> bool:
        """Take in a packet that is one fragment in its order; False, and nothing, if it is something else."""
        sctp = self._sctp
        if len(packet) <= _FRAGMENT.size:
            return False
        _, _, tag, checksum, kind, flags, length, tsn, stream_id, sequence, protocol = _FRAGMENT.unpack_from(packet)
        stream = sctp._inbound_streams.get(stream_id)
        padding = len(packet) - rtcsctptransport.SCTP_COMMON_HEADER_LENGTH - length
        if (
            kind != rtcsctptransport.DataChunk.type
            or flags & rtcsctptransport.SCTP_DATA_UNORDERED
            or not 0 <= padding < _PADDED_TO  # else it is one of several
            or length <= rtcsctptransport.SCTP_DATA_CHUNK_HEADER_LENGTH
            or tag != sctp._local_verification_tag
            or tsn - 1 != sctp._last_received_tsn
            or sctp._sack_misordered
            or sctp._sack_duplicates
            or sctp._reconfig_deferred is not None
            or type(stream) is not InboundStream
            or excess_of(sctp) is not None  # whose business it is to say so
            or int.from_bytes(checksum, "little") != crc32c(packet[:8] + bytes(4) + packet[12:])
        ):
            return False
        data = packet[_FRAGMENT.size : len(packet) - padding]
        self.heard = True
        sctp._last_received_tsn = tsn
        sctp._advertised_rwnd -= len(data)
        # All that came is older, so that it goes to the end; and unless it is a last one, it completes nothing.
        stream.reassembly.append(_Fragment(flags, tsn, (stream_id, sequence, protocol), data))  # type: ignore[arg-type]
        if flags & rtcsctptransport.SCTP_DATA_LAST_FRAG:
            self._hand_on(stream)
        if self._sack_is_due():
            self._acknowledge_all()
        return True

    def _hand_on(self, stream: InboundStream) -> None:
        sctp = self._sctp
        try:
            for stream_id, protocol, message in stream.pop_messages():
                sctp._advertised_rwnd += len(message)
                run_now(sctp._receive(stream_id, protocol, message))
        except ConnectionError:
            raise
        except Exception as error:  # whatever aiortc makes of what a stranger sent
            self._on_unreadable(repr(error))

    async def _handle_data(self, data: bytes) -> None:
        self.heard = True
        try:
            await self._original_handle(data)
        except ConnectionError:
            raise  # how aiortc's own loop learns of the end
        except Exception as error:
            self._on_unreadable(repr(error))

    def _mark_received(self, tsn: int) -> bool:
        """As aiortc's, which sorts and filters three empty sets for each packet that comes in its order."""
        sctp = self._sctp
        last = sctp._last_received_tsn
        if last is not None and tsn == last + 1 and not sctp._sack_misordered and not sctp._sack_duplicates:
            sctp._last_received_tsn = tsn
            return False
        return self._original_mark(tsn)

    def _get_inbound_stream(self, stream_id: int) -> InboundStream:
        streams: dict[int, InboundStream] = self._sctp._inbound_streams
        if stream_id not in streams:
            streams[stream_id] = InboundStream()
        return streams[stream_id]

    async def _send_sack(self) -> None:
        if self._sack_is_due():
            await self._original_sack()

    def _sack_is_due(self) -> bool:
        sctp = self._sctp
        has_gap = bool(sctp._sack_misordered or sctp._sack_duplicates)
        self._unacknowledged += 1
        if has_gap or self._had_gap:
            self._had_gap = has_gap
        elif self.in_groups:
            if self._unacknowledged < _PACKETS_A_GROUP_MAX:
                self._acknowledge_later()
                return False
        elif self._acknowledged_at_once > 0:
            self._acknowledged_at_once -= 1
        elif self._unacknowledged < _PACKETS_A_SACK:
            self._acknowledge_later()
            return False
        self._unacknowledged = 0
        return True

    def _acknowledge_later(self) -> None:
        self._sctp._sack_needed = False
        if self._unacknowledged >= _PACKETS_A_SACK:
            if self._group is None:
                self._group = self._loop.call_soon(self._group_ends)
        elif self._timer is None:
            self._timer = self._loop.call_later(_SACK_DELAY_S, self._sack_late)

    def _group_ends(self) -> None:
        self._group = None
        self._acknowledge()

    def _sack_late(self) -> None:
        self._timer = None
        self._acknowledge()

    def _acknowledge(self) -> None:
        if self._unacknowledged and not self._is_over:
            self._unacknowledged = 0
            with contextlib.suppress(ConnectionError, SSL.Error):  # the end is told elsewhere
                self._acknowledge_all()

    def _acknowledge_all(self) -> None:
        """As aiortc's `_send_sack`, which sorts what is missing and makes four objects, where nothing is."""
        sctp = self._sctp
        if sctp._sack_misordered or sctp._sack_duplicates or not self._datagrams.is_there:
            run_now(self._original_sack())
            return
        ports_and_tag = sctp._local_port, sctp._remote_port, sctp._remote_verification_tag
        chunk = rtcsctptransport.SackChunk.type, 0, ACKNOWLEDGEMENT_CHUNK_BYTES
        fields = sctp._last_received_tsn, max(0, sctp._advertised_rwnd), 0, 0
        packet = ACKNOWLEDGEMENT.pack(*ports_and_tag, bytes(4), *chunk, *fields)
        self._datagrams.write(packet[:8] + crc32c(packet).to_bytes(4, "little") + packet[12:])
        sctp._sack_needed = False
