"""What the policy remembers of one wanted resource and of one running transfer.

Want      a resource, how far it is, and what each source did for it
Mark      one source's failures at one resource, and when it may be asked again
Transfer  a source delivering, with its silence and speed measured in slices

Phases of a want:

    WANTED     no transfer runs; one is to be found, now or after a back-off
    RUNNING    one transfer runs, or two while they race (racing.py)
    VERIFYING  all bytes came; waiting for the digests
    DONE       in the store
    LEFT       given up, exhausted as a prefetch, or dropped by the store; back to WANTED on request only
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from .bandwidth import Estimate
from .config import BalancerConfig
from .model import ResourceKey

if TYPE_CHECKING:
    from .peer_choice import Peer

__all__ = ["RUNNING", "WANTED", "Accusation", "Mark", "Phase", "Transfer", "Want"]

_FLIGHT_BYTES = 14_600  # ten packets, which a server sends before it hears of any (RFC 6928)
_FLIGHT_US = 200_000  # longer than between such packets, unless the source is slow indeed
_DOUBLINGS_MAX = 16  # of any back-off; its own maximum is reached long before


class Phase(enum.Enum):
    WANTED = "wanted"
    RUNNING = "running"
    VERIFYING = "verifying"
    DONE = "done"
    LEFT = "left"


# By themselves for what is asked with every look: to find a member in its enum costs more than the rest of the look.
WANTED, RUNNING = Phase.WANTED, Phase.RUNNING


class Mark:
    """What went wrong with one source at one resource."""

    __slots__ = ("count", "never", "not_before_us", "reasons")

    def __init__(self) -> None:
        self.count = 0
        self.not_before_us = 0
        self.never = False  # it does not have it, or has another representation of it
        self.reasons: dict[str, int] = {}

    def failed(self, reason: str, now_us: int, config: BalancerConfig) -> None:
        backoff_us = config.retry_backoff_us << min(self.count, _DOUBLINGS_MAX)
        self.count += 1
        self.not_before_us = now_us + min(backoff_us, config.retry_backoff_us_max)
        self.reasons[reason] = self.reasons.get(reason, 0) + 1


class Accusation:
    """A CDN was left for its silence or slowness, and it is to be seen whether another does better (trials.py)."""

    __slots__ = ("bytes_per_s", "label", "reason", "silent_us")

    def __init__(self, label: str, reason: str, bytes_per_s: float, silent_us: int | None) -> None:
        self.label = label
        self.reason = reason  # stalled or slow
        self.bytes_per_s = bytes_per_s  # as seen when it was left
        self.silent_us = silent_us  # without an answer, from the request on; None: it had answered


_NO_MARKS: dict[str, Mark] = {}  # of nearly all that is wanted; never written to


class Want:
    __slots__ = (
        "accusation",
        "asked",
        "attempts",
        "audited_at",
        "etag",
        "fails_over",
        "from_cdns",
        "key",
        "marks",
        "moves",
        "phase",
        "received_bytes",
        "rival",
        "slow_until_us",
        "suspects",
        "total_bytes",
        "transfer",
        "urgent",
        "urgent_since_us",
    )

    def __init__(self, key: ResourceKey) -> None:
        self.key = key
        self.phase = WANTED
        self.urgent = False  # somebody waits
        self.urgent_since_us = 0
        self.received_bytes = 0  # in order; a new transfer goes on from here
        self.total_bytes: int | None = None
        self.etag: str | None = None
        self.transfer: int | None = None
        self.rival: int | None = None  # races with `transfer`, from the byte that was reached when it began
        self.attempts = 0  # transfers that brought little
        self.moves = 0  # transfers cancelled as stalled or slow: patience doubles with each
        self.slow_until_us = 0  # after a move for slowness the next source gets this long to show itself
        self.fails_over = False  # the next transfer goes on for another source
        self.accusation: Accusation | None = None  # of the CDN that was left last, until another has shown itself
        self.marks = _NO_MARKS
        self.asked: tuple[Peer, ...] = ()  # until it is verified or left
        self.from_cdns = False  # what peers sent was wrong, or could not be audited: they are not asked again
        self.audited_at: tuple[str, ...] = ()  # CDNs that were asked whether it is right
        self.suspects: tuple[str, ...] = ()  # made a wrong block together; others are asked for it

    def mark(self, label: str) -> Mark:
        found = self.marks.get(label)
        if found is None:
            found = Mark()
            self.marks = {**self.marks, label: found}
        return found

    def start_anew(self) -> None:
        """Forget the failures and the bytes: somebody asks again after it was left."""
        self.phase = WANTED
        self.received_bytes = 0
        self.total_bytes = None
        self.etag = None
        self.attempts = self.moves = self.slow_until_us = 0
        self.fails_over = self.from_cdns = False
        self.accusation = None
        self.audited_at = ()
        self.marks = _NO_MARKS
        self.suspects = ()

    def failures(self) -> str:
        """For an error message: "cdn:a status 503 (4), cdn:b timeout"."""
        parts = [
            f"{label} {reason}" + (f" ({count})" if count > 1 else "")
            for label, mark in self.marks.items()
            for reason, count in mark.reasons.items()
        ]
        return ", ".join(parts)


class Transfer:
    __slots__ = (
        "ahead_bytes",
        "beside",
        "bytes_per_s",
        "estimate",
        "expected_us",
        "first_byte_limit_us",
        "first_byte_us",
        "grows_until_us",
        "is_peer",
        "is_probe",
        "key",
        "label",
        "number",
        "quiet_bytes",
        "quiet_since_us",
        "received_bytes",
        "slice_bytes",
        "slice_start_us",
        "stall_limit_us",
        "started_us",
        "usual_us",
        "want",
    )

    def __init__(
        self,
        *,
        number: int,
        want: Want,
        label: str,
        is_peer: bool,
        started_us: int,
        first_byte_limit_us: int,
        stall_limit_us: int,
        expected_us: int = 0,
        usual_us: float = 0.0,
        grows_until_us: int = 0,
        beside: tuple[str, ...] = (),
        estimate: Estimate | None = None,
    ) -> None:
        self.number = number
        self.want = want
        self.key = want.key
        self.label = label  # of several peers, the first
        self.is_peer = is_peer
        self.beside = beside  # names of peers that send ranges of it at the same time
        self.estimate = estimate  # its source's; of several together one by itself, from which nothing of one follows
        self.started_us = started_us
        self.first_byte_limit_us = first_byte_limit_us
        self.stall_limit_us = stall_limit_us
        self.usual_us = usual_us  # for its source to answer, as it looked at its start
        self.expected_us = expected_us  # how long it should have taken, as it looked at its start
        # Until then it comes as it is made, and says nothing of who sends it; 0: it was all there.
        self.grows_until_us = grows_until_us
        self.is_probe = False  # of a half-open circuit
        self.first_byte_us: int | None = None  # the answer, or the first byte if none was told
        self.received_bytes = 0
        self.ahead_bytes = 0  # of them, what waits for bytes before it, since several peers send
        self.quiet_since_us = 0  # since then fewer than `stall_bytes_min` came
        self.quiet_bytes = 0
        self.slice_start_us = 0
        self.slice_bytes = 0
        self.bytes_per_s: float | None = None

    def answered(self, now_us: int, estimate: Estimate) -> None:
        if self.first_byte_us is None:
            self.first_byte_us = self.quiet_since_us = self.slice_start_us = now_us
            estimate.first_byte(now_us - self.started_us)

    def progressed(self, byte_count: int, now_us: int, stall_bytes_min: int) -> None:
        self.received_bytes += byte_count
        self.slice_bytes += byte_count
        self.quiet_bytes += byte_count
        if self.quiet_bytes >= stall_bytes_min:
            self.quiet_bytes = 0
            self.quiet_since_us = now_us

    def silence_due_us(self) -> int:
        """When its silence is too long."""
        if self.first_byte_us is None:
            return self.started_us + self.first_byte_limit_us
        return self.quiet_since_us + self.stall_limit_us

    def silence_limit_us(self) -> int:
        return self.first_byte_limit_us if self.first_byte_us is None else self.stall_limit_us

    def close_slice(self, now_us: int, estimate: Estimate) -> None:
        """Turn what came since the last slice into a sample."""
        if self.first_byte_us is None or now_us <= self.slice_start_us:
            return
        duration_us = now_us - self.slice_start_us
        if self.slice_start_us < self.grows_until_us:
            self.slice_start_us = now_us
            self.slice_bytes = 0
            return
        if self.slice_bytes <= _FLIGHT_BYTES and duration_us < _FLIGHT_US:
            return  # as an init section: it came in one flight, and how fast the source is does not show in it
        estimate.sample(duration_us, self.slice_bytes, now_us)
        rate = self.slice_bytes * 1_000_000 / duration_us
        self.bytes_per_s = rate if self.bytes_per_s is None else (self.bytes_per_s + rate) / 2
        self.slice_start_us = now_us
        self.slice_bytes = 0
