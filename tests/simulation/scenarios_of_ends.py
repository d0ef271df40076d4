"""Programs about ends that hold on every schedule: stops in flight, in mid-handler, nested, and racing restarts."""

import asyncio
import itertools

from shoal.runtime import (
    Actor,
    ActorStopped,
    AskTimedOut,
    MailboxSettings,
    StopReason,
)
from shoal.runtime.testing import run_until_idle

from .cast import Busy, Ticking, make_busy

__all__ = ["SCENARIOS"]

SCENARIOS = []


def scenario(program):
    SCENARIOS.append(program)
    return program


@scenario
async def stops_with_messages_in_flight(system):
    handled, stopped = [], []

    class Worker(Actor):
        def receive(self, message):
            handled.append(message)

        def on_stop(self, reason):
            stopped.append(reason)

    workers = [system.spawn(Worker) for _ in range(3)]
    for worker in workers:
        system.spawn(Ticking, worker, 6).tell(0)

    class Stopper(Actor):
        def receive(self, left):
            if left:
                self.ref.tell(left - 1)
            else:
                for worker in workers:
                    worker.stop()
                    worker.stop()

    system.spawn(Stopper).tell(4)
    await run_until_idle(system)
    assert stopped == [StopReason.STOPPED] * 3
    dead = system.counters.dead_letters.get("stopped", 0)
    assert len(handled) + dead == 18


@scenario
async def nested_stops(system):
    log = []

    class Node(Actor):
        def __init__(self, depth, name):
            self.depth, self.label = depth, name
            if depth:
                for i in range(2):
                    self.spawn(Node, depth - 1, f"{name}.{i}")

        def receive(self, message):
            if message:
                self.ref.tell(message - 1)

        async def on_stop(self, reason):
            await asyncio.sleep(0.00001)
            log.append((self.label, reason))

    roots = [system.spawn(Node, 2, str(i)) for i in range(2)]
    for cell in system._life.cells():
        if cell.parent is not None:
            cell.handle.tell(4)
    for root in roots:
        root.stop()
    await asyncio.sleep(0.01)
    for root in "01":
        own = [label for label, _ in log if label.startswith(root)]
        expected = [f"{root}.1.1", f"{root}.1.0", f"{root}.1", f"{root}.0.1", f"{root}.0.0", f"{root}.0", root]
        assert own == expected
    assert {reason for label, reason in log if "." in label} == {StopReason.PARENT}


@scenario
async def stops_with_questions_waiting(system):
    class Slow(Actor):
        async def receive(self, message):
            await asyncio.sleep(0.01)
            return message

    outcomes = []

    class Asker(Actor):
        async def receive(self, message):
            try:
                outcomes.append(await slow.ask(message, timeout_s=1))
            except ActorStopped:
                assert self.now_us < 100_000, "it is told at once, not by the time-out"
                outcomes.append("stopped")

    slow = system.spawn(Slow, mailbox=MailboxSettings(10))
    for number in range(6):
        system.spawn(Asker).tell(number)
    make_busy(system, 2)
    await asyncio.sleep(0.025)
    slow.stop()
    await asyncio.sleep(0.1)
    assert len(outcomes) == 6
    assert outcomes.count("stopped") == 4
    assert outcomes[2:] == ["stopped"] * 4


@scenario
async def tasks_end_before_the_stop_hook(system):
    log = []

    class Tasked(Actor):
        def on_start(self):
            for number in range(2):
                self.start_task(self.work(number))

        async def work(self, number):
            try:
                await asyncio.sleep(10)
            finally:
                await asyncio.sleep(0.00001)
                log.append((self.ref.name, f"task{number}"))

        def receive(self, message):
            if message == "crash":
                raise ValueError(message)

        def on_stop(self, reason):
            log.append((self.ref.name, reason))

    refs = [system.spawn(Tasked, name=f"tasked{i}") for i in range(3)]
    await run_until_idle(system)
    for ref in refs:
        system.spawn(Ticking, ref, 3).tell(0)
        ref.tell("crash")
    await asyncio.sleep(0.01)
    for ref in refs:
        ref.stop()
    make_busy(system, 3)
    await asyncio.sleep(0.01)
    for ref in refs:
        own = [what for name, what in log if name == ref.name]
        assert sorted(own[:2]) == sorted(own[3:5]) == ["task0", "task1"]
        assert (own[2], own[5]) == (StopReason.RESTARTED, StopReason.STOPPED)


@scenario
async def a_stop_in_mid_handler(system):
    log = []

    class Waiting(Actor):
        async def receive(self, message):
            try:
                await silent.ask("?", timeout_s=1)
            except BaseException as error:
                log.append(type(error).__name__)
                raise

    class Silent(Actor):
        def receive(self, message):
            self.take_reply()

    silent = system.spawn(Silent)
    waiting = [system.spawn(Waiting) for _ in range(3)]
    for ref in waiting:
        ref.tell("go")
        ref.tell("after")
    make_busy(system, 3)
    await run_until_idle(system)
    for ref in waiting:
        ref.stop()
    await run_until_idle(system)
    assert log == ["CancelledError"] * 3
    assert not any(ref.is_alive for ref in waiting)
    counters = system.counters
    assert (counters.lost, counters.dead_letters) == (3, {"stopped": 3})


@scenario
async def the_system_ends_while_all_are_busy(system):
    class Restless(Actor):
        def receive(self, message):
            self.ref.tell(message + 1)
            next(others).tell(0)

    refs = [system.spawn(Restless) for _ in range(4)]
    sinks = [system.spawn(Busy) for _ in range(3)]
    others = itertools.cycle(sinks)
    for ref in refs:
        ref.tell(0)
    try:
        await refs[0].ask(1, timeout_s=0.00005)
    except AskTimedOut:
        pass
    # What is broken shows when the block ends: everything stops, and every message is accounted for.


@scenario
async def stops_overtake_restarts(system):
    log = []

    class Slow(Actor):
        def receive(self, message):
            if message == 2:
                raise ValueError(message)

        async def on_stop(self, reason):
            await asyncio.sleep(0.00002)
            log.append((self.ref.name, reason))

    class Stopper(Actor):
        def receive(self, message):
            ref, left = message
            if left:
                self.ref.tell((ref, left - 1))
            else:
                ref.stop()

    refs = [system.spawn(Slow, name=f"slow{i}") for i in range(4)]
    for ref in refs:
        system.spawn(Ticking, ref, 5).tell(0)
        system.spawn(Stopper).tell((ref, 5))
    await asyncio.sleep(0.001)
    assert not any(ref.is_alive for ref in refs)
    for ref in refs:
        assert 1 <= sum(1 for name, _ in log if name == ref.name) <= 2
    assert all(cell.parent is None or cell.handle not in refs for cell in system._life.cells())


@scenario
async def stops_with_senders_waiting(system):
    outcomes = []

    class Stuck(Actor):
        async def receive(self, message):
            await asyncio.sleep(10)

    class Sender(Actor):
        async def receive(self, target):
            try:
                await target.send(1)
                outcomes.append("sent")
            except ActorStopped:
                outcomes.append("stopped")

    target = system.spawn(Stuck, mailbox=MailboxSettings(2))
    for _ in range(6):
        system.spawn(Sender).tell(target)
    make_busy(system, 2)
    await run_until_idle(system)
    assert outcomes == ["sent"] * 3
    target.stop()
    await run_until_idle(system)
    assert outcomes == ["sent"] * 3 + ["stopped"] * 3


@scenario
async def parents_stop_while_children_do(system):
    log = []

    class Child(Actor):
        async def on_stop(self, reason):
            await asyncio.sleep(0.00001)
            log.append(("child", self.parent.name))

    class Parent(Actor):
        def on_start(self):
            self.child = self.spawn(Child)

        def receive(self, left):
            if left:
                self.ref.tell(left - 1)
            else:
                self.child.stop()

        def on_stop(self, reason):
            log.append(("parent", self.ref.name))

    class Stopper(Actor):
        def receive(self, message):
            ref, left = message
            if left:
                self.ref.tell((ref, left - 1))
            else:
                ref.stop()

    parents = [system.spawn(Parent, name=f"parent{i}") for i in range(3)]
    for parent in parents:
        parent.tell(3)
        system.spawn(Stopper).tell((parent, 4))
    await asyncio.sleep(0.001)
    for parent in parents:
        assert [what for what, name in log if name == parent.name] == ["child", "parent"]
