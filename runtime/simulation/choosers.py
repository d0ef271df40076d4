"""Who runs next: seeded strategies for the scheduler's `chooser`.

RandomChooser    each step goes to one of the actors that could run, all equally likely; with weights, as likely as
                 they are heavy (Waldspurger and Weihl, "Lottery Scheduling", OSDI 1994)
PctChooser       each actor has a random priority and the highest runs; at `depth - 1` random steps the one that
                 would run falls below all others (Burckhardt et al., "A Randomized Scheduler with Probabilistic
                 Guarantees of Finding Bugs", ASPLOS 2010).  A bug that takes `depth` ordered steps among n actors
                 and k steps is found with probability 1 / (n k^(depth - 1)) or more in each run.  A run that goes on
                 for twice the steps expected is finished by a random walk, so that it ends.
ReplayChooser    what another run chose

Of the random module only `random()` is used, whose numbers every Python version
promises to repeat; `randrange` and `shuffle` do not.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from random import Random
from typing import Literal, Protocol

from shoal.runtime.core.cell import Cell

__all__ = ["PctChooser", "RandomChooser", "RecordingChooser", "ReplayChooser", "Strategy", "make_chooser"]

Strategy = Literal["random", "pct"]

DEPTH = 3  # most known concurrency bugs need 3 ordered steps or fewer (the PCT paper, section 2)


class RecordingChooser(Protocol):
    """A chooser that keeps what it chose: its schedule."""

    schedule: array[int]  # one place among the candidates for each choice

    def choose(self, signalled: Sequence[Cell], ready: Sequence[Cell]) -> int: ...


class RandomChooser:
    """A random walk."""

    __slots__ = ("_random", "has_weights", "schedule")

    def __init__(self, seed: int) -> None:
        self.schedule = array("H")
        self.has_weights = False  # else no actor was given one, and none is looked for
        self._random = Random(seed).random

    def choose(self, signalled: Sequence[Cell], ready: Sequence[Cell]) -> int:
        if self.has_weights:
            place = _drawn(self._random(), [cell.weight or 100 for cell in (*signalled, *ready)])
        else:
            place = int(self._random() * (len(signalled) + len(ready)))
        self.schedule.append(place & 0xFFFF)
        return place


class PctChooser:
    """Random priorities with a few changes."""

    __slots__ = ("_changes", "_fair_from", "_priorities", "_random", "_step", "schedule")

    def __init__(self, seed: int, *, steps: int = 100, depth: int = DEPTH) -> None:
        """`steps`: how many choices a run is expected to have; the changes fall among them."""
        self.schedule = array("H")
        self._random = Random(seed).random
        self._step = 0
        # By priorities alone, an actor that always has something to do would keep all others from running for ever.
        self._fair_from = 2 * steps
        # The change that comes last leaves its actor lowest but for those changed later, as in the paper.
        self._changes = {int(self._random() * steps): -1.0 - number for number in range(depth - 1)}
        self._priorities: dict[Cell, float] = {}

    def choose(self, signalled: Sequence[Cell], ready: Sequence[Cell]) -> int:
        if self._step >= self._fair_from:
            place = int(self._random() * (len(signalled) + len(ready)))
            self.schedule.append(place & 0xFFFF)
            return place
        place = self._highest(signalled, ready)
        change = self._changes.get(self._step)
        if change is not None:
            cell = signalled[place] if place < len(signalled) else ready[place - len(signalled)]
            self._priorities[cell] = change
            place = self._highest(signalled, ready)
        self._step += 1
        self.schedule.append(place & 0xFFFF)
        return place

    def _highest(self, signalled: Sequence[Cell], ready: Sequence[Cell]) -> int:
        priorities = self._priorities
        best = place = 0
        best_priority = -1e9
        for candidates in (signalled, ready):
            for cell in candidates:
                priority = priorities.get(cell)
                if priority is None:
                    priority = priorities[cell] = self._random()
                if priority > best_priority:
                    best, best_priority = place, priority
                place += 1
        return best


class ReplayChooser:
    """Chooses as recorded; the first candidate once the record is over, or does not fit."""

    __slots__ = ("_recorded", "schedule")

    def __init__(self, recorded: Sequence[int]) -> None:
        self.schedule = array("H")
        self._recorded = recorded

    def choose(self, signalled: Sequence[Cell], ready: Sequence[Cell]) -> int:
        step = len(self.schedule)
        place = self._recorded[step] if step < len(self._recorded) else 0
        if place >= len(signalled) + len(ready):
            place = 0
        self.schedule.append(place)
        return place


def _drawn(chance: float, tickets: Sequence[int]) -> int:
    """The place whose ticket it is; `chance` is 0 to 1."""
    left = int(chance * sum(tickets))
    for place, count in enumerate(tickets):
        left -= count
        if left < 0:
            return place
    return len(tickets) - 1


def make_chooser(strategy: Strategy, seed: int, *, steps: int = 100) -> RandomChooser | PctChooser:
    """The chooser of that name."""
    if strategy == "random":
        return RandomChooser(seed)
    if strategy == "pct":
        return PctChooser(seed, steps=steps)
    raise ValueError(f'strategy is {strategy!r}; use "random" or "pct"')
