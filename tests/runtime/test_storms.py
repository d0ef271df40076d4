"""More failures, and more messages, than anybody can handle: the loop goes on, memory has a limit, nobody is orphaned.

Delay is judged by the thread's CPU time between two rounds of the loop: what else the machine does is not ours.
SHOAL_EFFORT multiplies the time of an overload: 0.3 s for each case, which become minutes in a soak.
"""

import asyncio
import contextlib
import gc
import logging
import os
import resource
import time
from pathlib import Path

import pytest

from shoal.runtime import (
    Actor,
    ActorSystem,
    AskError,
    Backoff,
    MailboxFull,
    MailboxSettings,
    Overflow,
    Strategy,
    Supervision,
)

from ..effort import EFFORT
from .support import adds_up, is_at_rest, until

IS_FAST = os.environ.get("SHOAL_LEG", "fast") == "fast"
CHILDREN = 10_000 if IS_FAST else 1_000
MEGABYTE = 1 << 20
SECONDS = 0.3 * EFFORT


@pytest.fixture(autouse=True)
def quiet(caplog):
    caplog.set_level(logging.CRITICAL, "shoal.runtime")


def resident_bytes():
    """What the process holds now; its peak, where only that can be known."""
    gc.collect()
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Rounds:
    """How much CPU time passes from one round of the running loop to the next, until `p99_s` is asked for."""

    def __init__(self):
        self.took_s, self.is_over = [], False
        self.loop = asyncio.get_running_loop()
        self.before_s = time.thread_time()
        self.loop.call_soon(self.look)

    def look(self):
        now_s = time.thread_time()
        self.took_s.append(now_s - self.before_s)
        self.before_s = now_s
        if not self.is_over:
            self.loop.call_soon(self.look)

    def p99_s(self):
        self.is_over = True
        return sorted(self.took_s)[len(self.took_s) * 99 // 100]


class Failing(Actor):
    def __init__(self, starts):
        starts.append(None)

    def receive(self, message):
        if message == "fail":
            raise ValueError(message)
        return message


class Parent(Actor):
    def __init__(self, supervision, starts):
        self.supervision, self.starts = supervision, starts
        self.refs = [self.spawn(Failing, starts) for _ in range(CHILDREN)]

    def receive(self, message):
        return self.refs


class Clock(Actor):
    """Measures the loop of the thread it runs on."""

    def receive(self, message):
        if message == "begin":
            self.rounds = Rounds()
            return None
        return self.rounds.p99_s()


class Top(Actor):
    """Has the parent and the clock on one thread."""

    supervision = Supervision(restarts_max=10**6)

    def receive(self, message):
        return self.spawn(Parent, *message), self.spawn(Clock)


STORMS = {
    "each of them, three times over": (Supervision(restarts_max=10**6), 3, CHILDREN),
    "each of them, with a back-off": (Supervision(10**6, backoff=Backoff(10_000, 10_000)), 2, CHILDREN),
    "one, which takes all others along": (Supervision(10**6, strategy=Strategy.ONE_FOR_ALL), 3, 1),
    "one too many, which takes the parent along": (Supervision(restarts_max=0), 1, 1),
}


@pytest.mark.parametrize("supervision, times, failing", STORMS.values(), ids=STORMS)  # noqa: PT006
@pytest.mark.parametrize("mode", ["cooperative", "threaded"])
def test_ten_thousand_children_that_fail_hold_up_nobody(supervision, times, failing, mode):
    starts = []

    async def main():
        async with ActorSystem(mode=mode) as system:
            parent, clock = await system.spawn(Top).ask((supervision, starts), timeout_s=60)
            refs = await parent.ask("children?", timeout_s=60)
            for ref in refs:  # each has been running, and has what a running actor has
                ref.tell("x")
            await until(lambda: is_at_rest(system))
            before = resident_bytes()
            for storm in range(1, times + 1):
                await clock.ask("begin")
                for ref in refs[:failing]:
                    ref.tell("fail")
                wanted = CHILDREN * (storm + 1)
                await until(lambda n=wanted: len(starts) >= n and is_at_rest(system))
                assert await clock.ask("end", timeout_s=60) < 0.05
                assert len(starts) == wanted
                assert system.counters.actors == CHILDREN + 3
                await until(lambda: len(system.snapshot().actors) == CHILDREN + 3)
                refs = await parent.ask("children?", timeout_s=60)
                assert all(ref.is_alive for ref in refs)
            starts.clear()
            assert resident_bytes() - before < 64 * MEGABYTE
            assert await refs[-1].ask("still here", timeout_s=60) == "still here"
        assert system.counters.actors == 0
        assert adds_up(system.counters)

    asyncio.run(main())


class Slow(Actor):
    """Takes more than a hundred times as long for a message as it takes to tell it one."""

    def __init__(self, log):
        self.log = log

    def receive(self, message):
        self.log.append(len(message))
        end_s = time.thread_time() + 0.003
        while time.thread_time() < end_s:
            pass


class Flooding(Actor):
    """Offers messages of 4 kB without end, by the way it is told."""

    def __init__(self, slow, way, offered):
        self.slow, self.way, self.offered = slow, way, offered

    def receive(self, message):
        if self.way in ("send", "ask"):
            return self.wait()
        tell = self.slow.tell
        for _ in range(100):
            with contextlib.suppress(MailboxFull):
                tell(bytes(4096))
        self.offered.append(100)
        self.ref.tell(message)
        return None

    async def wait(self):
        for _ in range(100):
            self.offered.append(1)
            try:
                if self.way == "send":
                    await self.slow.send(bytes(4096))
                else:
                    await self.slow.ask(bytes(4096), timeout_s=0.01)
            except MailboxFull:  # more than may wait, those included who gave up
                await asyncio.sleep(0.01)
            except AskError:
                pass
        self.ref.tell("again")


class Floods(Actor):
    """Many of them on one thread."""

    def __init__(self, number, *args):
        self.floods = [self.spawn(Flooding, *args) for _ in range(number)]

    def receive(self, message):
        for flood in self.floods:
            flood.tell(message)


@pytest.mark.parametrize("mode", ["cooperative", "threaded"])
@pytest.mark.parametrize(
    "way", [*Overflow, "send", "ask"], ids=["fail", "drop newest", "drop oldest", "wait", "send", "ask"]
)
def test_a_hundred_times_too_much_takes_bounded_memory(mode, way):
    """By `tell` from one actor, under each policy; by `send` and `ask` from 200 that wait for it."""
    policy = way if isinstance(way, Overflow) else Overflow.WAIT
    offered, log = [], []

    async def main():
        async with ActorSystem(mode=mode, take_turns=True) as system:
            slow = system.spawn(Slow, log, mailbox=MailboxSettings(100, policy))
            floods = system.spawn(Floods, 1 if isinstance(way, Overflow) else 200, slow, way, offered)
            idle = system.spawn(Failing, [])
            floods.tell("go")
            await until(lambda: len(log) > 20)
            before, end_s = resident_bytes(), time.monotonic() + SECONDS
            while time.monotonic() < end_s:
                assert slow.queued <= 100 + system.counters.in_flight
                assert await idle.ask("still here", timeout_s=60) == "still here"
                await asyncio.sleep(0.01)
            grown = resident_bytes() - before
            return sum(offered), len(log), grown, system.counters

    number, handled, grown, counters = asyncio.run(main())
    assert grown < 32 * MEGABYTE
    assert number > 100 * handled if isinstance(way, Overflow) else counters.handling > 0
    if way is Overflow.DROP_NEWEST:
        assert set(counters.dead_letters) == {"dropped_newest"}
    elif way is Overflow.FAIL:
        assert counters.refused > 0.9 * number
