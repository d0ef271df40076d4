"""ActorSystem: the tree of actors on one event loop.

    async with ActorSystem() as system:
        greeter = system.spawn(Greeter)
        print(await greeter.ask("world"))

Nothing outside the block is touched: no loop policy, no signal handlers, no
global state; several systems may share a loop.  Leaving the block stops all
actors, children before parents and last started first; what has not stopped by
the deadline is cut off, and named in the log.  Afterwards nothing of the system
is left in the loop.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, current_task, get_running_loop
from collections.abc import Callable
from threading import get_ident
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from .actor import Actor
from .core.methods import spawn_method
from .core.reply import Reply
from .drivers.base import Driver
from .events import Events
from .life import Life
from .messages import DeadLetter, Failure, MailboxSettings, NameChanged
from .modes import choose, has_gil, has_threads
from .ref import ActorRef
from .statistics import Counters, LoopDelay, Snapshot
from .streams import Stream, Subscription
from .supervision import Restart, Supervision
from .turns import Turns
from .watchdog import Stall, Watchdog

if TYPE_CHECKING:
    from .core.scheduler import Scheduler

__all__ = ["ActorSystem"]

N = TypeVar("N")


class ActorSystem:
    """Actors that live and die together."""

    # A place of its own for what each `spawn` looks up (`core/bound.py`).
    __slots__ = ("__dict__", "__weakref__", "_shoal_ref")

    _life_class: type[Life] = Life  # a simulation's notes what happens

    def __new__(cls, *_args: Any, mode: str = "cooperative", **_options: Any) -> Self:
        """A simulated system is of a class of its own, which is loaded when it is asked for."""
        if mode == "simulated" and cls is ActorSystem:
            from .simulation.running import SimulatedSystem

            return cast("Self", object.__new__(SimulatedSystem))
        return super().__new__(cls)

    def __init__(
        self,
        *,
        mode: str = "cooperative",
        driver: Driver | None = None,
        turn_budget_us: int = 250,
        batch_messages_max: int = 64,
        slice_us: int = 50,
        fixed_cost_ns: int = 0,
        stop_timeout_s: float = 5.0,
        mailbox: MailboxSettings | None = None,
        supervision: Supervision | None = None,
        loop_delay_interval_us: int | None = 20_000,
        metrics: bool = False,
        watchdog_limit_us: int | None = 100_000,
        take_turns: bool | None = None,
        loop_factory: Callable[[], AbstractEventLoop] | None = None,
        seed: int = 0,
    ) -> None:
        """
        `mode`: "cooperative", all actors on one loop; "threaded", a thread and a loop for each top-level actor and
        those below it; "auto", what suits the platform (`modes.py`); "simulated", virtual time, on a schedule that
        `seed` decides, on a `shoal.runtime.testing.SimulatedLoop`.  "threaded" in a browser is ThreadsUnavailable.
        `turn_budget_us`: what the loop's other callbacks wait for at most, while actors are busy, as long as each
        handler is short.  `slice_us` and `batch_messages_max`: what one actor gets before others do.
        `fixed_cost_ns`: charge each message this much instead of measured time, so that runs repeat.
        `mailbox`: for actors spawned without one.  `supervision`: of top-level actors; by
        default each is counted by itself, since nothing but the system joins them.
        `loop_delay_interval_us`: how often `loop_delay` is sampled; None for never.
        `metrics`: count each actor's messages, slices, run time and waits for `snapshot`.
        `watchdog_limit_us`: a handler that holds its thread longer is named in the log and in `stalls`; None for never.
        `take_turns`: threads run their actors one at a time (`turns.py`); None: where there is a GIL.
        `loop_factory`: makes the loops of threads; None: as the running one.
        """
        self._driver = driver
        self._loop_delay_interval_us = loop_delay_interval_us
        self._stop_timeout_us = int(stop_timeout_s * 1e6)
        self.loop_delay = LoopDelay()
        self.stalls: Stream[Stall] = Stream()
        self._watchdog: Watchdog | None = None
        self._watchdog_limit_us = watchdog_limit_us if fixed_cost_ns == 0 and has_threads() else None
        options: dict[str, Any] = {
            "turn_budget_us": turn_budget_us,
            "batch": batch_messages_max,
            "slice_us": slice_us,
            "fixed_cost_ns": fixed_cost_ns,
            "mailbox": mailbox or MailboxSettings(),
            "supervision": supervision or Supervision(per_child=True),
        }
        self._life = self._life_class(self, **options)
        self._shoal_ref = self._life.root_ref  # whose children `spawn` starts
        self._plan = choose(mode, gil=has_gil(), threads=has_threads())
        if self._plan.uses_threads:
            if driver is not None:
                raise ValueError(f"mode is {mode!r} and a driver was given; with threads each has a driver of its own")
            # Imported here: what uses no threads loads none of it.
            from .crew import Crew

            turns = Turns() if (has_gil() if take_turns is None else take_turns) else None
            self._life.crew = Crew(self._plan, self._life, options, turns=turns, loop_factory=loop_factory)

        self._life.scheduler.metrics = metrics

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        driver = self._driver
        assert driver is not None, "start made one"
        fatal = self._life.fatal
        interrupted = fatal is not None and driver.was_interrupted(error)
        await self.stop()
        fatal = self._life.fatal
        if fatal is not None and (error is None or interrupted):
            raise fatal

    def start(self) -> None:
        """Begin; `async with` does this.  Without a driver given, the running asyncio loop is used."""
        crew = self._life.crew
        if self._driver is None and crew is not None:
            from .drivers.thread import ThreadDriver

            driver = ThreadDriver(crew.turns, self._life.scheduler)
            crew.start(driver)
            self._driver = driver
        elif self._driver is None:
            from .drivers.asyncio_loop import AsyncioDriver
            from .drivers.browser_loop import BrowserDriver, is_browser_loop

            loop = get_running_loop()
            self._driver = BrowserDriver(loop) if is_browser_loop(loop) else AsyncioDriver(loop)
        self._life.start(self._driver)
        if self._watchdog_limit_us is not None:
            self._life.scheduler.thread = get_ident()
            self._watchdog = Watchdog(self._schedulers, self._watchdog_limit_us, self.stalls)
            self._watchdog.start()
        if self._loop_delay_interval_us is not None:
            self._driver.sample_delay(self.loop_delay, self._loop_delay_interval_us)

    def begin_stop(self, *, timeout_s: float | None = None) -> Reply:
        """Begin to stop everything; the Reply comes when all is over, at the deadline at the latest."""
        self._check_thread()
        timeout_us = self._stop_timeout_us if timeout_s is None else int(timeout_s * 1e6)
        return self._life.begin_stop_all(timeout_us)

    async def stop(self, *, timeout_s: float | None = None) -> None:
        """Stop everything and wait for it; `async with` does this.  A second call waits with the first.

        Cancelled while it waits, it cuts off at once what has not stopped.  NotAvailable in a handler, a hook or a
        task of an actor of this system: use `begin_stop` there.
        """
        self._check_thread()
        self._life.check_not_within(current_task())
        try:
            await self.begin_stop(timeout_s=timeout_s)
        except BaseException:
            self._life.cut_off()
            raise
        finally:
            self._close()

    def _check_thread(self) -> None:
        if self._life.crew is not None:
            self._life.crew.check_thread(self._life)

    def _close(self) -> None:
        if self._life.crew is not None:
            self._life.crew.end()
        if self._watchdog is not None:
            self._watchdog.stop()
        self._life.close()

    def _schedulers(self) -> list[Scheduler]:
        crew = self._life.crew
        return [self._life.scheduler] if crew is None else crew.schedulers()

    if TYPE_CHECKING:  # at run time it is compiled

        def spawn(
            self,
            actor_class: type[Actor[N]],
            *args: Any,
            name: str | None = None,
            mailbox: MailboxSettings | None = None,
            restart: Restart = Restart.TRANSIENT,
            own_scheduler: bool | None = None,
            blocking: bool | None = None,
            weight: float | None = None,
            **kwargs: Any,
        ) -> ActorRef[N]:
            """Start a top-level actor.  As `Actor.spawn`; SystemNotRunning outside the block.

            From the block's own thread only; WrongThread elsewhere.
            """
            ...

    def find(self, name: str) -> ActorRef[Any] | None:
        """The living actor of that path, as in "session/peer-3", if it was given a name; else None."""
        return self._life.registry.find(name)

    def watch_name(self, name: str, callback: Callable[[NameChanged], None]) -> Subscription[NameChanged]:
        """Have `callback` called at once if an actor has that path, and whenever one takes it or it becomes free."""
        return self._life.registry.watch(name, callback)

    @property
    def now_us(self) -> int:
        """The driver's monotonic clock."""
        return self._life.now_us()

    @property
    def dead_letters(self) -> Stream[DeadLetter]:
        """Every message that nobody will handle, as it happens."""
        return self._life.dead_letters

    @property
    def failures(self) -> Stream[Failure]:
        """Everything an actor raised, as it happens; each is logged once besides."""
        return self._life.failures

    @property
    def events(self) -> Events:
        """Publish and subscribe by type."""
        return self._life.events

    @property
    def counters(self) -> Counters:
        """What happened to all messages so far.  Cost: linear in the number of living actors."""
        return self._life.counters()

    def snapshot(self) -> Snapshot:
        """Counters, the loop's delay, and a line for each living actor, parents before children."""
        return Snapshot(
            now_us=self.now_us,
            counters=self._life.counters(),
            actors=self._life.actor_snapshots(),
            loop_delay=self.loop_delay.snapshot(),
            mode=self._plan.mode,
            mode_reason=self._plan.reason,
            schedulers=() if self._life.crew is None else self._life.crew.scheduler_snapshots(),
        )


if not TYPE_CHECKING:
    ActorSystem.spawn = spawn_method(ActorSystem)
