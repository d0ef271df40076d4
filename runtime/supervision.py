"""What becomes of actors that fail, as in Erlang/OTP: pure decisions, no clock, no chance.

When a child starts again (`Restart`):

                 after a failure     after `self.stop()`
    permanent    restart             restart
    transient    restart             stop
    temporary    stop                stop

Who ends and starts again with it (`Strategy`): nobody (one for one), all its
siblings (one for all), or those that started after it (rest for one).  They end
one by one, last started first, and start one by one in their old order, each
when the one before has started; temporary ones only end.

How often (`restarts_max`, `period_us`): a supervisor restarts at most
`restarts_max` times in a period, whichever of its children failed; a restart of
several siblings counts once, and one that is exactly a period ago still counts,
as OTP's supervisor has it.  One failure more, and the child stops and the
supervisor fails with `ChildFailed`: its own supervision decides (escalation),
and its next instance counts from none.  Above top-level actors there is nobody:
they stop, and the log says so.

How soon (`Backoff`): at once, or after a delay that grows with each restart.

Where OTP differs: a transient supervisor that gave up ends there for good, here
an escalation is a failure like others; and a transient child that has ended
well stays ended here, whatever happens to its siblings.  Being stopped from
outside (`ref.stop()`, the parent's end, a link) is no reason to restart.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import Generic, TypeVar

__all__ = [
    "Backoff",
    "Directive",
    "GroupRestart",
    "Restart",
    "RestartHistory",
    "Strategy",
    "Supervision",
    "affected_siblings",
    "decide",
]

Child = TypeVar("Child", bound=Hashable)

_ATTEMPTS_MAX = 64  # the exponent stops here: by then any back-off is at its limit
_MASK = (1 << 64) - 1


class Restart(Enum):
    """When a child is started again."""

    PERMANENT = "permanent"  # whenever it ends by itself
    TRANSIENT = "transient"  # when it fails
    TEMPORARY = "temporary"  # never


class Directive(Enum):
    """What is done about a failure."""

    RESTART = "restart"
    STOP = "stop"
    ESCALATE = "escalate"


class Strategy(Enum):
    """Which siblings are restarted with a child that is."""

    ONE_FOR_ONE = "one_for_one"
    ONE_FOR_ALL = "one_for_all"
    REST_FOR_ONE = "rest_for_one"


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a child that failed waits before it starts again: initial, initial x factor, ... at most max.

    Messages wait in its mailbox meanwhile.
    """

    initial_us: int = 100_000
    max_us: int = 10_000_000
    factor: float = 2.0
    jitter: float = 0.0  # share of the delay, 0 to 1, of which a seeded part is taken off: herds spread out
    seed: int = 0
    reset_us: int | None = None  # run for longer than this, and the next delay is the initial one; None: max_us

    def __post_init__(self) -> None:
        if not 0 <= self.initial_us <= self.max_us or not 1 <= self.factor < inf or not 0 <= self.jitter <= 1:
            raise ValueError(
                f"{self!r}; use 0 <= initial_us <= max_us, a finite factor of 1 or more, a jitter of 0 to 1"
            )

    def attempt(self, last: int, ran_us: int) -> int:
        """The number of this restart in a row, from 1, after an instance that ran for `ran_us`."""
        reset_us = self.max_us if self.reset_us is None else self.reset_us
        return 1 if ran_us > reset_us else last + 1

    def delay_us(self, attempt: int, key: int = 0) -> int:
        """The delay before restart `attempt`, from 1.  Equal arguments, equal delays; `key` tells children apart."""
        try:
            delay_us = min(self.initial_us * self.factor ** min(attempt - 1, _ATTEMPTS_MAX), self.max_us)
        except OverflowError:  # more than a float holds is more than any limit
            delay_us = self.max_us if self.initial_us else 0
        return int(delay_us * (1 - self.jitter * _fraction(self.seed, key, attempt)))


@dataclass(frozen=True, slots=True)
class Supervision:
    """How an actor looks after its children (class attribute `supervision`)."""

    restarts_max: int = 3  # within the period, as in Erlang's examples; 0: the first failure escalates
    period_us: int = 5_000_000
    strategy: Strategy = Strategy.ONE_FOR_ONE
    backoff: Backoff | None = None
    per_child: bool = False  # True: each child has a count of its own, where OTP has one for all children

    def __post_init__(self) -> None:
        if self.restarts_max < 0 or self.period_us < 1:
            raise ValueError(
                f"restarts_max is {self.restarts_max}, period_us {self.period_us}; use 0 or more, 1 or more"
            )


class RestartHistory:
    """When restarts were, as far back as one period."""

    __slots__ = ("_times_us",)

    def __init__(self) -> None:
        self._times_us: deque[int] = deque()  # at most restarts_max entries: `decide` records no more

    def count(self, now_us: int, period_us: int) -> int:
        """Restarts at most a period ago; older ones are forgotten."""
        while self._times_us and self._times_us[0] < now_us - period_us:
            self._times_us.popleft()
        return len(self._times_us)

    def record(self, now_us: int) -> None:
        self._times_us.append(now_us)


def decide(
    restart: Restart, supervision: Supervision, history: RestartHistory, now_us: int, *, failed: bool
) -> Directive:
    """What to do about a child that ended by itself, by failing or not.  A restart is recorded in the history."""
    if restart is Restart.TEMPORARY or (restart is Restart.TRANSIENT and not failed):
        return Directive.STOP
    if history.count(now_us, supervision.period_us) >= supervision.restarts_max:
        return Directive.ESCALATE
    history.record(now_us)
    return Directive.RESTART


def affected_siblings(strategy: Strategy, children: Sequence[Child], failed: Child) -> list[Child]:
    """Who is restarted when `failed` is, itself among them, in the order of `children`: that of starting."""
    if strategy is Strategy.ONE_FOR_ALL:
        return list(children)
    place = children.index(failed)
    return list(children[place:]) if strategy is Strategy.REST_FOR_ONE else [failed]


class GroupRestart(Generic[Child]):
    """One restart of several siblings, step by step.

        ending      `current` is to end; the failed one first, then the others, last started first
        waiting     all have ended; the back-off runs (`current` is None)
        starting    `current` is to start; in the order of starting
        done        nothing is left

    `advance` goes on when `current` has done what it was to do.
    """

    __slots__ = ("_to_end", "_to_start", "current", "delay_us", "error", "phase")

    def __init__(
        self, members: Sequence[Child], failed: Child, delay_us: int = 0, error: BaseException | None = None
    ) -> None:
        """`members` in the order of starting, `failed` among them; `error` is what it raised."""
        self.phase = "ending"
        self.error = error
        self.delay_us = delay_us
        self.current: Child | None = failed
        # Dicts as ordered sets, from which the last is taken: a group may have thousands of members.
        self._to_end = {child: None for child in members if child is not failed}
        self._to_start = dict.fromkeys(reversed(members))

    def advance(self) -> None:
        """`current` has ended, waited or started: on to the next."""
        if self.phase == "ending":
            self.current = self._to_end.popitem()[0] if self._to_end else None
            if self.current is None:
                self.phase = "waiting"
        elif self._to_start:
            self.phase = "starting"
            self.current = self._to_start.popitem()[0]
        else:
            self.phase = "done"
            self.current = None

    def leave(self, child: Child) -> None:
        """The child has ended for good: it is not started.  If it is `current`, `advance` is still to be called."""
        self._to_end.pop(child, None)
        self._to_start.pop(child, None)

    def will_end(self, child: Child) -> bool:
        """Whether the child still runs and is to end: what it does by itself meanwhile counts for nothing."""
        return child in self._to_end

    def is_parked(self, child: Child) -> bool:
        """Whether the child, having ended, is to start in its turn and not by itself."""
        return child in self._to_start


def _fraction(seed: int, key: int, attempt: int) -> float:
    """A number from 0 up to 1 that looks random and is the same everywhere (splitmix64 of the arguments)."""
    mixed = 0
    for value in (seed, key, attempt):
        mixed = (mixed + (value & _MASK) + 0x9E3779B97F4A7C15) & _MASK
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        mixed ^= mixed >> 31
    return mixed / (_MASK + 1)
