"""Programs about stash, behaviours, forwarding, pools, links and groups that hold on every schedule."""

import asyncio
import collections

from shoal.runtime import (
    Actor,
    ActorStopped,
    Backoff,
    HandlerFailed,
    MailboxSettings,
    Pool,
    SmallestMailbox,
    StopReason,
    Strategy,
    Supervision,
)
from shoal.runtime.testing import run_until_idle

from .cast import NamedTicking, in_order_by_sender

__all__ = ["SCENARIOS"]

SCENARIOS = []


def scenario(program):
    SCENARIOS.append(program)
    return program


class After(Actor):
    """Calls `action` once it has told itself to go on that often."""

    def __init__(self, action):
        self.action = action

    def receive(self, left):
        if left:
            self.ref.tell(left - 1)
        else:
            self.action()


@scenario
async def stashing_until_open(system):
    got = []

    class Gate(Actor):
        def receive(self, message):
            if message == "open":
                self.become(self.opened)
                self.unstash()
            else:
                self.stash(message)

        def opened(self, message):
            if message == "close":
                self.unbecome()
            else:
                got.append(message)

    gate = system.spawn(Gate)
    for i in range(3):
        system.spawn(NamedTicking, gate, 5, name=f"sender{i}").tell(0)
    system.spawn(After, lambda: gate.tell("open")).tell(5)
    await run_until_idle(system)
    assert len(got) == 15
    assert in_order_by_sender(got)


@scenario
async def stashes_of_the_stopped(system):
    got, answers = [], []

    class Keeper(Actor):
        def receive(self, message):
            self.stash(message)

    class Asker(Actor):
        async def receive(self, target):
            try:
                answers.append(await target.ask("?", timeout_s=1))
            except ActorStopped:
                answers.append("stopped")

    keeper = system.spawn(Keeper, mailbox=MailboxSettings(stash_max=50))
    system.dead_letters.subscribe(lambda letter: got.append(letter.message))
    for i in range(3):
        system.spawn(NamedTicking, keeper, 4, name=f"sender{i}").tell(0)
        system.spawn(Asker).tell(keeper)
    system.spawn(After, keeper.stop).tell(5)
    await run_until_idle(system)
    assert answers == ["stopped"] * 3
    assert sorted(message for message in got if message != "?") == [
        (f"sender{i}", number) for i in range(3) for number in range(4)
    ]


@scenario
async def forwarded_questions(system):
    class Front(Actor):
        def __init__(self, back):
            self.back = back

        def receive(self, message):
            self.forward(self.back, message + 1)

    class Back(Actor):
        def receive(self, message):
            return message * 10

    class Asker(Actor):
        async def receive(self, base):
            return [await front.ask(base + i, timeout_s=1) for i in range(3)]

    front = system.spawn(Front, system.spawn(Front, system.spawn(Back)))
    replies = [system.spawn(Asker).ask(100 * i) for i in range(4)]
    assert [await reply for reply in replies] == [[1000 * i + 20, 1000 * i + 30, 1000 * i + 40] for i in range(4)]


@scenario
async def pools_with_crashes(system):
    class Worker(Actor):
        async def receive(self, message):
            if message == 3:
                raise ValueError(message)
            await asyncio.sleep(0.00001 * message)
            return message

    class Asker(Actor):
        async def receive(self, message):
            try:
                return await pool.ask(message, timeout_s=1)
            except HandlerFailed:
                return "failed"

    pool = system.spawn(Pool, Worker, size=3, choice=SmallestMailbox())
    replies = [system.spawn(Asker).ask(number) for number in (1, 2, 3, 4, 5, 3)]
    assert [await reply for reply in replies] == [1, 2, "failed", 4, 5, "failed"]
    assert system.counters.restarts == 2


@scenario
async def siblings_restart_together(system):
    log = []

    class Child(Actor):
        def __init__(self, label):
            self.label = label

        def on_start(self):
            log.append(("start", self.label))

        def on_stop(self, reason):
            log.append(("stop", self.label))

        def receive(self, message):
            if message[1] == 3:
                raise ValueError(message)

    class Parent(Actor):
        supervision = Supervision(restarts_max=9, strategy=Strategy.ONE_FOR_ALL)

        def on_start(self):
            self.refs = [self.spawn(Child, label) for label in "abc"]

        def receive(self, message):
            return self.refs

    refs = await system.spawn(Parent).ask("refs")
    await run_until_idle(system)
    for i, ref in enumerate(refs):
        system.spawn(NamedTicking, ref, 4 if i == 1 else 2).tell(0)
    await run_until_idle(system)
    assert all(ref.is_alive for ref in refs)
    assert [what for what, _ in log] == ["start"] * 3 + ["stop"] * 3 + ["start"] * 3
    assert {label for _, label in log[:3]} == set("abc")
    assert [label for _, label in log[3:6]] == ["b", "c", "a"], "who failed, then the last started first"
    assert [label for _, label in log[6:]] == ["a", "b", "c"]
    assert system.counters.restarts == 3


@scenario
async def links_race_ends(system):
    ends = []

    class Linked(Actor):
        def __init__(self, other):
            self.other = other

        def on_start(self):
            if self.other is not None and self.other.is_alive:
                self.link(self.other)

        def on_stop(self, reason):
            ends.append(reason)

        def receive(self, message):
            """Only there to be told."""

    refs = []
    for _ in range(2):
        first = system.spawn(Linked, None)
        second = system.spawn(Linked, first)
        third = system.spawn(Linked, second)
        refs += [first, second, third]
        await run_until_idle(system)
        for ref in (first, third):
            system.spawn(NamedTicking, ref, 3).tell(0)
        system.spawn(After, second.stop).tell(4)
        await run_until_idle(system)
    assert not any(ref.is_alive for ref in refs)
    assert collections.Counter(ends) == {StopReason.STOPPED: 2, StopReason.LINKED: 4}


@scenario
async def restarts_that_back_off(system):
    starts = []

    class Child(Actor):
        def on_start(self):
            starts.append(self.now_us)

        def receive(self, message):
            if message[1] == 1:
                crashed.append(self.now_us)
                raise ValueError(message)
            handled.append(message)

    class Parent(Actor):
        supervision = Supervision(restarts_max=9, backoff=Backoff(initial_us=1000, max_us=1000), per_child=True)

        def receive(self, message):
            return [self.spawn(Child) for _ in range(2)]

    crashed, handled = [], []
    refs = await system.spawn(Parent).ask("spawn")
    for ref in refs:
        system.spawn(NamedTicking, ref, 4).tell(0)
    await run_until_idle(system)
    assert system.now_us < 1000
    await asyncio.sleep(0.01)
    assert len(handled) == 6
    assert len(starts) == 4
    assert all(start_us >= min(crashed) + 1000 for start_us in starts[2:])
