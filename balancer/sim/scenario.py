"""What is simulated: a stream, CDNs with faults, viewers with their lines and habits.

Plain values, JSON in and out (msgspec).  Sizes are bytes, times microseconds, rates
bytes per second.  `scenarios.py` makes the usual ones.
"""

from __future__ import annotations

import enum

import msgspec

from .traces import Trace

__all__ = ["Behaviour", "CdnSpec", "Fault", "FaultKind", "Scenario", "StreamSpec", "ViewerSpec"]


class FaultKind(enum.StrEnum):
    """What a CDN does instead of answering well."""

    ERROR = "error"  # 503, after a round trip
    SILENT = "silent"  # no headers, for ever
    HANG = "hang"  # half of the body, then nothing
    SLOW = "slow"  # the whole body, at 40 kB/s
    DEAD = "dead"  # no connection
    WRONG = "wrong"  # other bytes


class Fault(msgspec.Struct, frozen=True):
    kind: FaultKind
    from_us: int
    until_us: int


class CdnSpec(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    capacity: float = 125e6  # 1 Gbit/s for all viewers of the simulation
    rtt_us: int = 20_000
    weight: float = 1.0
    price_per_gb: float = 1.0
    faults: tuple[Fault, ...] = ()


class StreamSpec(msgspec.Struct, frozen=True, kw_only=True):
    segments: int = 30
    duration_us: int = 2_000_000
    bitrates: tuple[int, ...] = (2_000_000,)  # bit/s of each rendition, lowest first
    is_live: bool = False
    window: int = 10  # live: segments that the playlist names

    def size_bytes(self, rendition: int) -> int:
        return max(1, self.bitrates[rendition] * (self.duration_us // 1000) // 8000)


class Behaviour(enum.StrEnum):
    """What a peer does to others."""

    HONEST = "honest"
    FREE_RIDER = "free rider"  # takes, and offers nothing
    POLLUTER = "polluter"  # offers all, sends other bytes
    LIAR = "liar"  # says it holds all, and holds what it holds


class ViewerSpec(msgspec.Struct, frozen=True, kw_only=True):
    arrives_us: int = 0
    leaves_us: int | None = None
    down: float = 12.5e6  # 100 Mbit/s
    up: float = 12.5e6
    trace: Trace | None = None  # of the line down; `down` where there is none
    rtt_us: int = 2_000  # of its own line, each way together; a path adds both ends
    loss: float = 0.0  # share of packets; caps a flow (Mathis et al., 1997)
    behaviour: Behaviour = Behaviour.HONEST
    changed_share: float = 1.0  # of each segment, in one piece: what a polluter sends otherwise
    buffer_us: int = 30_000_000  # the player asks for no more than this ahead
    seeks: tuple[tuple[int, int], ...] = ()  # (moment, segment)
    pauses: tuple[tuple[int, int], ...] = ()  # (moment, how long)

    def present_us(self, length_us: int) -> int:
        """From its arrival until it leaves a scenario of that length, or sees its end."""
        end_us = length_us if self.leaves_us is None else min(length_us, self.leaves_us)
        return max(0, end_us - self.arrives_us)


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    seed: int = 0
    stream: StreamSpec = StreamSpec()
    cdns: tuple[CdnSpec, ...] = (CdnSpec(name="a"),)
    viewers: tuple[ViewerSpec, ...] = ()
    length_us: int = 120_000_000
    swarm: bool = True
    hashes: bool = True  # without, what peers send is audited, and offered on (announce_unaudited)
    chokes: bool = True  # who only takes waits while others are served
    neighbours: int = 30  # channels of a viewer at most
    connect_us: int = 1_000_000  # tracker, ICE and DTLS, measured between two pages
