"""What a peer said and did, as `PeerProtocol.receive` (peer.py) gives it."""

from __future__ import annotations

import msgspec

__all__ = [
    "Absent",
    "Announced",
    "ClaimsHeard",
    "DataEnded",
    "DataReceived",
    "DataStarted",
    "Greeted",
    "PeerEvent",
    "ProtocolViolated",
    "UploadCancelled",
    "UploadRequested",
    "UploadStateHeard",
]


class Announced(msgspec.Struct, frozen=True, tag=True):
    """What the peer holds, and is fetching over HTTP; replaces what it said before."""

    held: frozenset[int]
    fetching: frozenset[int]


class DataStarted(msgspec.Struct, frozen=True, tag=True):
    """The peer will send `remaining_bytes` from the requested byte on; `total_bytes` is told of ranges alone."""

    number: int
    remaining_bytes: int
    total_bytes: int | None = None


class DataReceived(msgspec.Struct, frozen=True, tag=True):
    number: int
    data: bytes


class DataEnded(msgspec.Struct, frozen=True, tag=True):
    """All of it has come; another request may be made."""

    number: int


class Absent(msgspec.Struct, frozen=True, tag=True):
    """The peer does not give this segment; another request may be made.  `reason` is a word of `Refusal`."""

    number: int
    reason: str = "absent"


class UploadRequested(msgspec.Struct, frozen=True, tag=True):
    """The peer wants `number` from `first_byte` on, up to `end_byte` if it says so: begin_upload or refuse_upload."""

    number: int
    first_byte: int
    request_id: int
    end_byte: int | None = None


class UploadCancelled(msgspec.Struct, frozen=True, tag=True):
    """The peer no longer wants it."""

    request_id: int


class Greeted(msgspec.Struct, frozen=True, tag=True):
    """It is a peer of ours: ranges may be asked of it, and it says why it refuses.  Comes once."""

    version: int


class ClaimsHeard(msgspec.Struct, frozen=True, tag=True):
    """The first 16 bytes of the SHA-256 of what it holds, it says.  Adds to what it said before."""

    claims: dict[int, bytes]


class UploadStateHeard(msgspec.Struct, frozen=True, tag=True):
    """Whether it would serve a request now: free, busy or choked.  Comes when that changes."""

    state: str


class ProtocolViolated(msgspec.Struct, frozen=True, tag=True):
    """The peer broke the protocol or a limit.  `reason` is a stable short word; close the channel."""

    reason: str
    detail: str


PeerEvent = (
    Announced
    | DataStarted
    | DataReceived
    | DataEnded
    | Absent
    | UploadRequested
    | UploadCancelled
    | Greeted
    | ClaimsHeard
    | UploadStateHeard
    | ProtocolViolated
)
