"""A limit on what leaves through one line, whoever of its channels sends: a token bucket on the caller's clock.

    wait_us(now_us)           0: a message may go; else how long until one may
    take(bytes, now_us)       it went

Counted is what the line carries, not what the messages hold: each packet has 93 bytes around it (IPv4 20, UDP 8,
DTLS 1.2 with AES-GCM 37, SCTP 28), 8 % of a full one.  A message goes when the bucket is not empty, and may leave it
in debt: so messages larger than the burst pass, and over any time the line carries at most rate times time, a burst
and one message.
"""

from __future__ import annotations

__all__ = ["BYTES_PER_SECOND_MIN", "PACKET_OVERHEAD_BYTES", "UploadCap", "line_bytes"]

PACKET_OVERHEAD_BYTES = 93
BYTES_PER_SECOND_MIN = 8_000  # below it one packet would take a sixth of a second
_PACKET_PAYLOAD_BYTES = 1160  # aiortc's; Chromium's is within 3 % of it
_MICROSECONDS = 1_000_000
# Short enough for the 5 % that a cap may be off within a few seconds, long enough for a loop that wakes late.
_BURST_US = 50_000


def line_bytes(message_bytes: int) -> int:
    """What one message of a data channel puts on the line."""
    packets = max(1, -(-message_bytes // _PACKET_PAYLOAD_BYTES))
    return message_bytes + packets * PACKET_OVERHEAD_BYTES


class UploadCap:
    """One line's cap.  Times are whole microseconds and never go back."""

    def __init__(self, bytes_per_second: int) -> None:
        """ValueError below BYTES_PER_SECOND_MIN."""
        if bytes_per_second < BYTES_PER_SECOND_MIN:
            raise ValueError(
                f"an upload cap of {bytes_per_second} bytes/s; at least {BYTES_PER_SECOND_MIN}, or do not upload at all"
            )
        self._rate = bytes_per_second
        self._free_at_us = -_BURST_US  # when the bucket is, or was, full but for the burst

    def wait_us(self, now_us: int) -> int:
        return max(0, self._free_at_us - now_us)

    def take(self, message_bytes: int, now_us: int) -> None:
        began_us = max(self._free_at_us, now_us - _BURST_US)
        # Rounded up, so that many small messages never add up to more than the rate.
        self._free_at_us = began_us - (-line_bytes(message_bytes) * _MICROSECONDS // self._rate)
