"""What one data channel may hold, whatever carries it."""

from __future__ import annotations

import msgspec

__all__ = ["ChannelLimits"]


class ChannelLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one channel, each way."""

    message_bytes_max: int = 65_535  # p2p-media-loader's own, and below what every browser takes
    incoming_message_bytes_max: int = 256 * 1024  # aiortc's and Chromium's largest
    unread_bytes_max: int = 8 * 1024 * 1024  # some 0.4 s at the fastest rate seen; more is a peer that floods
    unread_messages_max: int = 4096  # small ones cost about 100 bytes each beside their content
    # A message waits behind what is buffered: at 128 KiB the rate is full, and at 10 MB/s the wait is 13 ms.
    buffered_bytes_high: int = 128 * 1024
    buffered_bytes_low: int = 64 * 1024
    buffered_recheck_us: int = 200_000  # the event for the low mark can be missed; looking again costs nothing
    close_timeout_us: int = 1_000_000
