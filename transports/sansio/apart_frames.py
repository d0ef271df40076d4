"""What the two sides of `native/apart.py` say to each other: the one with the application, and the one with the peers.

Each frame is four bytes of length, most significant first, and a msgpack array whose first element says which frame.
A `link` is a connection's number, given by the application's side.

    to the peers    Setup, then Offer | Answer -> Accept | Open -> Send* -> Close
    from them       Described -> Opened | Failed -> Message*, Sent* -> Closed

Both are ours and of one version, so that a frame which cannot be read is a defect and ends the process.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

from shoal.transports.interface import TurnServer

from .descriptions import CandidatePolicy
from .limits import CONNECT_TIMEOUT_US, ChannelLimits

__all__ = [
    "Accept",
    "Answer",
    "Close",
    "Closed",
    "Described",
    "Failed",
    "FrameReader",
    "FromPeers",
    "Message",
    "Offer",
    "Open",
    "Opened",
    "Options",
    "Send",
    "Sent",
    "Setup",
    "ToPeers",
    "encode",
]

_LENGTH_BYTES = 4
_FRAME_BYTES_MAX = 1024 * 1024  # a message has 256 KiB at most, a description 64 Ki characters


class _Frame(msgspec.Struct, frozen=True, array_like=True, tag=True):
    pass


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The arguments of a PeerConnector (`native/connector.py`)."""

    stun_servers: tuple[str, ...] = ()
    connect_timeout_us: int = CONNECT_TIMEOUT_US
    connections_max: int = 128
    limits: ChannelLimits = ChannelLimits()
    candidates: CandidatePolicy = "all"
    turn_servers: tuple[TurnServer, ...] = ()
    upload_bytes_per_second: int | None = None


class Setup(_Frame, frozen=True):
    """The first frame."""

    engine: str
    options: Options


class Offer(_Frame, frozen=True):
    link: int
    label: str


class Answer(_Frame, frozen=True):
    link: int
    description: str


class Accept(_Frame, frozen=True):
    link: int
    description: str


class Open(_Frame, frozen=True):
    """Wait for the channel of an Answer."""

    link: int


class Send(_Frame, frozen=True):
    link: int
    data: bytes
    urgent: bool


class Close(_Frame, frozen=True):
    """Send what is queued, then end; also of what is not open yet."""

    link: int
    detail: str


class Described(_Frame, frozen=True):
    link: int
    description: str


class Opened(_Frame, frozen=True):
    link: int
    label: str
    fingerprint: str | None
    remote_address: str | None
    is_relayed: bool


class Failed(_Frame, frozen=True):
    """What was asked for did not come about; the link is no more."""

    link: int
    kind: str  # the name of an error in `transports/errors.py`, or ValueError
    words: str
    phase: str = ""
    timeout_us: int = 0


class Message(_Frame, frozen=True):
    link: int
    data: bytes


class Sent(_Frame, frozen=True):
    """So many bytes of messages were taken by the channel, which holds `buffered_bytes` unsent now."""

    link: int
    byte_count: int
    buffered_bytes: int


class Closed(_Frame, frozen=True):
    """The channel ended; `ended` is what the process counted until now, by reason."""

    link: int
    detail: str
    ended: dict[str, int]
    is_fault: bool = False  # as of ChannelClosed


FrameT = TypeVar("FrameT")
ToPeers = Setup | Offer | Answer | Accept | Open | Send | Close
FromPeers = Described | Opened | Failed | Message | Sent | Closed

_encoder = msgspec.msgpack.Encoder()


def encode(frame: ToPeers | FromPeers) -> bytes:
    body = _encoder.encode(frame)
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


class FrameReader(Generic[FrameT]):
    """Bytes of a stream, as they come, into frames of one side."""

    def __init__(self, kinds: Any) -> None:
        """`kinds` is ToPeers or FromPeers."""
        self._decoder: msgspec.msgpack.Decoder[FrameT] = msgspec.msgpack.Decoder(kinds)
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[FrameT]:
        """The frames that are whole now.  ValueError for what is no frame: a defect of ours."""
        self._buffer += data
        frames: list[FrameT] = []
        at = 0
        with memoryview(self._buffer) as view:
            while len(view) - at >= _LENGTH_BYTES:
                size = int.from_bytes(view[at : at + _LENGTH_BYTES], "big")
                if size > _FRAME_BYTES_MAX:
                    raise ValueError(f"a frame of {size} bytes between our own processes; at most {_FRAME_BYTES_MAX}")
                if len(view) - at - _LENGTH_BYTES < size:
                    break
                at += _LENGTH_BYTES + size
                frames.append(self._decoder.decode(view[at - size : at]))
        del self._buffer[:at]
        return frames
