"""What became of one cell, and what must hold of it."""

from __future__ import annotations

import re

import msgspec

from shoal.balancer.report import SessionReport

from ..balancer.actors.world import Shown, peers_used_bytes
from .catalogue import HARMLESS, Cell, named

__all__ = ["LIMITS", "STALL_US_MAX", "Outcome", "outcome"]

STALL_US_MAX = 500_000
# Where a peer alone is well: it was never measured, so two silent CDNs are left first, with a second in the buffer.
PEER_STALL_US_MAX = 1_000_000
# CDNs that are slow and not silent are believed until they were tried, each with each segment.
_PEER_STALLS_US_MAX = {"slow": 5_000_000}
# A CDN gives all of it in the end, or has given it before it goes wrong.
_NEED_NO_PEER = frozenset({"burst", "endless"})
# What the session is given; small, so that what goes beyond them does so soon.
LIMITS = {
    "playlist_bytes_max": 64 * 1024,
    "sidecar_bytes_max": 64 * 1024,
    "segment_bytes_max": 1 << 20,
    "store_bytes_max": 1 << 20,
}
# A socket's buffers and what is on its way: what may have left of a body before it is refused.
_UNREAD_BYTES = 384 * 1024
_SLOW_BYTES_PER_S = 100_000  # of one that sends 20 kB/s, while others have 2 MB/s
_BYTES_MAX = {
    **dict.fromkeys(("init", "media", "key"), LIMITS["segment_bytes_max"]),
    **dict.fromkeys(("playlist", "sidecar"), LIMITS["playlist_bytes_max"]),
    "steering": 256 * 1024,
}


class Outcome(msgspec.Struct, kw_only=True):
    cell: Cell
    wanted: int  # resources
    right: int  # of them
    wrong_bytes: int  # that the player was given
    unverified: int  # media, though there are hashes of all of them
    stall_us: int
    errors: list[str]  # that the player saw
    met: int  # how often the fault was met
    longest_bytes: int  # that left in one answer of the one that does wrong
    store_bytes: int
    reached: list[str]  # of what is inside our own network
    from_peers: int  # bytes that the player used
    is_named: bool
    evidence: str  # what the report says of it

    def broken(self, *, unread_bytes: int = _UNREAD_BYTES) -> list[str]:
        """What does not hold, in words."""
        is_of_peers = self.cell.healthy == "peer"
        stall_us_max = STALL_US_MAX
        if is_of_peers:
            stall_us_max = _PEER_STALLS_US_MAX.get(self.cell.fault, PEER_STALL_US_MAX)
        bytes_max = _BYTES_MAX[self.cell.resource] + unread_bytes
        holds = {
            f"{self.right} of {self.wanted} came": self.right == self.wanted,
            f"{self.wrong_bytes} wrong bytes reached the player": not self.wrong_bytes,
            f"{self.unverified} came unverified": self.cell.resource == "sidecar" or not self.unverified,
            f"errors reached the player: {self.errors}": not self.errors,
            f"it stood still for {self.stall_us / 1e6:.2f} s": self.stall_us <= stall_us_max,
            "the fault was never met": self.met > 0,
            f"{self.longest_bytes} bytes were taken of one answer": self.longest_bytes <= bytes_max,
            f"{self.store_bytes} bytes are kept": self.store_bytes <= LIMITS["store_bytes_max"],
            f"a host inside was asked for {self.reached}": not self.reached,
            "nothing came from the peer": not is_of_peers or self.cell.fault in _NEED_NO_PEER or self.from_peers > 0,
            f"the report does not name it: {self.evidence!r}": self.is_named,
        }
        return [words for words, is_so in holds.items() if not is_so]


def outcome(
    cell: Cell, shown: Shown, report: SessionReport, *, met: int, longest_bytes: int, reached: list[str]
) -> Outcome:
    wrong = [body for number, body in shown.bodies.items() if body != shown.wanted[number]]
    evidence = _evidence(report)
    return Outcome(
        cell=cell,
        wanted=len(shown.wanted),
        right=len(shown.bodies) - len(wrong),
        wrong_bytes=sum(map(len, wrong)) + report.dropped.get("wrong_bytes_read", 0),
        unverified=sum(story.verified == "unverified" for story in report.segments),
        stall_us=shown.stall_us,
        errors=[str(error) for errors in shown.errors.values() for error in errors],
        met=met,
        longest_bytes=longest_bytes,
        store_bytes=report.store.byte_count,
        reached=reached,
        from_peers=peers_used_bytes(report),
        is_named=cell.fault in HARMLESS or re.search(named(cell.fault), evidence) is not None,
        evidence=evidence,
    )


def _evidence(report: SessionReport) -> str:
    """What the report says of the one that does wrong."""
    errors = [reason for source in report.sources if source.name == "cdn:one" for reason in source.errors]
    parts = [part for segment in report.segments for part in segment.parts if part.source == "cdn:one"]
    reasons = {part.reason for part in parts if part.outcome in {"failed", "cancelled", "wrong"}}
    slow = [
        f"measured at {source.throughput_bytes_per_s:.0f} bytes/s"
        for source in report.sources
        if source.name == "cdn:one" and (source.throughput_bytes_per_s or _SLOW_BYTES_PER_S) < _SLOW_BYTES_PER_S
    ]
    lines = [line for line in report.log if re.search(r"cdn[:-]one|steering|rendition 0|hashes", line)]
    return "\n".join([*errors, *sorted(reasons), *slow, *lines])
