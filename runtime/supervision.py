"""What becomes of an actor that failed: a pure decision.

    restart      after a failure               after `self.stop()`
    permanent    restart                       restart
    transient    restart                       stop
    temporary    stop                          stop

A child that would be restarted for more than `restarts_max` times within
`period_us` is stopped instead, and its parent fails with `ChildFailed`: the
trouble escalates, and the parent's own supervision decides.  Above top-level
actors there is nobody: they stop, and the log says so.

Each child has a history of its own (one for one); a child's failure leaves its
siblings alone.  Being stopped from outside (`ref.stop()`, the parent's end) is
no reason to restart.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum

__all__ = ["Directive", "FailureHistory", "Restart", "Supervision", "decide"]


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


@dataclass(frozen=True, slots=True)
class Supervision:
    """How an actor looks after its children (class attribute `supervision`)."""

    restarts_max: int = 3  # within the period, as in Erlang's examples; 0: the first failure escalates
    period_us: int = 5_000_000


class FailureHistory:
    """When a child was restarted, as far back as one period."""

    __slots__ = ("_times_us",)

    def __init__(self) -> None:
        self._times_us: deque[int] = deque()  # at most restarts_max entries: `decide` records no more

    def count(self, now_us: int, period_us: int) -> int:
        """Restarts in the period that ends now; older ones are forgotten."""
        while self._times_us and self._times_us[0] <= now_us - period_us:
            self._times_us.popleft()
        return len(self._times_us)

    def record(self, now_us: int) -> None:
        self._times_us.append(now_us)


def decide(
    restart: Restart, supervision: Supervision, history: FailureHistory, now_us: int, *, failed: bool
) -> Directive:
    """What to do about a child that ended by itself, by failing or not.  A restart is recorded in its history."""
    if restart is Restart.TEMPORARY or (restart is Restart.TRANSIENT and not failed):
        return Directive.STOP
    if history.count(now_us, supervision.period_us) >= supervision.restarts_max:
        return Directive.ESCALATE
    history.record(now_us)
    return Directive.RESTART
