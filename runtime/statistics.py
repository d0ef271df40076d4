"""What a system has done so far: frozen snapshots, and a histogram of the loop's delay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["ActorSnapshot", "Counters", "LoopDelay", "LoopDelaySnapshot", "Snapshot"]


@dataclass(frozen=True, slots=True)
class Counters:
    """Messages since the start.

    Every message sent is in exactly one place:
    sent == handled + lost + sum(dead_letters.values()) + queued + handling.
    """

    sent: int  # taken by `tell`, `ask` or `send`, dropped ones included; refused ones (MailboxFull) are not
    handled: int
    lost: int  # in a handler that raised, or was cancelled because its actor stopped
    queued: int  # counted in the mailboxes
    handling: int  # in a handler at this moment: running, or suspended
    refused: int  # MailboxFull was raised
    late_replies: int  # answers for which nobody waited any more
    dead_letters: Mapping[str, int] = field(default_factory=dict)  # by reason
    actors: int = 0  # alive
    restarts: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True)
class ActorSnapshot:
    """One living actor."""

    path: str
    state: str
    queued: int
    run_time_us: int  # virtual: what it was charged, or was let off while it slept


@dataclass(frozen=True, slots=True)
class LoopDelaySnapshot:
    """How late the loop's periodic callback came; what a callback that is due waits for."""

    samples: int
    p50_us: int
    p99_us: int
    max_us: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A whole system at one moment."""

    now_us: int
    counters: Counters
    actors: tuple[ActorSnapshot, ...]
    loop_delay: LoopDelaySnapshot


_BUCKETS = 128  # 8 for each doubling, from 1 us to 65 ms and on: a percentile is at most 9 % too high
_BUCKETS_PER_DOUBLING = 8


class LoopDelay:
    """A histogram of delays: a kilobyte, whatever the number of samples."""

    __slots__ = ("_counts", "_max_us", "_samples")

    def __init__(self) -> None:
        self._counts = [0] * (_BUCKETS + 1)
        self._samples = 0
        self._max_us = 0

    def record(self, delay_us: int) -> None:
        """Count one delay; a negative one is none."""
        delay_us = max(delay_us, 0)
        self._counts[_bucket(delay_us)] += 1
        self._samples += 1
        self._max_us = max(self._max_us, delay_us)

    def percentile_us(self, share: float) -> int:
        """The delay that `share` (0 to 1) of samples did not exceed, rounded up to its bucket; 0 without any."""
        wanted = share * self._samples
        seen = 0
        for bucket, count in enumerate(self._counts):
            seen += count
            if count and seen >= wanted:
                return min(_upper_us(bucket), self._max_us)
        return self._max_us

    @property
    def max_us(self) -> int:
        return self._max_us

    def snapshot(self) -> LoopDelaySnapshot:
        return LoopDelaySnapshot(
            samples=self._samples,
            p50_us=self.percentile_us(0.50),
            p99_us=self.percentile_us(0.99),
            max_us=self._max_us,
        )

    def reset(self) -> None:
        """Forget all samples: a percentile of the whole past says little of the present."""
        self._counts = [0] * (_BUCKETS + 1)
        self._samples = 0
        self._max_us = 0


def _bucket(delay_us: int) -> int:
    if delay_us < _BUCKETS_PER_DOUBLING:
        return delay_us
    doubling = delay_us.bit_length() - 4
    return min(doubling * _BUCKETS_PER_DOUBLING + (delay_us >> doubling), _BUCKETS)


def _upper_us(bucket: int) -> int:
    if bucket < 2 * _BUCKETS_PER_DOUBLING:
        return bucket
    doubling = bucket // _BUCKETS_PER_DOUBLING - 1
    step = bucket - doubling * _BUCKETS_PER_DOUBLING
    return ((step + 1) << doubling) - 1
