"""Savina's micro set, ours: python benchmarks/savina_programs.py WORK [MODE [SIZE]]

    counting               one actor tells another n times 1, then asks what it has counted      messages
    ping_pong              two actors and one message                                            round trips
    thread_ring            100 actors and one token                                              hops
    fork_join_throughput   60 actors that compute a sine for each message, from one master       messages
    fork_join_creation     actors that are made, compute one sine, and stop                      actors
    chameneos              100 creatures that meet by twos at a mall and change colours          meetings
    big                    120 actors that each ping others, drawn by lot, one at a time         round trips

From S. Imam and V. Sarkar, Savina: an actor benchmark suite, AGERE 2014; what each does, its numbers of actors and
its generator of lots are Savina's.  Every program checks what came out before it counts as run.

In threaded mode each top-level actor has a thread, so each of those above has one, but for what `fork_join_creation`
makes: children, who share their parent's (tens of thousands of threads are no machine's).
"""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from measure import Stopwatch, emit, new_loop

from shoal.runtime import Actor, ActorRef, ActorSystem, MailboxSettings

RING = 100
WORKERS = 60
CREATURES = 100
BIG = 120
COLOURS = 3
Begin = Callable[[], None]  # everybody knows whom to talk to: go
SIZES = {
    "cooperative": {
        "counting": 1_000_000,
        "ping_pong": 400_000,
        "thread_ring": 800_000,
        "fork_join_throughput": 600_000,
        "fork_join_creation": 40_000,
        "chameneos": 200_000,
        "big": 480_000,
    },
    # A message to another thread may cost a wake and a turn: far less work takes as long.
    "threaded": {
        "counting": 200_000,
        "ping_pong": 10_000,
        "thread_ring": 20_000,
        "fork_join_throughput": 120_000,
        "fork_join_creation": 20_000,
        "chameneos": 10_000,
        "big": 12_000,
    },
}


class Finish:
    """What a program waits for; any thread may call it.  An error is the program's."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()

    def __call__(self, *, found: int, expected: int) -> None:
        self._loop.call_soon_threadsafe(self._set, found, expected)

    def _set(self, found: int, expected: int) -> None:
        if found == expected:
            self._over.set_result(None)
        else:
            self._over.set_exception(ValueError(f"the program came to {found} where it must come to {expected}"))

    async def wait(self) -> None:
        await self._over


def room(messages: int) -> MailboxSettings:
    return MailboxSettings(messages_max=messages)


class Counter(Actor[Any]):
    def __init__(self) -> None:
        self.counted = 0

    def receive(self, message: Any) -> None:
        if message == 1:
            self.counted += 1
        else:
            message.tell(self.counted)


class Producer(Actor[int]):
    def __init__(self, counter: ActorRef[Any], n: int, finish: Finish) -> None:
        self.counter, self.n, self.finish = counter, n, finish

    def receive(self, message: int) -> None:
        if message:
            self.finish(found=message, expected=self.n)
            return
        counter = self.counter
        for _ in range(self.n):
            counter.tell(1)
        counter.tell(self.ref)


async def counting(system: ActorSystem, n: int, finish: Finish) -> Begin:
    counter = system.spawn(Counter, mailbox=room(n + 1))
    producer = system.spawn(Producer, counter, n, finish)
    return lambda: producer.tell(0)


class Player(Actor[Any]):
    """Sends on what it gets, one less, to whom it was told of first."""

    def __init__(self, finish: Finish) -> None:
        self.finish = finish

    def receive(self, message: Any) -> None:
        if message.__class__ is not int:
            self.next = message
        elif message:
            self.next.tell(message - 1)
        else:
            self.finish(found=message, expected=0)


async def ring_of(actors: int, system: ActorSystem, hops: int, finish: Finish) -> Begin:
    refs = [system.spawn(Player, finish) for _ in range(actors)]
    for i, ref in enumerate(refs):
        await ref.ask(refs[(i + 1) % actors])
    return lambda: refs[0].tell(hops)


async def ping_pong(system: ActorSystem, n: int, finish: Finish) -> Begin:
    return await ring_of(2, system, 2 * n, finish)  # a ring of two: two hops are a round trip


async def thread_ring(system: ActorSystem, n: int, finish: Finish) -> Begin:
    return await ring_of(RING, system, n, finish)


def compute() -> int:
    sine = math.sin(37.2)
    return 1 if sine * sine > 0 else 0


class Worker(Actor[int]):
    def __init__(self, master: ActorRef[int], messages: int) -> None:
        self.master, self.left = master, messages
        self.done = 0

    def receive(self, message: int) -> None:
        self.done += compute()
        self.left -= 1
        if self.left == 0:
            self.master.tell(self.done)
            self.stop()


class Master(Actor[int]):
    """Waits for `parts` results and finishes with their sum."""

    def __init__(self, parts: int, expected: int, finish: Finish) -> None:
        self.parts, self.expected, self.finish = parts, expected, finish
        self.total = 0

    def receive(self, message: int) -> None:
        if message == 0:
            self.begin()
            return
        self.total += message
        self.parts -= 1
        if self.parts == 0:
            self.finish(found=self.total, expected=self.expected)

    def begin(self) -> None:
        """Give work out."""


class Giving(Master):
    def receive(self, message: Any) -> None:
        if message.__class__ is tuple:
            self.workers = message
        else:
            super().receive(message)

    def begin(self) -> None:
        for _ in range(self.expected // WORKERS):
            for worker in self.workers:
                worker.tell(1)


class Forking(Master):
    def begin(self) -> None:
        for _ in range(self.expected):
            self.spawn(Worker, self.ref, 1).tell(1)


async def fork_join_throughput(system: ActorSystem, n: int, finish: Finish) -> Begin:
    master = system.spawn(Giving, WORKERS, n, finish)
    each = n // WORKERS
    await master.ask(tuple(system.spawn(Worker, master, each, mailbox=room(each)) for _ in range(WORKERS)))
    return lambda: master.tell(0)


async def fork_join_creation(system: ActorSystem, n: int, finish: Finish) -> Begin:
    master = system.spawn(Forking, n, n, finish, mailbox=room(n + 1))
    return lambda: master.tell(0)


class Mall(Actor[Any]):
    def __init__(self, meetings: int, finish: Finish) -> None:
        self.left, self.meetings, self.finish = meetings, meetings, finish
        self.waiting: ActorRef[Any] | None = None
        self.reports = CREATURES
        self.met = 0

    def receive(self, message: Any) -> None:
        if message.__class__ is int:  # how often a creature met another
            self.met += message
            self.reports -= 1
            if self.reports == 0:
                self.finish(found=self.met, expected=2 * self.meetings)
        elif self.left == 0:
            message[0].tell(None)
        elif self.waiting is None:
            self.waiting = message[0]
        else:
            self.left -= 1
            waiting, self.waiting = self.waiting, None
            waiting.tell(message)


class Creature(Actor[Any]):
    def __init__(self, mall: ActorRef[Any], colour: int) -> None:
        self.mall, self.colour = mall, colour
        self.met = 0

    def receive(self, message: Any) -> None:
        if message is None:  # the mall has closed
            self.mall.tell(self.met)
            return
        if message.__class__ is tuple:  # (who came second, its colour)
            if message[0] is not None:
                self.colour = complement(self.colour, message[1])
                message[0].tell(self.colour)
                self.met += 1
        else:
            self.colour = message
            self.met += 1
        self.mall.tell((self.ref, self.colour))


def complement(one: int, other: int) -> int:
    """Of two colours the third, of one colour twice itself."""
    return one if one == other else COLOURS - one - other


async def chameneos(system: ActorSystem, n: int, finish: Finish) -> Begin:
    mall = system.spawn(Mall, n, finish)
    creatures = [system.spawn(Creature, mall, i % COLOURS) for i in range(CREATURES)]

    def begin() -> None:
        for creature in creatures:
            creature.tell((None, 0))

    return begin


class Pinging(Actor[int]):
    def __init__(self, number: int, pings: int, sink: ActorRef[int]) -> None:
        self.number, self.left, self.sink = number, pings, sink
        self.lot = number + 1
        self.answered = 0

    def receive(self, message: Any) -> None:
        if message.__class__ is tuple:
            self.others = message
            return
        if message > 0:  # a ping, from that one
            self.others[message - 1].tell(0)
            return
        if message == 0:  # the answer to ours; -1 begins
            self.answered += 1
        if self.left == 0:
            self.sink.tell(self.answered)
            return
        self.left -= 1
        self.lot = (self.lot * 1309 + 13849) & 65535
        self.others[self.lot % BIG].tell(self.number + 1)


async def big(system: ActorSystem, n: int, finish: Finish) -> Begin:
    sink = system.spawn(Master, BIG, n, finish)
    refs = [system.spawn(Pinging, i, n // BIG, sink) for i in range(BIG)]
    for ref in refs:
        await ref.ask(tuple(refs))

    def begin() -> None:
        for ref in refs:
            ref.tell(-1)

    return begin


PROGRAMS: dict[str, Callable[[ActorSystem, int, Finish], Awaitable[Begin]]] = {
    "counting": counting,
    "ping_pong": ping_pong,
    "thread_ring": thread_ring,
    "fork_join_throughput": fork_join_throughput,
    "fork_join_creation": fork_join_creation,
    "chameneos": chameneos,
    "big": big,
}


async def run(work: str, mode: str, size: int) -> float:
    """Operations per second of the process's CPU time."""
    async with ActorSystem(mode=mode, loop_factory=new_loop) as system:
        finish = Finish()
        begin = await PROGRAMS[work](system, size, finish)
        watch = Stopwatch().start()
        begin()
        await finish.wait()
        watch.stop()
    return watch.per_cpu_s(size)


if __name__ == "__main__":
    chosen, how = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "cooperative"
    count = int(sys.argv[3]) if len(sys.argv) > 3 else SIZES[how][chosen]
    emit(f"shoal, {how}", chosen, per_cpu_s=new_loop().run_until_complete(run(chosen, how, count)))
