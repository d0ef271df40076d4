"""Programs about lives that hold on every schedule: restarts, watches, names, stops, timers."""

import asyncio

from shoal.runtime import (
    Actor,
    HandlerFailed,
    NameTaken,
    Restart,
    StopReason,
    Supervision,
    Terminated,
)
from shoal.runtime.testing import run_until_idle

from .cast import Busy, Ticking, make_busy

__all__ = ["SCENARIOS"]

SCENARIOS = []


def scenario(program):
    SCENARIOS.append(program)
    return program


@scenario
async def restarts_under_load(system):
    handled, begun, errors = [], [], []

    class Worker(Actor):
        def __init__(self):
            begun.append("init")
            self.since = 0

        def on_restart(self, error):
            errors.append(type(error))
            assert self.since == 0

        def receive(self, message):
            self.since += 1
            if message % 4 == 3:
                raise ValueError(message)
            handled.append(message)

    class Parent(Actor):
        supervision = Supervision(restarts_max=100)

        def receive(self, message):
            return self.spawn(Worker)

    worker = await system.spawn(Parent).ask("spawn")
    for _ in range(3):
        system.spawn(Ticking, worker, 8).tell(0)
    await run_until_idle(system)
    assert sorted(handled) == sorted([0, 1, 2, 4, 5, 6] * 3)
    assert errors == [ValueError] * 6
    assert len(begun) == 7
    assert worker.is_alive
    counters = system.counters
    assert (counters.restarts, counters.failures, counters.lost) == (6, 6, 6)


@scenario
async def restarts_are_limited(system):
    class Worker(Actor):
        def receive(self, message):
            raise ValueError(message)

    class Parent(Actor):
        supervision = Supervision(restarts_max=2, period_us=1_000_000)

        def __init__(self, instances, refs):
            instances.append(1)
            self.refs = refs

        def on_start(self):
            self.refs.append(self.spawn(Worker))

        def receive(self, message):
            """Only there to be alive."""

    instances, refs, ends = [], [], []
    parent = system.spawn(Parent, instances, refs)
    system.spawn(Watcher, ends).tell(parent)
    await run_until_idle(system)
    for _ in range(2):
        system.spawn(Ticking, refs[0], 5).tell(0)
    make_busy(system, 3)
    await run_until_idle(system)
    assert len(instances) == 2, "the third failure is the parent's own, which is restarted for it"
    assert parent.is_alive
    assert not refs[0].is_alive
    assert refs[1].is_alive
    assert system.counters.restarts == 3
    assert ends == []


class Watcher(Actor):
    """Watches whom it is told, and keeps who ended."""

    def __init__(self, ends):
        self.ends = ends

    def receive(self, message):
        if isinstance(message, Terminated):
            assert not message.ref.is_alive
            self.ends.append((message.ref, message.reason))
        else:
            if message.is_alive:
                self.watch(message)  # asking twice is asking once
            self.watch(message)


@scenario
async def watches_race_ends(system):
    class Mortal(Actor):
        def receive(self, message):
            if message == 3:
                self.stop()

    mortals = [system.spawn(Mortal) for _ in range(4)]
    ends = [[] for _ in range(3)]
    watchers = [system.spawn(Watcher, each) for each in ends]
    for mortal in mortals:
        system.spawn(Ticking, mortal, 4).tell(0)
        for watcher in watchers:
            watcher.tell(mortal)
    await run_until_idle(system)
    for each in ends:
        assert len(each) == 4
        assert {ref for ref, _ in each} == set(mortals)
        assert {reason for _, reason in each} == {StopReason.STOPPED}


@scenario
async def watchers_that_end_or_look_away(system):
    class Fickle(Watcher):
        def receive(self, message):
            super().receive(message)
            if message is first:
                self.unwatch(first)
            if message is last:
                self.stop()

    ends = []
    first, second, last = (system.spawn(Busy) for _ in range(3))
    fickle = system.spawn(Fickle, ends)
    for ref in (first, second, last):
        fickle.tell(ref)

    class Stopper(Actor):
        def receive(self, message):
            ref, left = message
            if left:
                self.ref.tell((ref, left - 1))
            else:
                ref.stop()

    for ref in (first, second, last):
        system.spawn(Stopper).tell((ref, 3))
    make_busy(system, 2)
    await run_until_idle(system)
    assert len(ends) == len({ref for ref, _ in ends})
    assert not fickle.is_alive
    assert not any(ref.is_alive for ref in (first, second, last))


@scenario
async def timers_race_their_cancelling(system):
    fired = []

    class Timed(Actor):
        def __init__(self):
            self.cancelled = 0

        def receive(self, message):
            if message == "set":
                self.start_timer("k", "old", delay_us=5)
                self.start_timer("k", "new", delay_us=12)
                self.start_timer("every", "beat", delay_us=4, interval_us=6)
                self.since_us = self.now_us
            elif message == "cancel":
                self.cancelled = 1
                was_set = self.cancel_timer("k")
                assert was_set != ("new" in [what for what, _ in self.waiting_or_done()])
                self.cancel_timer("every")
                assert not self.cancel_timer("every")
            else:
                fired.append((message, self.ref.name))
                assert message != "old", "a timer that was replaced does not fire"
                delay_us = self.now_us - self.since_us
                assert delay_us >= (12 if message == "new" else 4)

        def waiting_or_done(self):
            own = [entry for entry in fired if entry[1] == self.ref.name]
            box = self._cell.mailbox
            if self._cell.only_message is not None:
                return [*own, (self._cell.only_message, "")]
            waiting = []
            while box is not None and box.count:
                waiting.append(box.pop_oldest())
            for message in waiting:
                box.push(message)
            return own + [(message, "") for message in waiting]

    refs = [system.spawn(Timed, name=f"timed{i}") for i in range(3)]
    for ref in refs:
        ref.tell("set")
        system.spawn(Canceller).tell((ref, 4))
    make_busy(system, 2)
    await asyncio.sleep(0.001)
    assert len(system._life.scheduler.timers) == 0
    beats = len(fired)
    await asyncio.sleep(0.001)
    assert len(fired) == beats, "nothing comes after it was cancelled"


class Canceller(Actor):
    def receive(self, message):
        ref, left = message
        if left:
            self.ref.tell((ref, left - 1))
        else:
            ref.tell("cancel")


@scenario
async def timers_end_with_the_instance(system):
    beats = []

    class Clock(Actor):
        def on_start(self):
            self.born_us = self.now_us
            self.start_timer(("beat", self.born_us), ("beat", self.born_us), delay_us=10, interval_us=10)
            self.start_timer(("once", self.born_us), ("once", self.born_us), delay_us=25)

        def receive(self, message):
            if message == "crash":
                raise ValueError(message)
            beats.append(message)
            assert self.now_us >= message[1] + 10

    clocks = [system.spawn(Clock) for _ in range(3)]
    await run_until_idle(system)
    make_busy(system)
    for clock in clocks:
        clock.tell("crash")
    await asyncio.sleep(0.0001)
    assert system.counters.restarts == 3
    assert len(system._life.scheduler.timers) == 3, "the instances that crashed left none behind"
    assert sum(1 for what, _ in beats if what == "once") <= 3 + 3
    for clock in clocks:
        clock.stop()
    await run_until_idle(system)
    assert len(system._life.scheduler.timers) == 0


@scenario
async def names_are_free_after_the_end(system):
    respawned = []

    class Keeper(Actor):
        def on_start(self):
            self.begin()

        def begin(self):
            child = self.spawn(Mortal, name="child", restart=Restart.TEMPORARY)
            self.watch(child)
            try:
                self.spawn(Mortal, name="child")
                raise AssertionError("the name is taken")
            except NameTaken:
                pass
            system.spawn(Ticking, child, 4).tell(0)

        def receive(self, message):
            assert isinstance(message, Terminated)
            assert system.find(f"{self.ref.name}/child") is None
            respawned.append(message.reason)
            if len(respawned) < 8:
                self.begin()

    class Mortal(Actor):
        def receive(self, message):
            if message == 2:
                self.stop()
            if message == 3:
                raise AssertionError("it had stopped")

    for i in range(3):
        system.spawn(Keeper, name=f"keeper{i}")
    make_busy(system, 2)
    await run_until_idle(system)
    assert len(respawned) >= 8
    assert set(respawned) == {StopReason.STOPPED}
    assert system.counters.failures == 0


@scenario
async def restarts_with_questions_waiting(system):
    class Fragile(Actor):
        def receive(self, message):
            if message == "bad":
                raise ValueError(message)
            return message

    async def ask(message):
        try:
            return await fragile.ask(message, timeout_s=1)
        except HandlerFailed as error:
            return "failed" if isinstance(error.__cause__, ValueError) else repr(error)

    class Asker(Actor):
        async def receive(self, message):
            return [await ask(each) for each in message]

    fragile = system.spawn(Fragile)
    questions = ([1, "bad", 2], [3, 4, "bad"], ["bad", 5, 6], [7, 8, 9])
    replies = [system.spawn(Asker).ask(each) for each in questions]
    answers = [await reply for reply in replies]
    assert answers == [["failed" if each == "bad" else each for each in question] for question in questions]
    assert fragile.is_alive
    assert system.counters.restarts == 3


@scenario
async def crashes_in_on_start(system):
    tries, handled = [], []

    class Stubborn(Actor):
        def on_start(self):
            tries.append(1)
            if len(tries) % 3:
                raise ValueError("not yet")

        def receive(self, message):
            handled.append(message)

    class Hopeless(Actor):
        async def on_start(self):
            await asyncio.sleep(0.00001)
            raise ValueError("never")

        def receive(self, message):
            raise AssertionError("it never started")

    stubborn = system.spawn(Stubborn)
    hopeless = system.spawn(Hopeless)
    system.spawn(Ticking, stubborn, 6).tell(0)
    system.spawn(Ticking, hopeless, 6).tell(0)
    make_busy(system, 3)
    await asyncio.sleep(0.001)
    assert handled == list(range(6))
    assert len(tries) == 3
    assert not hopeless.is_alive
    assert system.counters.dead_letters == {"stopped": 6}


@scenario
async def tasks_that_fail(system):
    errors = []

    class Tasked(Actor):
        def on_restart(self, error):
            errors.append(str(error))

        def receive(self, message):
            if message == 1:
                self.start_task(self.work())

        async def work(self):
            await asyncio.sleep(0.00001)
            raise ValueError("in a task")

    for _ in range(3):
        system.spawn(Ticking, system.spawn(Tasked), 5).tell(0)
    make_busy(system, 2)
    await asyncio.sleep(0.01)
    assert errors == ["in a task"] * 3
    assert system.counters.lost == 0
