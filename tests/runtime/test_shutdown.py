"""Systems that end, or are cut off, at a moment drawn by chance: no hang, and nothing left or never retrieved.

40 moments in each run, SHOAL_EFFORT times as many if that is set.  What conftest.py looks for after each test
(threads, descriptors, actors, messages, timers) is looked for here too.
"""

import asyncio
import contextlib
import gc
import logging
import random
import time

import pytest

from shoal.runtime import Actor, ActorStopped, ActorSystem, AskError, MailboxFull, Restart, Supervision

from ..effort import EFFORT
from .support import adds_up

MOMENTS = 40 * EFFORT
LONG_S = 1000


class Restless(Actor):
    """Has timers, tasks, questions, children and messages on the way at any moment, and fails now and then."""

    supervision = Supervision(restarts_max=1_000_000)

    def __init__(self, seed, others, depth=0):
        self.chance, self.others, self.depth = random.Random(seed), others, depth
        for _ in range(depth):
            self.others = [*self.others, self.spawn(Restless, self.chance.random(), [], depth - 1)]

    def on_start(self):
        self.start_timer("tick", "tick", delay_us=200, interval_us=500)
        self.start_task(asyncio.sleep(LONG_S))

    async def receive(self, message):
        what = self.chance.randrange(20)
        if message == "asked":
            await asyncio.sleep(0.001 if what else LONG_S)
        elif what == 0:
            raise ValueError(message)
        elif what == 1:
            self.spawn(Restless, what, self.others, restart=Restart.TEMPORARY).stop()
        elif what == 2:
            self.start_task(asyncio.sleep(0.0001))
        elif self.others:
            with contextlib.suppress(MailboxFull):
                self.others[0].tell("told")
            with contextlib.suppress(AskError, ActorStopped, MailboxFull):
                await self.others[-1].ask("asked", timeout_s=0.002)
        return message


class Bystander(Actor):
    """Makes an actor with a thread of its own, from inside."""

    def receive(self, message):
        return self.spawn(Restless, message, [], own_scheduler=True)


async def live(system, chance):
    """Start actors, and end the block at some moment in one of several ways; the questions under way."""
    refs = []
    for _ in range(chance.randrange(1, 5)):
        blocking = chance.random() < 0.3
        refs.append(system.spawn(Restless, chance.random(), list(refs), chance.randrange(3), blocking=blocking))
    if chance.random() < 0.5:
        await system.spawn(Bystander).ask(7)
    if chance.random() < 0.9:
        await asyncio.sleep(chance.random() * 0.02)
    if chance.random() < 0.3:
        refs[0].stop()
    return [ref.ask("asked") for ref in refs]


def shut_down_at_a_moment(mode, seed):
    chance = random.Random(seed)
    how = chance.choice(["end", "end", "raise", "cancel", "short"])
    questions, systems = [], []

    async def main():
        system = ActorSystem(mode=mode, stop_timeout_s=0.01 if how == "short" else 60)
        systems.append(system)
        async with system:
            questions.extend(await live(system, chance))
            if how == "raise":
                raise LookupError("out of the block")

    async def cancelled():
        task = asyncio.create_task(main())
        await asyncio.sleep(chance.random() * 0.02)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    with contextlib.suppress(LookupError):
        asyncio.run(cancelled() if how == "cancel" else main())
    assert all(question.done() for question in questions)
    for system in systems:
        counters = system.counters
        assert adds_up(counters)
        assert counters.actors == counters.queued == counters.handling == counters.in_flight == 0
        assert len(system._life.scheduler.timers) == 0


@pytest.mark.parametrize("mode", ["cooperative", "threaded", "auto"])
def test_a_shutdown_at_a_random_moment_leaves_nothing(mode, caplog):
    caplog.set_level(logging.CRITICAL, "shoal.runtime")  # failures that are meant, and what "short" cuts off
    caplog.set_level(logging.WARNING, "asyncio")  # where "never retrieved" would be said
    for seed in range(MOMENTS):
        began_s = time.monotonic()
        shut_down_at_a_moment(mode, seed)
        assert time.monotonic() - began_s < 30, f"seed {seed} hung"
        if seed % 10 == 9:
            gc.collect()  # which is when it would be
        assert caplog.text == "", f"seed {seed}, or one of the nine before it"
    gc.collect()
    assert caplog.text == ""
