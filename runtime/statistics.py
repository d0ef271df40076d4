"""What a system has done so far: frozen snapshots, and a histogram of the loop's delay."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = [
    "ActorMetrics",
    "ActorNode",
    "ActorSnapshot",
    "Counters",
    "LoopDelay",
    "LoopDelaySnapshot",
    "SchedulerSnapshot",
    "Snapshot",
]


@dataclass(frozen=True, slots=True)
class Counters:
    """Messages since the start.

    Every message sent is in exactly one place:
    sent == handled + lost + sum(dead_letters.values()) + queued + handling + in_flight.
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
    in_flight: int = 0  # on the way to another scheduler
    # Of `system.events`, by reason; each is one subscriber that did not hear.  `refused` has "mailbox_full" too.
    events_dropped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ActorMetrics:
    """What one actor has done since metrics were on; its restarts included."""

    handled: int  # messages taken out of its mailbox
    slices: int
    run_time_us: int  # measured, by slices
    queued_peak: int  # in its mailbox, seen as a slice began
    # [n]: it waited 2^(n-1) to 2^n us from having something to do until it ran, [0]: 0 us; after 256 slices a sample.
    waits_log2: tuple[int, ...]

    def wait_us(self, share: float) -> int:
        """What `share` (0 to 1) of the waits stayed below, rounded up to a power of two; 0 without any."""
        wanted, seen = share * sum(self.waits_log2), 0
        for bucket, count in enumerate(self.waits_log2):
            seen += count
            if count and seen >= wanted:
                return 1 << bucket if bucket else 0
        return 0


@dataclass(frozen=True, slots=True)
class ActorSnapshot:
    """One living actor."""

    path: str
    state: str  # starting, running, suspended, stopping; restarting: ending, or waiting, to begin again
    queued: int
    run_time_us: int  # virtual: what it was charged, by its weight, or was let off while it slept
    actor_class: str = ""
    stashed: int = 0
    restarts: int = 0
    metrics: ActorMetrics | None = None  # None: metrics are off, or it has not run
    weight: float = 1.0  # given at `spawn`, to a hundredth


@dataclass(frozen=True, slots=True)
class ActorNode:
    """An actor and those under it, the first started first."""

    actor: ActorSnapshot
    children: tuple[ActorNode, ...]


@dataclass(frozen=True, slots=True)
class LoopDelaySnapshot:
    """How late the loop's periodic callback came; what a callback that is due waits for."""

    samples: int
    p50_us: int
    p99_us: int
    max_us: int


@dataclass(frozen=True, slots=True)
class SchedulerSnapshot:
    """One scheduler of a system that uses threads."""

    thread: str  # its name
    actors: int
    turns: int
    in_flight: int  # messages on the way to it
    takes_turns: bool  # with the other threads, for the GIL


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A whole system at one moment."""

    now_us: int
    counters: Counters
    actors: tuple[ActorSnapshot, ...]
    loop_delay: LoopDelaySnapshot
    mode: str = "cooperative"
    mode_reason: str = ""  # what the mode took on this platform, and why
    schedulers: tuple[SchedulerSnapshot, ...] = ()  # the one of the `async with` block first; empty without threads

    def tree(self) -> tuple[ActorNode, ...]:
        """The actors at the top, and all others under them."""
        children: dict[str, list[ActorSnapshot]] = {}
        for actor in self.actors:
            children.setdefault(actor.path.rpartition("/")[0], []).append(actor)
        made: dict[str, ActorNode] = {}
        for actor in reversed(self.actors):  # children before parents
            below = tuple(made[child.path] for child in children.get(actor.path, ()))
            made[actor.path] = ActorNode(actor, below)
        return tuple(made[actor.path] for actor in children.get("", ()))

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists and numbers; what `to_json` writes."""
        return asdict(self)

    def to_json(self, *, indent: int | None = None) -> str:
        return json.dumps(self.to_dict(), indent=indent)


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
