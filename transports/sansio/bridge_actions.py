"""What one side of a bridge has its user do, and what it counts.  `bridge.py` decides."""

from __future__ import annotations

from typing import Any

import msgspec

from .bridge_frames import Wire

__all__ = [
    "Abandoned",
    "Action",
    "Answered",
    "BridgeStatistics",
    "Closed",
    "Deliver",
    "Failed",
    "Opened",
    "Problem",
    "Send",
]


class Problem(msgspec.Struct, frozen=True):
    """An error as it crosses: the name of its class, and what it says."""

    name: str
    message: str


class Send(msgspec.Struct, frozen=True):
    wire: Wire


class Opened(msgspec.Struct, frozen=True):
    """The other side is who it should be; frames may be sent."""


class Deliver(msgspec.Struct, frozen=True):
    """Give `message` to the actor; with `ask`, call `answer` or `fail` for that number, within `timeout_us`."""

    to: str
    message: msgspec.Struct
    ask: int | None = None
    timeout_us: int = 0


class Abandoned(msgspec.Struct, frozen=True):
    """Nobody waits for the answer to that question any more; answering it is no use and no harm."""

    ask: int


class Answered(msgspec.Struct, frozen=True):
    ask: int
    value: Any


class Failed(msgspec.Struct, frozen=True):
    ask: int
    problem: Problem


class Closed(msgspec.Struct, frozen=True):
    """The last action of all: close the carrier."""

    why: str


Action = Send | Opened | Deliver | Abandoned | Answered | Failed | Closed


class BridgeStatistics(msgspec.Struct, frozen=True, kw_only=True):
    sent: int  # frames
    received: int
    dropped: dict[str, int]  # by reason, see above
    asked: int  # questions of ours without an answer now
    questions: int  # of the other side's
