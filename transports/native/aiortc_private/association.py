"""What SCTP has under way, and a say in when it sends and acknowledges."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

from aiortc import rtcsctptransport
from OpenSSL import SSL

from .arriving import Arriving
from .datagrams import Datagrams, run_quietly
from .leaving import PACKET_BYTES, Leaving

__all__ = ["Association"]

_START_BYTES = 4 * 1024 * 1024  # all that a credit window may be (sansio/window.py), and half of what ours takes in
_HEARTBEAT_INFO = 1  # RFC 9260, 3.3.5
_WRAPPED = (
    *("_handle_data", "_data_channel_flush", "_update_rto", "_send_sack", "_mark_received", "_get_inbound_stream"),
    *("_transmit", "_send_reconfig_param"),
)
_SHORTENED = ("_send", "_t3_start", "_t3_restart", "_t3_cancel", "_t3_expired", "_receive_sack_chunk")
_NEEDED = (
    *_WRAPPED,
    *("_send_chunk", "_flight_size", "_cwnd", "_outbound_queue", "_sent_queue", "_data_channel_queue"),
    *("_inbound_streams", "_sack_misordered", "_sack_duplicates", "_sack_needed", "_last_received_tsn"),
    *("_local_port", "_remote_port", "_remote_verification_tag", "_local_verification_tag", "_reconfig_deferred"),
    *("_advertised_rwnd", "_receive", "_reconfig_timer_cancel"),
)
_NEEDED_TO_SHORTEN = (
    *_SHORTENED,
    *("_t3_handle", "_rto", "_partial_bytes_acked", "_fast_recovery_exit", "_last_sacked_tsn"),
    *("_advanced_peer_ack_tsn", "_forward_tsn_chunk", "_forward_tsn_streams", "_association_state", "_reconfig_queue"),
    *("_outbound_stream_seq", "_local_tsn"),
)


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
        self._sctp = sctp
        self._original_request: Callable[[Any], Coroutine[Any, Any, None]] | None = None
        self._datagrams = Datagrams(sctp, self._take)
        self._arriving = Arriving(sctp, self._datagrams, on_unreadable=on_unreadable)
        self._leaving = Leaving(sctp, self._datagrams.write, on_progress=on_progress, on_round_trip=on_round_trip)
        if self.is_hooked:
            self._original_request = sctp._send_reconfig_param
            sctp._send_reconfig_param = self._send_request
            self._arriving.wrap()
            self._leaving.wrap()
            if self._datagrams.is_there:
                self._datagrams.take()
                if all(hasattr(sctp, name) for name in _NEEDED_TO_SHORTEN):
                    self._leaving.shorten()

    @property
    def tells_silence(self) -> bool:
        return self.is_hooked

    @property
    def heard(self) -> bool:
        """Set with each packet; whoever reads it clears it."""
        return self._arriving.heard

    @heard.setter
    def heard(self, value: bool) -> None:
        self._arriving.heard = value

    @property
    def window_bytes(self) -> int | None:
        """No new packet leaves while so much is under way."""
        return self._leaving.window_bytes

    @window_bytes.setter
    def window_bytes(self, value: int | None) -> None:
        self._leaving.window_bytes = value

    @property
    def in_flight_bytes(self) -> int:
        """Sent, and not known to have come or to be lost."""
        return int(self._sctp._flight_size)

    @property
    def is_empty(self) -> bool:
        """All that was handed to SCTP has left."""
        return not self._sctp._outbound_queue

    @property
    def held_bytes(self) -> int:
        """As if each fragment filled its packet: a short one takes memory too.

        What came after one that is missing is among it: SCTP keeps that until the missing one has come as well.
        """
        if not self.is_hooked:
            return 0
        return (len(self._sctp._sent_queue) + len(self._sctp._outbound_queue)) * PACKET_BYTES

    def acknowledge_in_groups(self) -> None:
        """The other side is such an Association too: it lets as many packets go as an acknowledgement is for."""
        self._arriving.in_groups = self._leaving.in_groups = True
        if self.is_hooked and hasattr(self._sctp, "_ssthresh"):
            self._leaving.start_to(_START_BYTES)  # it takes what the credit window lets go

    def unacknowledged_bytes(self) -> int:
        """Handed to SCTP and not known to have come; costs a walk over its queues."""
        sent, waiting = self._sctp._sent_queue, self._sctp._outbound_queue
        return sum(len(c.user_data) for c in sent if not c._acked) + sum(len(c.user_data) for c in waiting)

    def send_heartbeat(self) -> None:
        """Ask the other side for an answer (RFC 9260, 8.3); everything that comes sets `heard`."""
        chunk = rtcsctptransport.HeartbeatChunk()
        chunk.params.append((_HEARTBEAT_INFO, b"shoal"))
        run_quietly(self._sctp._send_chunk(chunk))

    def look(self, if_nothing_came: Callable[[], None] | None = None) -> None:
        """Nothing did but what `heard` says: each packet was looked at."""
        if if_nothing_came is not None:
            if_nothing_came()

    def release(self) -> None:
        """Take the wraps off, so that nothing of ours is called any more."""
        self._arriving.release()
        if self.is_hooked:
            self.is_hooked = False
            if self._datagrams.is_there:
                self._datagrams.release()
            for name in (*_WRAPPED, *_SHORTENED):
                self._sctp.__dict__.pop(name, None)
            self._leaving.release()
            self._sctp._reconfig_timer_cancel()  # the channel is closed, or was waited for as long as it is

    async def _send_request(self, param: Any) -> None:
        """As aiortc's, whose timer sends it in a task: one that nobody awaits, and that may run after the end."""
        assert self._original_request is not None
        with contextlib.suppress(ConnectionError, SSL.Error):  # "protocol is shutdown"
            await self._original_request(param)

    def _take(self, packet: bytes) -> bool:
        if not self.is_hooked:
            return False
        if self._arriving.take(packet):
            return True
        if self._leaving.take(packet):
            self._arriving.heard = True
            return True
        return False
