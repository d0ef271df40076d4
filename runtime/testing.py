"""A kit for testing actors, without a second of waiting.

    run_virtual(main())      an asyncio program in virtual time: `asyncio.sleep(60)` takes none
    ManualSystem             a system without a loop: run_until_idle, advance_us
    Probe                    an actor that keeps what it is told
    simulate(main, seed=7)   one run of `main(system)` on a schedule that the seed decides, with a trace
    explore(main)            many such runs; the first that fails names its seed
    SimulatedLoop            where ActorSystem(mode="simulated", seed=7) runs, in a program of one's own
    Faults                   what goes wrong in them: crashes, slowness, full mailboxes, lost and late timers

`run_virtual` suits actors that await sockets' stand-ins, queues, sleeps; all of
asyncio works in it.  `ManualSystem` suits tests of order and of time-outs, step
by step, and Hypothesis machines.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

from .actor import Actor
from .drivers.manual import ManualDriver
from .drivers.simulated import SimulatedLoop, Stuck
from .ref import ActorRef
from .simulation.exploring import Exploration, explore
from .simulation.faults import Faults, InjectedCrash
from .simulation.running import InvariantBroken, Run, SimulatedSystem, run_until_idle, simulate, spend_us
from .system import ActorSystem

__all__ = [
    "Exploration",
    "Faults",
    "InjectedCrash",
    "InvariantBroken",
    "ManualSystem",
    "Probe",
    "Run",
    "SimulatedLoop",
    "SimulatedSystem",
    "Stuck",
    "VirtualLoop",
    "explore",
    "run_until_idle",
    "run_virtual",
    "simulate",
    "spend_us",
]

T = TypeVar("T")

_REAL_WAIT_S = 5.0  # for a thread's answer, when nothing else can happen


class ManualSystem(ActorSystem):
    """A started system in virtual time; each message is charged 1 us, so runs repeat."""

    def __init__(self, **options: Any) -> None:
        self.driver = ManualDriver()
        super().__init__(driver=self.driver, fixed_cost_ns=1000, loop_delay_interval_us=None, **options)
        self.start()

    def run_until_idle(self) -> None:
        """Run all that can happen at this moment."""
        self.driver.run_until_idle()

    def advance_us(self, delay_us: int) -> None:
        """Let virtual time pass, through every deadline on the way."""
        self.driver.advance_us(delay_us)

    def shut_down(self, *, timeout_s: float = 5.0) -> None:
        """Stop all actors; virtual time passes until the deadline if they do not."""
        done = self.begin_stop(timeout_s=timeout_s)
        self.run_until_idle()
        if not done.done():
            self.advance_us(int(timeout_s * 1e6))
        self._life.close()


class _Recorder(Actor[Any]):
    def __init__(self, messages: list[Any]) -> None:
        self.messages = messages

    def receive(self, message: Any) -> None:
        self.messages.append(message)


class _WatchingRecorder(_Recorder):
    def __init__(self, messages: list[Any], watched: tuple[ActorRef[Any], ...]) -> None:
        super().__init__(messages)
        for ref in watched:
            self.watch(ref)


class Probe:
    """An actor that keeps every message; hand its `ref` to the actor under test."""

    def __init__(self, system: ActorSystem, *, watch: tuple[ActorRef[Any], ...] = ()) -> None:
        self.messages: list[Any] = []
        self.ref: ActorRef[Any] = system.spawn(_WatchingRecorder, self.messages, watch)
        self._allowed: tuple[type[Any], ...] = ()
        self._disallowed: tuple[type[Any], ...] = ()

    def allow(self, *kinds: type[Any]) -> None:
        """Messages of these types may come at any time: `take` and the `expect`s pass over them."""
        self._allowed += kinds

    def disallow(self, *kinds: type[Any]) -> None:
        """Messages of these types are a failure wherever they stand in the mailbox when somebody looks."""
        self._disallowed += kinds

    def take(self, wanted: type[T]) -> T:
        """The oldest message, which must be of that type, taken out."""
        self._sort_out(wanted)
        if not self.messages:
            raise AssertionError(f"no message came; expected {wanted.__name__}")
        message = self.messages.pop(0)
        if not isinstance(message, wanted):
            raise AssertionError(f"{message!r} came; expected {wanted.__name__}")  # noqa: TRY004, a test failed
        return message

    async def expect(self, wanted: type[T], *, timeout_s: float = 5.0) -> T:
        """As `take`, but wait for a message to come."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + timeout_s
        while not self._sort_out(wanted):
            if loop.time() >= deadline_s:
                raise AssertionError(f"no message came in {timeout_s} s; expected {wanted.__name__}")
            await asyncio.sleep(0.001)
        return self.take(wanted)

    def expect_nothing(self) -> None:
        """No message may be here."""
        if self._sort_out(None):
            raise AssertionError(f"{self.messages!r} came; expected nothing")

    def _sort_out(self, wanted: type[Any] | None) -> bool:
        """Look for what must not come, and drop what may; whether something is left."""
        for message in self.messages:
            if isinstance(message, self._disallowed):
                raise AssertionError(f"{message!r} came, which is disallowed")  # noqa: TRY004, a test failed
        while self.messages and isinstance(self.messages[0], self._allowed):
            if wanted is not None and isinstance(self.messages[0], wanted):
                break
            del self.messages[0]
        return bool(self.messages)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio loop whose clock jumps to the next deadline whenever nothing else can happen."""

    def __init__(self, *, limit_s: float) -> None:
        self._now_s = 0.0
        self._limit_s = limit_s
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        return self._now_s

    if sys.platform == "emscripten":  # no sockets, and no thread that could wake it

        def _make_self_pipe(self) -> None: ...

        def _close_self_pipe(self) -> None: ...

        def _write_to_self(self) -> None: ...

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - asyncio's own
        """Threads end in real time; a time-out in virtual time would be over before they could."""
        await super().shutdown_default_executor()

    def jump(self, delay_s: float) -> None:
        """Let `delay_s` pass at once."""
        self._now_s += delay_s
        if self._now_s > self._limit_s:
            raise TimeoutError(f"{self._limit_s} s of virtual time have passed; what does the test wait for?")


class _JumpingSelector(selectors.SelectSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        has_files = bool(self.get_map())
        ready = super().select(0) if has_files else []
        if ready or timeout == 0:
            return ready
        if timeout is not None:
            self._loop.jump(timeout)
            return []
        ready = super().select(_REAL_WAIT_S) if has_files else []
        if not ready:
            raise TimeoutError("every task waits, and no timer is set: nothing can happen any more")
        return ready


def run_virtual(main: Coroutine[Any, Any, T], *, limit_s: float = 3600.0) -> T:
    """As `asyncio.run`, in virtual time.  TimeoutError when more than `limit_s` of it passes, or nothing can happen."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(limit_s=limit_s)) as runner:
        return runner.run(main)
