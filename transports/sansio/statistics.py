"""What a connector holds, whatever carries it."""

from __future__ import annotations

import msgspec

__all__ = ["ConnectorStatistics"]


class ConnectorStatistics(msgspec.Struct, frozen=True):
    """What a connector holds now, and what ended its channels so far."""

    connections: int  # pending ones included
    buffered_bytes: int
    unread_bytes: int
    # By reason, where it is counted, which is natively:
    # text, oversized, flooded, unreadable, silent, refused, misreported, second; see `native/datachannel.py`.
    ended: dict[str, int] = {}
