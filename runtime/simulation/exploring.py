"""Many runs of one program, each on a schedule of its own."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .choosers import Strategy
from .faults import Faults
from .running import Program, Run, simulate

__all__ = ["Exploration", "explore", "steps_of"]

_ATTEMPTS_PER_SCHEDULE = 4  # a program that has fewer schedules than asked for is not tried for ever
_STEPS = 100
_ONLY_SEED = "SHOAL_SEED"  # in the environment: `explore` runs that seed alone


@dataclass(frozen=True, slots=True)
class Exploration:
    """What was tried; all of it held."""

    runs: int
    distinct: int  # schedules
    seconds: float  # of real time
    messages: int

    @property
    def runs_per_s(self) -> float:
        return self.runs / self.seconds if self.seconds else 0.0


def explore(
    program: Program[Any],
    *,
    schedules: int = 1000,
    strategy: Strategy = "random",
    seed: int = 0,
    replay: str | None = None,
    check_run: Callable[[Run[Any]], object] | None = None,
    faults: Faults = Faults(),  # noqa: B008, a frozen value
    **options: Any,
) -> Exploration:
    """Run `program` until it has taken that many distinct schedules, with seeds from `seed` on.

    The first run that raises ends the exploration: its error is raised with a
    note that names the seed and the command that runs it again.  `check_run`
    looks at each run and raises what it does not like.  Fewer schedules are
    taken if the program does not have as many: it is run 4 times as often at most.
    `replay`: the command to show instead; a {seed} in it is replaced.  Without one it is `python -m
    shoal.runtime.simulation MODULE:NAME --seed N` where that says everything, and else this process's own command with
    SHOAL_SEED=N before it, which has every `explore` run that seed alone.  Other options are those of `simulate`.
    """
    only = os.environ.get(_ONLY_SEED)
    if only is not None:
        seed, schedules = int(only), 1
    began = time.perf_counter()
    seen: set[bytes] = set()
    messages = runs = 0
    steps = steps_of(program, strategy, faults=faults, **options)
    says_all = check_run is None and not faults.rules and not options
    for number in range(schedules * _ATTEMPTS_PER_SCHEDULE):
        this = seed + number
        try:
            run = simulate(program, seed=this, strategy=strategy, faults=faults, steps_expected=steps, **options)
            if check_run is not None:
                check_run(run)
        except BaseException as error:
            command = (replay or _command(program, strategy, steps, says_all)).replace("{seed}", str(this))
            error.add_note(f"found by seed {this} ({strategy}), after {runs} runs that held; replay: {command}")
            raise
        runs += 1
        messages += run.counters.handled
        seen.add(run.schedule.tobytes())
        if len(seen) >= schedules:
            break
    return Exploration(runs, len(seen), time.perf_counter() - began, messages)


def steps_of(program: Program[Any], strategy: Strategy, **options: Any) -> int:
    """About how many choices a run of the program has, which PCT must know; found by one run, always the same."""
    if strategy != "pct":
        return _STEPS
    try:
        return max(len(simulate(program, **options).schedule), 1)
    except Exception:  # what it finds, the exploration will find too, with a seed
        return _STEPS


def _command(program: Program[Any], strategy: Strategy, steps: int, says_all: bool) -> str:
    name = getattr(program, "__qualname__", "")
    if not says_all or not name.isidentifier() or program.__module__ == "__main__":
        return f"{_ONLY_SEED}={{seed}} {shlex.join(sys.orig_argv)}"
    spread = f" --steps {steps}" if strategy == "pct" else ""
    return (
        f"python -m shoal.runtime.simulation {program.__module__}:{name} --strategy {strategy} --seed {{seed}}{spread}"
    )
