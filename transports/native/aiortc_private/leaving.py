"""Packets of ours, as acknowledgements let them go: what aiortc does, in fewer steps while nothing is lost.

For each acknowledgement aiortc looks through all that is under way for something to send again, sets a timer anew, and
runs seven coroutines; at 20 MB/s over 100 ms that is most of what sending costs.  `take` handles an acknowledgement of
all packets up to one of them, and `transmit` sends new ones.  As soon as one may have to be sent again (a gap, the end
of the timer) aiortc has it all to itself, until it has sent that again and it has come.

What is decided otherwise than by aiortc, each where the RFCs leave the choice:

    at once     ten packets, or twice as many as a group that was just acknowledged, not four: RFC 6928 found ten to
                do no harm at a connection's start, and four make a message of 64 KiB take four round trips after
                every pause
    slow start  grows by all that was acknowledged, not by a packet for each acknowledgement, where the other side
                acknowledges in groups (RFC 3465, 2.3 with the limit that Linux has)
    window      new packets leave only within `window_bytes`, whatever congestion control would allow
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from aiortc import rtcsctptransport
from google_crc32c import extend as crc32c_of_more
from google_crc32c import value as crc32c

from .arriving import ACKNOWLEDGEMENT, ACKNOWLEDGEMENT_CHUNK_BYTES
from .datagrams import run_now

__all__ = ["PACKET_BYTES", "Leaving"]

PACKET_BYTES = 1160  # aiortc's USERDATA_MAX_LENGTH
_INITIAL_WINDOW_PACKETS = 10  # RFC 6928 for TCP, and Chromium's for SCTP; aiortc has 3
_BURST_BYTES = 10 * PACKET_BYTES
_BURST_BYTES_MAX = 128 * PACKET_BYTES  # of what was acknowledged while nothing was there to be sent
_DATA = struct.Struct("!HHLLBBHLHHL")
_TSNS = 2**32


class _Chunk(rtcsctptransport.DataChunk):
    """A DataChunk that costs less to make: what it begins with is of the class."""

    _abandoned = False
    _acked = False
    _expiry = None
    _in_flight = False
    _max_retransmits = None
    _misses = 0
    _retransmit = False
    _sent_count = 0
    _sent_time = None

    def __init__(self, flags: int, tsn: int, message: tuple[int, int, int], user_data: bytes) -> None:
        """`message`: its stream, its number there, and what it is."""
        self.flags = flags
        self.tsn = tsn
        self.stream_id, self.stream_seq, self.protocol = message
        self.user_data = user_data
        self._book_size = len(user_data)


class _Running:
    """In the place of aiortc's timer handle, while the timer that it stands for runs."""

    def cancel(self) -> None:
        pass


class Leaving:
    """The sending half of one association."""

    def __init__(
        self,
        sctp: Any,
        write: Callable[[bytes], None],
        *,
        on_progress: Callable[[], None],
        on_round_trip: Callable[[float], None],
    ) -> None:
        """`on_progress` and `on_round_trip` as of an Association."""
        self.window_bytes: int | None = None
        self.in_groups = False  # the other side acknowledges what came in one step of its loop together
        self._sctp = sctp
        self._write = write
        self._on_progress = on_progress
        self._on_round_trip = on_round_trip
        self._loop = asyncio.get_running_loop()
        self._is_short = False
        self._is_clean = False  # nothing under way is to be sent again, or could be given up
        self._burst_bytes = _BURST_BYTES
        self._resend_at_s = 0.0
        self._resend_timer: asyncio.TimerHandle | None = None
        self._running = _Running()

    def wrap(self) -> None:
        sctp = self._sctp
        self._original_send: Callable[..., Coroutine[Any, Any, None]] = sctp._send
        self._original_flush: Callable[[], Coroutine[Any, Any, None]] = sctp._data_channel_flush
        self._original_transmit: Callable[[], Coroutine[Any, Any, None]] = sctp._transmit
        self._original_update_rto: Callable[[float], None] = sctp._update_rto
        sctp._cwnd = max(sctp._cwnd, _INITIAL_WINDOW_PACKETS * PACKET_BYTES)
        sctp._data_channel_flush = self._flush
        sctp._transmit = self._transmit
        sctp._update_rto = self._update_rto

    def shorten(self) -> None:
        """Take the short way too, which needs that of the datagrams."""
        sctp = self._sctp
        self._is_short = True
        self._original_expired: Callable[[], None] = sctp._t3_expired
        self._original_take: Callable[[Any], Coroutine[Any, Any, None]] = sctp._receive_sack_chunk
        if sctp._t3_handle is not None:
            sctp._t3_handle.cancel()
            self._resend_later()
        sctp._send = self._send
        sctp._t3_start = sctp._t3_restart = self._resend_later
        sctp._t3_cancel = self._resend_never
        sctp._t3_expired = self._resend
        sctp._receive_sack_chunk = self._take_the_long_way
        self._look_whether_clean()

    def release(self) -> None:
        """Leave the timer as aiortc has it; its own methods are its own again."""
        self._is_clean = self._is_short = False
        if self._resend_timer is not None:
            self._resend_timer.cancel()
        sctp = self._sctp
        if sctp._t3_handle is self._running:
            sctp._t3_handle = None
            if sctp._sent_queue:
                sctp._t3_start()

    def start_to(self, byte_count: int) -> None:
        """Let slow start go on so far, unless something was lost: RFC 9260, 7.2.1 lets its first end be as high.

        aiortc ends it at what the other side announces, 1 MiB, and then adds a packet in each round trip: 9.0 MB/s over
        100 ms, with three quarters of a core idle.
        """
        sctp = self._sctp
        if sctp._ssthresh is not None and sctp._cwnd < sctp._ssthresh:
            sctp._ssthresh = max(sctp._ssthresh, byte_count)

    # --- acknowledgements

    def take(self, packet: bytes) -> bool:
        """Take in a packet that acknowledges all up to one of ours; False, and nothing, if it is something else."""
        if len(packet) != ACKNOWLEDGEMENT.size or not self._is_clean:
            return False
        sctp = self._sctp
        _, _, tag, checksum, kind, _, length, cumulative, _, gaps, duplicates = ACKNOWLEDGEMENT.unpack(packet)
        if (
            kind != rtcsctptransport.SackChunk.type
            or length != ACKNOWLEDGEMENT_CHUNK_BYTES
            or gaps
            or duplicates
            or tag != sctp._local_verification_tag
            or sctp._fast_recovery_exit is not None
            or sctp._association_state is not sctp.State.ESTABLISHED
            or int.from_bytes(checksum, "little") != crc32c(packet[:8] + bytes(4) + packet[12:])
        ):
            return False
        sent: deque[rtcsctptransport.DataChunk] = sctp._sent_queue
        count = (cumulative - sctp._last_sacked_tsn) % _TSNS
        if count < _TSNS // 2:
            sctp._last_sacked_tsn = sctp._advanced_peer_ack_tsn = cumulative
            self._came(min(len(sent), count))
            self._go_on()
        return True

    async def _take_the_long_way(self, chunk: Any) -> None:
        self._is_clean = False  # it may say what is lost, which aiortc's `_transmit` then sends
        await self._original_take(chunk)

    def _came(self, count: int) -> None:
        """That many of what is under way came, the oldest."""
        sctp = self._sctp
        if not count:
            return
        sent, is_full = sctp._sent_queue, sctp._flight_size >= sctp._cwnd
        first = newest = sent[0]
        byte_count = 0
        for _ in range(count):
            newest = sent.popleft()
            if not newest._acked:
                byte_count += newest._book_size
            if newest._in_flight:
                newest._in_flight = False
                sctp._flight_size -= newest._book_size
        now_s = time.time()  # aiortc's clock for this
        if first._sent_count == 1:
            self._original_update_rto(now_s - first._sent_time)
        if newest._sent_count == 1:
            self._round_trip(now_s - newest._sent_time)  # it waited least for the others of its group
        if is_full:
            self._grow(byte_count)
        if sent:
            self._resend_later()
        else:
            self._resend_never()
        if self.in_groups:
            self._burst_bytes = min(_BURST_BYTES_MAX, self._burst_bytes + 2 * byte_count)  # as slow start doubles

    def _grow(self, byte_count: int) -> None:
        sctp = self._sctp
        if sctp._cwnd <= sctp._ssthresh:
            sctp._cwnd += byte_count if self.in_groups else min(byte_count, PACKET_BYTES)
        else:
            sctp._partial_bytes_acked += byte_count
            if sctp._partial_bytes_acked >= sctp._cwnd:
                sctp._partial_bytes_acked -= sctp._cwnd
                sctp._cwnd += PACKET_BYTES

    def _go_on(self) -> None:
        sctp = self._sctp
        self._on_progress()
        if sctp._data_channel_queue or sctp._reconfig_queue:
            run_now(self._original_flush())
        self._transmit_new()
        self._tell_if_empty()
        while sctp._data_channel_queue and not sctp._outbound_queue:  # now, and not when a task of aiortc's runs
            run_now(self._original_flush())
            self._tell_if_empty()

    def _round_trip(self, seconds: float) -> None:
        if seconds > 0:  # else the machine's clock was set back
            self._on_round_trip(seconds)

    def _update_rto(self, seconds: float) -> None:
        self._original_update_rto(seconds)
        self._round_trip(seconds)

    # --- packets

    # aiortc runs both as tasks too, which nobody awaits: that the connection has ended is told elsewhere.

    async def _flush(self) -> None:
        self._on_progress()
        with contextlib.suppress(ConnectionError):
            await self._original_flush()
        self._tell_if_empty()

    async def _transmit(self) -> None:
        with contextlib.suppress(ConnectionError):
            if self._is_clean and self._sctp._fast_recovery_exit is None:
                self._transmit_new()
            else:
                await self._original_transmit()
                self._look_whether_clean()
        self._tell_if_empty()

    def _tell_if_empty(self) -> None:
        # Not at the acknowledgement alone: browsers hold that of a single packet back for 200 ms, and a message
        # that is short would keep the next one waiting for so long.
        if not self._sctp._outbound_queue and not self._sctp._data_channel_queue:
            self._on_progress()

    def _transmit_new(self) -> None:
        sctp = self._sctp
        waiting, sent = sctp._outbound_queue, sctp._sent_queue
        limit = min(sctp._flight_size + self._burst_bytes, sctp._cwnd)
        if self.window_bytes is not None:
            limit = min(limit, self.window_bytes)
        if not waiting or sctp._flight_size >= limit:
            return
        before, now_s = sctp._flight_size, time.time()
        while waiting and sctp._flight_size < limit:
            chunk = waiting.popleft()
            sent.append(chunk)
            chunk._in_flight = True
            sctp._flight_size += chunk._book_size
            chunk._sent_count += 1
            chunk._sent_time = now_s
            self._write(self._packet(chunk))
        self._burst_bytes = max(_BURST_BYTES, self._burst_bytes - (sctp._flight_size - before))
        if not sctp._t3_handle:
            self._resend_later()

    def _packet(self, chunk: rtcsctptransport.DataChunk) -> bytes:
        sctp, data = self._sctp, chunk.user_data
        padding = bytes(-len(data) % 4)
        head = _DATA.pack(
            sctp._local_port,
            sctp._remote_port,
            sctp._remote_verification_tag,
            0,
            rtcsctptransport.DataChunk.type,
            chunk.flags,
            rtcsctptransport.SCTP_DATA_CHUNK_HEADER_LENGTH + len(data),
            chunk.tsn,
            chunk.stream_id,
            chunk.stream_seq,
            chunk.protocol,
        )
        checksum = crc32c_of_more(crc32c(head), data + padding if padding else data)
        return b"".join((head[:8], checksum.to_bytes(4, "little"), head[12:], data, padding))

    async def _send(  # noqa: PLR0917 - aiortc's
        self,
        stream_id: int,
        pp_id: int,
        user_data: bytes,
        expiry: float | None = None,
        max_retransmits: int | None = None,
        ordered: bool = True,
    ) -> None:
        """As aiortc's: a message into fragments, and what may go goes."""
        if expiry is not None or max_retransmits is not None or not ordered:
            self._is_clean = False  # what may be given up is aiortc's alone
            await self._original_send(stream_id, pp_id, user_data, expiry, max_retransmits, ordered)
            return
        sctp = self._sctp
        sequence, tsn, size = sctp._outbound_stream_seq.get(stream_id, 0), sctp._local_tsn, len(user_data)
        message = (stream_id, sequence, pp_id)
        flags = rtcsctptransport.SCTP_DATA_FIRST_FRAG
        for at in range(0, size, PACKET_BYTES):
            if at + PACKET_BYTES >= size:
                flags |= rtcsctptransport.SCTP_DATA_LAST_FRAG
            piece = user_data[at : at + PACKET_BYTES]
            sctp._outbound_queue.append(_Chunk(flags, tsn, message, piece))
            tsn = (tsn + 1) % _TSNS
            flags = 0
        sctp._local_tsn = tsn
        sctp._outbound_stream_seq[stream_id] = (sequence + 1) % 2**16
        await sctp._transmit()

    def _look_whether_clean(self) -> None:
        sctp = self._sctp
        self._is_clean = (
            self._is_short
            and sctp._forward_tsn_chunk is None
            and not sctp._forward_tsn_streams
            and not any(
                chunk._retransmit or chunk._max_retransmits is not None or chunk._expiry is not None
                for chunk in (*sctp._sent_queue, *sctp._outbound_queue)
            )
        )

    # --- the timer after which all is sent again: one that runs on, in place of one for each acknowledgement

    def _resend_later(self) -> None:
        sctp = self._sctp
        self._resend_at_s = self._loop.time() + sctp._rto
        sctp._t3_handle = self._running
        if self._resend_timer is None:
            self._resend_timer = self._loop.call_later(sctp._rto, self._look_whether_to_resend)

    def _resend_never(self) -> None:
        self._sctp._t3_handle = None

    def _look_whether_to_resend(self) -> None:
        self._resend_timer = None
        if self._sctp._t3_handle is None:
            return
        left_s = self._resend_at_s - self._loop.time()
        if left_s > 0:
            self._resend_timer = self._loop.call_later(left_s, self._look_whether_to_resend)
        else:
            self._sctp._t3_expired()

    def _resend(self) -> None:
        self._is_clean = False
        self._original_expired()
