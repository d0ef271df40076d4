"""What a peer may have SCTP hold of messages that are not whole, bounded from its first packet on.

aiortc keeps each fragment until its message is whole, and makes a stream for each number that it hears of, also of
who never opens a channel.  What a fragment takes besides its data counts too: without it, those of one byte would be
free, and those of none as many as a peer likes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Any

from aiortc import RTCPeerConnection, rtcsctptransport

__all__ = ["FRAGMENT_BYTES", "STREAMS_MAX", "UNFINISHED_BYTES_MAX", "bound_what_comes", "excess_of"]

# Who goes by the 1 MiB that aiortc announces, or by a credit window of ours, has less than half of it under way.
UNFINISHED_BYTES_MAX = 8 * 1024 * 1024
FRAGMENT_BYTES = 512  # of objects for each: 170 were measured for aiortc's (CPython 3.11), and lists grow in steps
STREAMS_MAX = 16  # a channel is one, and a second channel ends the connection
_ANNOUNCED_BYTES = 1024 * 1024  # by aiortc, while nothing has come


def excess_of(sctp: Any) -> str | None:
    """What it holds too much of, in words; None where that is within the bound."""
    count = 0
    for stream in sctp._inbound_streams.values():
        count += len(stream.reassembly)
    # A packet that came out of order is remembered, whether its message was whole or not.
    count = max(count, len(sctp._sack_misordered))
    byte_count = _ANNOUNCED_BYTES - sctp._advertised_rwnd
    if byte_count + count * FRAGMENT_BYTES <= UNFINISHED_BYTES_MAX:
        return None
    return f"{byte_count} bytes of messages that do not end, in {count} fragments"


def bound_what_comes(connection: RTCPeerConnection, on_excess: Callable[[str], None]) -> None:
    """Call `on_excess`, with what it was, in place of taking a chunk that is beyond the bound, or is empty.

    To be called once the connection has its SCTP, and before it connects.  `on_excess` runs inside aiortc's receive
    path, must not raise, and may be called for every packet until the connection is closed.
    """
    with contextlib.suppress(AttributeError):
        _bound(connection.sctp, on_excess)


def _bound(sctp: Any, on_excess: Callable[[str], None]) -> None:
    take, skip = sctp._receive_data_chunk, sctp._receive_forward_tsn_chunk
    excess_of(sctp)  # an aiortc that cannot tell has no bound, and is not asked again

    def excess(stream_ids: Iterable[int]) -> str | None:
        if len(sctp._inbound_streams.keys() | set(stream_ids)) > STREAMS_MAX:
            return f"more than {STREAMS_MAX} streams"
        return excess_of(sctp)

    async def receive_data_chunk(chunk: rtcsctptransport.DataChunk) -> None:
        # RFC 9260, 3.3.1: one without data ends the association ("No User Data").
        what = excess([chunk.stream_id]) if chunk.user_data else "a fragment without data"
        if what is None:
            await take(chunk)
        else:
            on_excess(what)

    async def receive_forward_tsn_chunk(chunk: rtcsctptransport.ForwardTsnChunk) -> None:
        what = excess(stream_id for stream_id, _ in chunk.streams)
        if what is None:
            await skip(chunk)
        else:
            on_excess(what)

    sctp._receive_data_chunk = receive_data_chunk
    sctp._receive_forward_tsn_chunk = receive_forward_tsn_chunk
