"""A peer as the policy sees it, and which one to ask.

One request at a time goes to a peer, since the protocol knows no second.  Among
those that would be in time: peers at clean addresses first, then unmeasured ones
(a prefetch can wait, and so everybody gets measured), then whoever was asked
longest ago (upload is a favour, spread evenly), then the seed decides.
"""

from __future__ import annotations

import math

from .bandwidth import Estimate
from .config import BalancerConfig
from .mixing import mix, text_number
from .model import ResourceKey, SourceKind, source_label
from .transfers import Want

__all__ = ["InTime", "Peer", "best_peer"]

_DOUBLINGS_MAX = 16
_REFUSALS_MAX = 3  # one may have been evicted in between; three in a row, and not one segment, is a habit
# Before the running number of requests, which stays below: who is on probation comes last, who is measured later.
_MEASURED = 1 << 60
_ON_PROBATION = 1 << 61


class Peer:
    __slots__ = (
        "address",
        "busy_until_us",
        "cooldown_until_us",
        "estimate",
        "failures",
        "fingerprint",
        "is_greeted",
        "label",
        "last_used",
        "name",
        "number",
        "refusals",
        "rendition",
        "transfer",
        "transfer_count",
        "unfinished",
        "unverified",
        "was_right",
    )

    def __init__(
        self, name: str, rendition: int, fingerprint: str | None, address: str | None, estimate: Estimate
    ) -> None:
        self.name = name
        self.number = text_number(name)
        self.label = source_label(SourceKind.PEER, name)
        self.rendition = rendition
        self.fingerprint = fingerprint
        self.address = address
        self.estimate = estimate
        self.transfer: int | None = None
        self.transfer_count = 0
        self.last_used = 0  # a running number of requests, not a time
        self.failures = 0  # in a row
        self.unfinished = 0  # requests since the last that it brought to its end
        self.refusals = 0  # in a row: it did not give what it had announced
        self.cooldown_until_us = 0
        self.is_greeted = False  # one of ours: it takes requests for ranges
        self.busy_until_us = 0  # it says that it serves others now
        self.unverified: dict[ResourceKey, bool] = {}  # asked of it and not verified yet; whether it sent some of it
        self.was_right = False  # something that it sent was verified

    def failed(self, now_us: int, config: BalancerConfig) -> None:
        cooldown_us = config.peer_cooldown_us << min(self.failures, _DOUBLINGS_MAX)
        self.failures += 1
        self.cooldown_until_us = now_us + min(cooldown_us, config.peer_cooldown_us_max)

    def refused(self, now_us: int, config: BalancerConfig) -> None:
        """Once it is a habit each is a failure like any other: to be asked and to refuse costs a round trip."""
        self.refusals += 1
        if self.refusals >= _REFUSALS_MAX:
            self.failed(now_us, config)

    def was_busy(self, now_us: int, config: BalancerConfig) -> None:
        """It says so; asked again after a while all the same, since what it says next may be lost on it."""
        self.busy_until_us = now_us + config.peer_busy_us

    def succeeded(self) -> None:
        self.failures = self.refusals = self.unfinished = 0

    def may_serve(self, want: Want) -> bool:
        """Whether it could ever be asked for this."""
        mark = want.marks.get(self.label)
        return self.label not in want.suspects and (mark is None or not mark.never)

    def is_ready(self, want: Want, now_us: int, on_probation: bool) -> bool:
        """On probation it is asked for the next only when all before was verified.

        So is, where only an audit can tell, one of which nothing was verified yet: it would have sent more meanwhile.
        """
        if self.transfer is not None or self.cooldown_until_us > now_us or self.busy_until_us > now_us:
            return False
        if want.suspects or want.marks:
            mark = want.marks.get(self.label)
            if not self.may_serve(want) or (mark is not None and mark.not_before_us > now_us):
                return False
        if on_probation:
            for key in self.unverified:
                if key != want.key:
                    return False
        return True

    def is_forgiven(self, now_us: int, retry_us: int) -> bool:
        """Whether it was measured so long ago that it may be asked as if it never was, where a slow one costs nothing.

        What was measured was its line, or how many others asked it just then: who is slow while a crowd joins would
        never be asked again.  The wait doubles with each try in vain.
        """
        sampled_us = self.estimate.sampled_us
        wait_us = retry_us << min(max(0, self.unfinished - 1), _DOUBLINGS_MAX)
        return sampled_us is not None and now_us - sampled_us >= wait_us

    def expected_us(self, byte_count: int, now_us: int, config: BalancerConfig) -> int:
        """From the request to the last byte.  No more is believed than was measured: its line is its own."""
        return self.estimate.expected_us(
            byte_count,
            now_us,
            config.unmeasured_bytes_per_s,
            config.unmeasured_first_byte_us,
            config.estimate_half_life_us,
            math.inf if self.estimate.bytes_per_s is None else self.estimate.bytes_per_s,
        )


class InTime:
    """Which peers would bring so many bytes within a limit.  Set anew for each choice, since there are many."""

    __slots__ = (
        "_byte_count",
        "_first_byte_us",
        "_half_life_us",
        "_limit_us",
        "_now_us",
        "_rate",
        "_retry_us",
        "_takes_unmeasured",
    )

    def __init__(self, config: BalancerConfig) -> None:
        self._byte_count = self._limit_us = self._now_us = 0
        self._takes_unmeasured = False
        self._rate: float = config.unmeasured_bytes_per_s
        self._first_byte_us: float = config.unmeasured_first_byte_us
        self._half_life_us = config.estimate_half_life_us
        self._retry_us = config.retry_peer_us

    def within(self, byte_count: int, limit_us: int, now_us: int, takes_unmeasured: bool) -> InTime:
        """Of so many bytes, within so long from now; `takes_unmeasured`: who never was, or long ago, is in time."""
        self._byte_count = byte_count
        self._limit_us = limit_us
        self._now_us = now_us
        self._takes_unmeasured = takes_unmeasured
        return self

    def holds(self, peer: Peer) -> bool:
        estimate = peer.estimate
        if estimate.sampled_us is None:
            return self._takes_unmeasured
        most = math.inf if estimate.bytes_per_s is None else estimate.bytes_per_s
        expected_us = estimate.expected_us(
            self._byte_count, self._now_us, self._rate, self._first_byte_us, self._half_life_us, most
        )
        if expected_us <= self._limit_us:
            return True
        return self._takes_unmeasured and peer.is_forgiven(self._now_us, self._retry_us)


def best_peer(ready: list[tuple[Peer, bool]], number: int, seed: int, in_time: InTime | None = None) -> Peer | None:
    """Which of (peer, is on probation) to ask for media `number`, of those that are in time.

    Only of those that come before the best so far is it asked whether they are, and
    the seed only where nothing else decides.
    """
    best: Peer | None = None
    least = least_mixed = -1
    for peer, on_probation in ready:
        rank = peer.last_used
        if peer.estimate.sampled_us is not None:
            rank += _MEASURED
        if on_probation:
            rank += _ON_PROBATION
        if best is not None and rank > least:
            continue
        mixed = -1
        if best is not None and rank == least:
            if least_mixed < 0:
                least_mixed = mix(seed, best.number, number)
            mixed = mix(seed, peer.number, number)
            if mixed >= least_mixed:
                continue
        if in_time is None or in_time.holds(peer):
            best, least, least_mixed = peer, rank, mixed
    return best
