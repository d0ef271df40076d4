"""Faults that a simulation injects: what goes wrong, where, and how often.

    faults = (
        Faults()
        .crash("/worker", probability=0.1)              # the handler raises instead of running
        .slow("/store", cost_us=20_000)                 # the handler takes that long; nothing else runs meanwhile
        .full("/inbox", probability=0.5)                # tell and ask find the mailbox full
        .lose_timer("/ticker", times=1)                 # the timer's message never comes
        .late_timer("/ticker", delay_us=1_000)          # it comes that much later
    )

A target is a path, a path with a * at its end, or an actor class; `on` narrows
crashes and slowness to a type of message.  Each rule draws from a generator of
its own, so that adding a rule changes neither the schedule nor other faults.
A Faults is a value: each run counts `times` for itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Literal

from shoal.runtime.actor import Actor

__all__ = ["Faults", "InjectedCrash", "Injector"]

Kind = Literal["crash", "slow", "full", "lose_timer", "late_timer"]
Target = str | type[Actor[Any]]


class InjectedCrash(Exception):
    """Raised in a handler by a simulation's faults."""


@dataclass(frozen=True, slots=True)
class _Rule:
    kind: Kind
    target: Target
    on: type[Any]
    probability: float
    times: int | None
    amount_us: int = 0
    error: Callable[[], BaseException] = InjectedCrash


@dataclass(frozen=True, slots=True)
class Faults:
    """Rules of what goes wrong; each method gives a new value with one rule more."""

    rules: tuple[_Rule, ...] = ()

    def crash(
        self,
        target: Target,
        *,
        on: type[Any] = object,
        probability: float = 1.0,
        times: int | None = None,
        error: Callable[[], BaseException] = InjectedCrash,
    ) -> Faults:
        """The handler raises `error()` and does nothing."""
        return self._with(_Rule("crash", target, on, probability, times, error=error))

    def slow(
        self,
        target: Target,
        *,
        cost_us: int,
        on: type[Any] = object,
        probability: float = 1.0,
        times: int | None = None,
    ) -> Faults:
        """The handler costs `cost_us` of virtual time more."""
        return self._with(_Rule("slow", target, on, probability, times, cost_us))

    def full(self, target: Target, *, probability: float = 1.0, times: int | None = None) -> Faults:
        """`tell` and `ask` raise MailboxFull, as if there were no room.  `send` is left alone: it waits."""
        return self._with(_Rule("full", target, object, probability, times))

    def lose_timer(self, target: Target, *, probability: float = 1.0, times: int | None = None) -> Faults:
        """A due timer says nothing; one with an interval goes on with the next."""
        return self._with(_Rule("lose_timer", target, object, probability, times))

    def late_timer(
        self, target: Target, *, delay_us: int, probability: float = 1.0, times: int | None = None
    ) -> Faults:
        """A due timer fires `delay_us` later."""
        return self._with(_Rule("late_timer", target, object, probability, times, delay_us))

    def _with(self, rule: _Rule) -> Faults:
        if not 0 <= rule.probability <= 1:
            raise ValueError(f"probability is {rule.probability}; use 0 to 1")
        if rule.amount_us < 0:
            raise ValueError(f"{rule.kind} by {rule.amount_us} us; time does not go back")
        return replace(self, rules=(*self.rules, rule))


class Injector:
    """The faults of one run."""

    __slots__ = ("_left", "_randoms", "_rules", "happened")

    def __init__(self, faults: Faults, seed: int) -> None:
        self.happened = 0
        self._rules = faults.rules
        self._left = [rule.times for rule in self._rules]
        self._randoms = [Random(seed * 1_000_003 + number) for number in range(len(self._rules))]

    def find(self, kind: Kind, path: str, actor_class: type[Any], message: Any) -> _Rule | None:
        """The first rule that strikes now, or None."""
        for number, rule in enumerate(self._rules):
            if rule.kind != kind or not isinstance(message, rule.on) or not _is_target(rule.target, path, actor_class):
                continue
            left = self._left[number]
            if left == 0 or (rule.probability < 1 and self._randoms[number].random() >= rule.probability):
                continue
            if left is not None:
                self._left[number] = left - 1
            self.happened += 1
            return rule
        return None


def _is_target(target: Target, path: str, actor_class: type[Any]) -> bool:
    if isinstance(target, str):
        return path.startswith(target[:-1]) if target.endswith("*") else path == target
    return issubclass(actor_class, target)
