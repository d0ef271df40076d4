"""What came of a simulated run, as plain values."""

from __future__ import annotations

import msgspec

__all__ = ["Outcome", "ViewerOutcome"]


class ViewerOutcome(msgspec.Struct, kw_only=True):
    """One viewer's session.  Bytes are those of media."""

    viewer: int
    startup_us: int | None = None  # from its arrival to the first picture; None: never
    present_us: int = 0  # from its arrival until it left, or the end
    stall_us: int = 0  # waiting after that
    stalls: int = 0
    played_us: int = 0
    media_us: int = 0  # of media delivered
    bitrate_us: int = 0  # bit/s times us of it, of which the mean bitrate is made
    delivered_bytes: int = 0  # handed to the player
    cdn_bytes: int = 0
    peer_bytes: int = 0
    wasted_bytes: int = 0  # came, and were thrown away or came twice
    wrong_bytes: int = 0  # of another's segment, and played
    sent_bytes: int = 0
    audit_bytes: int = 0  # of CDNs, heads included
    audited_bytes: int = 0  # of peers
    audited_segments: int = 0
    caught: int = 0  # audits that found something
    missed: int = 0  # audits of segments with wrong bytes that found nothing
    requests: int = 0


class Outcome(msgspec.Struct, kw_only=True):
    """All of a run.  `cost` is in the unit of the CDNs' prices."""

    scenario: str
    policy: str
    seed: int
    viewers: list[ViewerOutcome] = []
    cdn_bytes: dict[str, int] = {}
    cost: float = 0.0
    cdn_peak_bytes_per_s: int = 0  # over whole seconds
    events: int = 0

    @property
    def offload(self) -> float:
        """Share of the bytes used that came from peers."""
        peer = sum(v.peer_bytes for v in self.viewers)
        return peer / max(1, peer + sum(v.cdn_bytes for v in self.viewers))

    @property
    def wasted(self) -> float:
        """Bytes thrown away, of all that came."""
        lost = sum(v.wasted_bytes for v in self.viewers)
        return lost / max(1, lost + sum(v.peer_bytes + v.cdn_bytes for v in self.viewers))

    @property
    def stall_s(self) -> float:
        """Mean over viewers."""
        return sum(v.stall_us for v in self.viewers) / 1_000_000 / max(1, len(self.viewers))

    @property
    def startup_s(self) -> float:
        """Mean over viewers; who never saw a picture waited for it as long as it was there."""
        waited_us = sum(_startup_us(v) for v in self.viewers)
        return waited_us / 1_000_000 / max(1, len(self.viewers))

    @property
    def never_started(self) -> int:
        """Viewers that never saw a picture."""
        return sum(v.startup_us is None for v in self.viewers)

    @property
    def wrong_bytes(self) -> int:
        return sum(v.wrong_bytes for v in self.viewers)

    @property
    def cost_per_gb(self) -> float:
        """Of what was delivered to players."""
        return self.cost * 1_000_000_000 / max(1, sum(v.delivered_bytes for v in self.viewers))

    @property
    def bitrate(self) -> float:
        """Bits of media delivered, for each second since viewers came: playing, and waiting.

        Not their mean bit/s, by which those do best who are sent nothing in the bad minutes.
        """
        time_us = sum(v.played_us + v.stall_us + _startup_us(v) for v in self.viewers)
        return sum(v.bitrate_us for v in self.viewers) / max(1, time_us)

    def figures(self) -> dict[str, float]:
        """The row of the table."""
        return {
            "offload": self.offload,
            "stall_s": self.stall_s,
            "startup_s": self.startup_s,
            "never_started": float(self.never_started),
            "bitrate": self.bitrate,
            "cost_per_gb": self.cost_per_gb,
            "wasted": self.wasted,
            "wrong_bytes": float(self.wrong_bytes),
            "cdn_peak_bytes_per_s": float(self.cdn_peak_bytes_per_s),
        }


def _startup_us(viewer: ViewerOutcome) -> int:
    return viewer.present_us if viewer.startup_us is None else viewer.startup_us
