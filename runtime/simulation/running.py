"""One run of a program in a simulated system."""

from __future__ import annotations

import asyncio
import logging
from array import array
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from shoal.runtime.drivers.simulated import SimulatedDriver, SimulatedLoop
from shoal.runtime.errors import NotAvailable
from shoal.runtime.life import Life
from shoal.runtime.statistics import Counters
from shoal.runtime.system import ActorSystem

from .choosers import RecordingChooser, ReplayChooser, Strategy, make_chooser
from .faults import Faults
from .invariants import broken
from .recorded import RecordedLife
from .recording import Event, Recorder

__all__ = ["InvariantBroken", "Program", "Run", "SimulatedSystem", "run_until_idle", "simulate", "spend_us"]

T = TypeVar("T")
Program = Callable[[ActorSystem], Coroutine[Any, Any, T]]

_NO_FAULTS = Faults()


# Options of ActorSystem that are about real time, or about threads.
_MEASURED = ("batch_messages_max", "fixed_cost_ns", "loop_delay_interval_us", "take_turns", "loop_factory")


class InvariantBroken(AssertionError):
    """The runtime did what it promises never to do; the text lists it."""


class SimulatedSystem(ActorSystem):
    """An ActorSystem whose schedule a chooser decides, and whose events are recorded."""

    _life_class: type[Life] = RecordedLife

    def __init__(
        self,
        loop: SimulatedLoop | None = None,
        chooser: RecordingChooser | None = None,
        recorder: Recorder | None = None,
        *,
        seed: int = 0,
        **options: Any,
    ) -> None:
        """As `simulate` makes it; or as `ActorSystem(mode="simulated", seed=7)`, on the running loop."""
        loop = loop or _running_loop()
        chooser = chooser or make_chooser("random", seed, steps=0)
        recorder = recorder or Recorder(1, _NO_FAULTS, seed)
        # What a measured run is set up with has no meaning here.
        options = {name: value for name, value in options.items() if name not in _MEASURED}
        super().__init__(
            **{**options, "mode": "simulated"},
            driver=SimulatedDriver(loop),
            batch_messages_max=1,
            fixed_cost_ns=1000,
            loop_delay_interval_us=None,
        )
        self.recorder = recorder
        self._loop = loop
        life = self._life
        assert isinstance(life, RecordedLife), "the class attribute says so"
        life.recorder = recorder
        recorder.spend_us = self.spend_us
        life.scheduler.chooser = chooser

    def spend_us(self, cost_us: int) -> None:
        """Let the handler that runs take that long."""
        self._loop.spend_us(cost_us)
        self._life.scheduler.now_us = self._loop.now_us()

    def note(self, what: str, text: str) -> None:
        """Put a line of the program's own into the trace."""
        self.recorder.events.append((self._loop.now_us(), what, "/", text))

    def violations(self) -> list[str]:
        """What the run has broken so far."""
        return broken(self.recorder, self._life.counters(), self._loop.now_us())

    @property
    def trace(self) -> str:
        """A line for each event so far; equal byte for byte for equal seeds."""
        return _trace_of(self.recorder.events)

    async def until_idle(self) -> None:
        """Wait until all that can happen at this moment has happened."""
        await self._loop.until_idle()


@dataclass(frozen=True, slots=True)
class Run(Generic[T]):
    """What one run did."""

    value: T
    seed: int
    schedule: array[int]  # the choice at each point where there was one: equal schedules are equal runs
    events: list[Event]
    counters: Counters  # after the end of the system
    duration_us: int  # virtual
    steps: int

    @property
    def trace(self) -> str:
        """A line for each event; equal byte for byte for equal seeds.  `recording` lists the kinds of lines."""
        return _trace_of(self.events)


def simulate(
    main: Program[T],
    *,
    seed: int = 0,
    strategy: Strategy = "random",
    schedule: array[int] | None = None,
    faults: Faults = _NO_FAULTS,
    cost_us: int | Callable[[Any, Any], int] = 1,
    check: bool = True,
    is_quiet: bool = True,
    limit_s: float = 3600.0,
    steps_max: int = 1_000_000,
    steps_expected: int = 100,
    **options: Any,
) -> Run[T]:
    """Run `main(system)` in virtual time, on a schedule that the seed decides.

    `strategy`: "random" or "pct"; `schedule`: replay a recorded one instead.
    `cost_us`: what handling a message takes, as a number or `cost_us(actor, message)`.
    `check`: raise InvariantBroken if the runtime broke a promise.  `is_quiet`: log no failures of actors.
    `limit_s`, `steps_max`: virtual time and steps after which a run that does not end raises Stuck; so do as many
    rounds of the loop in which no time passes, which is what a task that never rests makes.
    `steps_expected`: how many choices PCT spreads its changes over.  `options`: of ActorSystem.

    Raises what `main` raises.
    """
    chooser: RecordingChooser = (
        make_chooser(strategy, seed, steps=steps_expected) if schedule is None else ReplayChooser(schedule)
    )
    recorder = Recorder(cost_us, faults, seed)
    loop = SimulatedLoop(limit_us=int(limit_s * 1e6), steps_max=steps_max)
    system = SimulatedSystem(loop, chooser, recorder, **options)
    log = logging.getLogger("shoal.runtime")
    was_disabled, log.disabled = log.disabled, log.disabled or is_quiet
    try:
        value = loop.run_until_complete(_run(system, main))
        found = system.violations() if check else []
        if found:
            raise InvariantBroken("\n".join(found))
    finally:
        log.disabled = was_disabled
        _close(loop)
    return Run(value, seed, chooser.schedule, recorder.events, system.counters, loop.now_us(), loop.steps)


def spend_us(system: ActorSystem, cost_us: int) -> None:
    """Declare that the handler that runs takes that long more; does nothing outside of a simulation."""
    if isinstance(system, SimulatedSystem):
        system.spend_us(cost_us)


async def run_until_idle(system: ActorSystem) -> None:
    """Wait, in a simulated program, until actors and tasks can do nothing more at this moment of time."""
    if not isinstance(system, SimulatedSystem):
        raise TypeError(f"{system!r} is not simulated; use simulate(), or ManualSystem.run_until_idle()")
    await system.until_idle()


def _trace_of(events: list[Event]) -> str:
    return "".join(f"{now_us} {what} {path} {rest}".rstrip() + "\n" for now_us, what, path, rest in events)


def _running_loop() -> SimulatedLoop:
    loop = asyncio.get_running_loop()
    if not isinstance(loop, SimulatedLoop):
        raise NotAvailable(
            f"mode is 'simulated', and {loop!r} keeps real time; run the program with "
            "asyncio.Runner(loop_factory=SimulatedLoop), or by simulate(), both of shoal.runtime.testing"
        )
    return loop


async def _run(system: ActorSystem, main: Program[T]) -> T:
    async with system:
        return await main(system)


def _close(loop: SimulatedLoop) -> None:
    """Leave nothing behind, whatever state the program left the loop in."""
    try:
        left = asyncio.all_tasks(loop)
        if left:
            for task in sorted(left, key=lambda task: task.get_name()):
                task.cancel()
            loop.grant_steps()
            try:
                loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            except TimeoutError:  # they swallow their cancellation; closing the loop ends them
                pass
    finally:
        loop.close()
