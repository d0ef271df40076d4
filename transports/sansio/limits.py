"""What one data channel may hold, whatever carries it."""

from __future__ import annotations

import msgspec

__all__ = ["CONNECT_TIMEOUT_US", "ChannelLimits"]

# Who does not answer is given up within ten seconds, closing included.  Behind most NATs a path is there after a second
# check, half a second later; who needs longer than this would bring its segments too late.
CONNECT_TIMEOUT_US = 9_500_000


class ChannelLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one channel, each way."""

    message_bytes_max: int = 65_535  # p2p-media-loader's own, and below what every browser takes
    incoming_message_bytes_max: int = 256 * 1024  # aiortc's and Chromium's largest
    unread_bytes_max: int = 8 * 1024 * 1024  # some 0.4 s at the fastest rate seen; more is a peer that floods
    unread_messages_max: int = 4096  # small ones cost about 100 bytes each beside their content
    # Before the credit window: a sender waits above the high mark and goes on below the low one.  Two messages keep
    # the window fed; more would only be memory.
    buffered_bytes_high: int = 128 * 1024
    buffered_bytes_low: int = 64 * 1024
    # The same for what is urgent, which has a queue of its own; small ones take memory beside their bytes.
    buffered_messages_high: int = 1024
    # Of the credit window (`window.py`): what may be on its way.  With what waits before it, 4 MiB a peer.
    window_bytes_min: int = 64 * 1024
    window_bytes_max: int = 4 * 1024 * 1024 - 256 * 1024
    # Noticed within two intervals and that silence, 4.6 s, after four questions.
    heartbeat_interval_us: int = 700_000
    dead_after_us: int = 3_200_000
    close_timeout_us: int = 1_000_000

    @property
    def held_bytes_max(self) -> int:
        """When below it is sent and not known to have come, or not sent, a library may be given the next message.

        With that message, and with two queues of which bulk's lets one message in at the mark, it is 4 MiB a peer.
        """
        return self.window_bytes_max - self.buffered_bytes_high
