"""Programs about messages that hold on every schedule: order, answers, time-outs, full mailboxes, timers.

Each is an `async def name(system)`; what it asserts is beyond what the simulation
checks of every run (conservation, order, one at a time, ends in order, time).
"""

import asyncio
import collections

from shoal.runtime import Actor, ActorStopped, AskTimedOut, MailboxFull, MailboxSettings, Overflow, Terminated
from shoal.runtime.testing import run_until_idle, spend_us

from .cast import NamedTicking, in_order_by_sender

__all__ = ["SCENARIOS"]

SCENARIOS = []


def scenario(program):
    SCENARIOS.append(program)
    return program


class Echo(Actor):
    def receive(self, message):
        return message


class Sink(Actor):
    """Keeps what it gets, in a list that outlives it."""

    def __init__(self, got):
        self.got = got

    def receive(self, message):
        self.got.append(message)


class Silent(Actor):
    """Answers nobody, and keeps the replies."""

    def __init__(self, replies):
        self.replies = replies

    def receive(self, message):
        self.replies.append(self.take_reply())


@scenario
async def ping_pong(system):
    class Player(Actor):
        def __init__(self, log):
            self.log = log

        def receive(self, message):
            left, other = message
            self.log.append(left)
            if left:
                other.tell((left - 1, self.ref))

    logs = [[] for _ in range(4)]
    for log in logs:
        one, other = system.spawn(Player, log), system.spawn(Player, log)
        one.tell((10, other))
    await run_until_idle(system)
    assert logs == [list(range(10, -1, -1))] * 4


@scenario
async def fan_in(system):
    got = []
    sink = system.spawn(Sink, got)
    for i in range(5):
        system.spawn(NamedTicking, sink, 6, name=f"sender{i}").tell(0)
    await run_until_idle(system)
    assert len(got) == len(set(got)) == 30
    assert in_order_by_sender(got)


@scenario
async def urgent_messages_of_heavy_and_light_actors(system):
    class Pressing(NamedTicking):
        def receive(self, number):
            super().receive(number)
            self.target.tell_urgent((f"urgent {self.ref.name}", number))

    class Watching(Sink):
        def __init__(self, got, watched):
            super().__init__(got)
            for ref in watched:
                self.watch(ref)

        def receive(self, message):
            if not isinstance(message, Terminated):
                super().receive(message)

    got, brief = [], [system.spawn(Echo) for _ in range(3)]
    sink = system.spawn(Watching, got, brief, weight=4)
    for number, weight in enumerate((0.5, None, 9)):
        system.spawn(Pressing, sink, 5, name=f"sender{number}", weight=weight).tell(0)
    for ref in brief:
        ref.stop()
    await run_until_idle(system)
    assert len(got) == len(set(got)) == 3 * (5 + 6)
    assert in_order_by_sender(got)
    assert await sink.ask_urgent(("the last", 0)) is None


@scenario
async def asks_and_answers(system):
    class Asker(Actor):
        async def receive(self, message):
            base, echo = message
            for i in range(4):
                assert await echo.ask(base + i, timeout_s=1) == base + i
            return base

    echo = system.spawn(Echo)
    replies = [system.spawn(Asker).ask((100 * i, echo)) for i in range(5)]
    assert [await reply for reply in replies] == [0, 100, 200, 300, 400]
    assert system.counters.late_replies == 0


@scenario
async def time_outs_and_late_answers(system):
    replies = []
    silent = system.spawn(Silent, replies)
    ended = []

    class Asker(Actor):
        async def receive(self, timeout_us):
            began_us = self.now_us
            try:
                await silent.ask("?", timeout_s=timeout_us / 1e6)
            except AskTimedOut:
                assert self.now_us - began_us >= timeout_us, "a time-out is never early"
                assert self.now_us - began_us <= timeout_us + 100, "nor late where nobody is busy"
                ended.append(timeout_us)

    delays_us = (3000, 1000, 5000, 2000, 4000, 1500)
    for delay_us in delays_us:
        system.spawn(Asker).tell(delay_us)
    await echoes(system)
    await asyncio.sleep(0.01)
    assert ended == sorted(delays_us)
    assert [reply.set("late") for reply in replies] == [False] * 6
    assert system.counters.late_replies == 6


@scenario
async def back_pressure(system):
    got = []
    depths = []

    class Slow(Sink):
        async def receive(self, message):
            depths.append(self.ref.queued)
            await asyncio.sleep(0.001)
            self.got.append(message)

    class Sender(Actor):
        async def receive(self, target):
            for number in range(5):
                await target.send((self.ref.name, number))

    slow = system.spawn(Slow, got, mailbox=MailboxSettings(2))
    for i in range(4):
        system.spawn(Sender, name=f"sender{i}").tell(slow)
    await asyncio.gather(*(echoes(system) for _ in range(4)))
    await asyncio.sleep(1)
    assert len(got) == len(set(got)) == 20
    assert in_order_by_sender(got)
    assert max(depths) <= 2


@scenario
async def senders_that_give_up(system):
    got, sent = [], []

    class Slow(Sink):
        async def receive(self, message):
            await asyncio.sleep(0.001)
            self.got.append(message)

    slow = system.spawn(Slow, got, mailbox=MailboxSettings(1))

    async def send(number):
        try:
            async with asyncio.timeout(0.0005 * number):
                await slow.send(number)
            sent.append(number)
        except TimeoutError:
            pass

    await asyncio.gather(*(send(number) for number in range(1, 9)), *(echoes(system) for _ in range(5)))
    await asyncio.sleep(0.1)
    assert sorted(got) == sorted(sent), "what was sent is handled, what was given up is not"


async def echoes(system):
    """Something else that runs meanwhile."""
    echo = system.spawn(Echo)
    for number in range(3):
        assert await echo.ask(number) == number


@scenario
async def dropping_the_oldest(system):
    got = []
    letters = []
    system.dead_letters.subscribe(lambda letter: letters.append(letter.message))
    sink = system.spawn(Sink, got, mailbox=MailboxSettings(3, Overflow.DROP_OLDEST))
    for i in range(4):
        system.spawn(NamedTicking, sink, 6, name=f"sender{i}").tell(0)
    await run_until_idle(system)
    assert sorted(got + letters) == sorted((f"sender{i}", n) for i in range(4) for n in range(6))
    assert in_order_by_sender(got)
    assert in_order_by_sender(letters)
    assert system.counters.dead_letters == ({"dropped_oldest": len(letters)} if letters else {})


@scenario
async def dropping_the_newest(system):
    got = []
    letters = []
    system.dead_letters.subscribe(lambda letter: letters.append(letter.message))
    sink = system.spawn(Sink, got, mailbox=MailboxSettings(2, Overflow.DROP_NEWEST))
    for i in range(4):
        system.spawn(NamedTicking, sink, 6, name=f"sender{i}").tell(0)
    await run_until_idle(system)
    assert sorted(got + letters) == sorted((f"sender{i}", n) for i in range(4) for n in range(6))
    assert system.counters.dead_letters == ({"dropped_newest": len(letters)} if letters else {})


@scenario
async def refusing(system):
    got = []
    refused = []

    class Pushy(Actor):
        def receive(self, number):
            if number < 6:
                try:
                    sink.tell((self.ref.name, number))
                except MailboxFull:
                    refused.append(number)
                self.ref.tell(number + 1)

    sink = system.spawn(Sink, got, mailbox=MailboxSettings(2))
    for i in range(4):
        system.spawn(Pushy, name=f"sender{i}").tell(0)
    await run_until_idle(system)
    assert len(got) + len(refused) == 24
    assert system.counters.refused == len(refused)
    assert in_order_by_sender(got)


@scenario
async def fan_out(system):
    class Router(Actor):
        def __init__(self, sink):
            self.workers = [self.spawn(Worker, sink) for _ in range(4)]
            self.next = 0

        def receive(self, message):
            self.workers[self.next % 4].tell(message)
            self.next += 1

    class Worker(Actor):
        def __init__(self, sink):
            self.sink, self.handled = sink, 0

        def receive(self, message):
            self.handled += 1
            spend_us(self.system, 3)
            self.sink.tell((self.ref.name, self.handled))

    got = []
    router = system.spawn(Router, system.spawn(Sink, got))
    for number in range(20):
        router.tell(number)
    await run_until_idle(system)
    assert sorted(collections.Counter(name for name, _ in got).values()) == [5, 5, 5, 5]
    assert in_order_by_sender(got)


@scenario
async def holding_back_until_open(system):
    class Gate(Actor):
        """Keeps what comes too early, and handles it in order once open."""

        def __init__(self, got):
            self.got, self.held, self.is_open = got, [], False

        def receive(self, message):
            if message == "open":
                self.is_open = True
                self.got.extend(self.held)
            elif self.is_open:
                self.got.append(message)
            else:
                self.held.append(message)

    got = []
    gate = system.spawn(Gate, got)
    for i in range(4):
        system.spawn(NamedTicking, gate, 5, name=f"sender{i}").tell(0)

    class Opener(Actor):
        def receive(self, left):
            (self.ref if left else gate).tell(left - 1 if left else "open")

    system.spawn(Opener).tell(6)
    await run_until_idle(system)
    assert len(got) == 20
    assert in_order_by_sender(got)


@scenario
async def generators_share_the_turn(system):
    log = []

    class Stepper(Actor):
        def receive(self, message):
            for step in range(3):
                log.append((self.ref.name, message, step))
                yield
            return message

    steppers = [system.spawn(Stepper, name=f"stepper{i}") for i in range(4)]
    replies = [stepper.ask(message) for message in range(3) for stepper in steppers]
    assert [await reply for reply in replies] == [0] * 4 + [1] * 4 + [2] * 4
    for i in range(4):
        own = [entry[1:] for entry in log if entry[0] == f"stepper{i}"]
        assert own == [(message, step) for message in range(3) for step in range(3)]


@scenario
async def answers_by_somebody_else(system):
    class Broker(Actor):
        def __init__(self, worker):
            self.worker = worker

        def receive(self, message):
            self.worker.tell((message, self.take_reply()))

    class Worker(Actor):
        def receive(self, message):
            value, reply = message
            assert reply.is_waiting
            assert reply.set(value * 2)
            assert not reply.set(0), "a second answer is refused"

    broker = system.spawn(Broker, system.spawn(Worker))

    class Asker(Actor):
        async def receive(self, message):
            return [await broker.ask(message + i) for i in range(3)]

    replies = [system.spawn(Asker).ask(10 * i) for i in range(5)]
    assert [await reply for reply in replies] == [[20 * i, 20 * i + 2, 20 * i + 4] for i in range(5)]


@scenario
async def asyncio_in_handlers(system):
    class Mixed(Actor):
        async def receive(self, message):
            began_us = self.now_us
            queue = asyncio.Queue(1)
            async with asyncio.timeout(1), asyncio.TaskGroup() as group:
                group.create_task(queue.put(message))
                await asyncio.sleep(0.001 * message)
            try:
                await asyncio.wait_for(asyncio.Event().wait(), 0.002)
            except TimeoutError:
                pass
            assert 1000 * message + 2000 <= self.now_us - began_us <= 1000 * message + 2000 + 100
            return await queue.get()

    refs = [system.spawn(Mixed) for _ in range(3)]
    replies = [ref.ask(number) for number in (3, 1, 2) for ref in refs]
    await asyncio.gather(*(echoes(system) for _ in range(3)))
    assert [await reply for reply in replies] == [3] * 3 + [1] * 3 + [2] * 3


@scenario
async def askers_that_go_away(system):
    replies = []
    silent = system.spawn(Silent, replies)
    gone = []

    async def ask():
        try:
            await silent.ask("?", timeout_s=1)
        except asyncio.CancelledError:
            gone.append(1)
            raise

    tasks = [asyncio.ensure_future(ask()) for _ in range(3)]
    others = asyncio.gather(*(echoes(system) for _ in range(4)))
    await asyncio.sleep(0)
    await run_until_idle(system)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await others
    assert len(gone) == len(replies) == 3
    assert not any(reply.is_waiting for reply in replies)
    assert not any(reply.set(1) for reply in replies)
    assert len(system._life.scheduler.timers) == 0, "no time-out is left behind"


@scenario
async def letters_to_the_stopped(system):
    letters = []
    got = []
    system.dead_letters.subscribe(lambda letter: letters.append(letter.message))
    sink = system.spawn(Sink, got)
    for i in range(4):
        system.spawn(NamedTicking, sink, 5, name=f"sender{i}").tell(0)

    class Stopper(Actor):
        async def receive(self, left):
            if left:
                self.ref.tell(left - 1)
                return
            sink.stop()
            try:
                await sink.ask("?", timeout_s=1)
                raise AssertionError("nobody is there to answer")
            except ActorStopped:
                letters.remove("?")

    system.spawn(Stopper).tell(5)
    await run_until_idle(system)
    assert sorted(got + letters) == sorted((f"sender{i}", n) for i in range(4) for n in range(5))
    assert in_order_by_sender(got + letters)
    assert system.counters.dead_letters["stopped"] == len(letters) + 1
