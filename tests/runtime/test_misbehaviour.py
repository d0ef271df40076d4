"""Actors that do what no actor should: the others live, and what happened is said once, with name and message type."""

import asyncio
import logging
import sys
import time

import pytest

from shoal.runtime import Actor, ActorSystem, HandlerFailed, Supervision, handler

from .support import adds_up, until


class Nonsense:
    """Breaks whoever looks at it too closely."""

    def __eq__(self, other):
        raise ValueError("compared")

    __hash__ = None

    def __bool__(self):
        raise ValueError("asked for its truth")

    def __repr__(self):
        raise ValueError("shown")


async def over():
    return "over"


SPENT = over()
asyncio.run(SPENT)


def recurse():
    return recurse() + 1


def swallow():
    """A generator that goes on when it is told to end."""
    try:
        yield Nonsense()
    finally:
        raise ValueError("at its end")


DEEDS = {
    "raise": lambda: 1 // 0,
    "raise what is no Exception": lambda: (_ for _ in ()).throw(BaseException("base")),
    "raise what cannot be shown": lambda: (_ for _ in ()).throw(ValueError(Nonsense())),
    "recurse": recurse,
    "exit": lambda: sys.exit(3),
    "exit from a generator": lambda: swallow(),
    "return a spent coroutine": lambda: SPENT,
}
HARMLESS = {
    "return nonsense": lambda: Nonsense(),
    "return a class": lambda: Nonsense,
    "return a generator function": lambda: swallow,
    "return an exception": lambda: ValueError("returned"),
    "return oneself": lambda: HARMLESS,
}


class Deed:
    def __init__(self, what):
        self.what = what


class Misbehaving(Actor):
    @handler
    def do(self, message: Deed):
        return (DEEDS | HARMLESS)[message.what]()

    @handler
    def count(self, message: int):
        return message + 1


class Family(Actor):
    """The one that misbehaves, and a sibling on its thread."""

    supervision = Supervision(restarts_max=100)

    def receive(self, message):
        return self.spawn(Misbehaving, name="black-sheep"), self.spawn(Misbehaving, name="sibling")


@pytest.fixture
def lived(make_system, caplog):
    """Runs deeds; others must answer after each, and all must end well."""

    def live(deeds, check):
        caplog.set_level(logging.WARNING, "shoal.runtime")
        failures = []

        async def main():
            async with make_system() as system:
                system.failures.subscribe(failures.append)
                sheep, sibling = await system.spawn(Family, name="family").ask("children")
                others = [sibling, system.spawn(Misbehaving), system.spawn(Misbehaving, blocking=True)]
                for what in deeds:
                    failures.clear()
                    caplog.clear()
                    await check(sheep, what, failures)
                    for other in (*others, sheep):
                        assert await other.ask(1) == 2
            assert adds_up(system.counters)
            assert system.counters.actors == 0

        asyncio.run(main())

    return live


def test_others_live_and_what_happened_is_reported_once(lived, caplog):
    async def check(sheep, what, failures):
        with pytest.raises(HandlerFailed, match="/family/black-sheep failed on Deed"):
            await sheep.ask(Deed(what))
        await until(lambda: failures)
        sheep.tell(Deed(what))  # and where nobody asks
        await until(lambda: len(failures) == 2)
        for failure in failures:
            assert (failure.path, failure.message_type, failure.where) == ("/family/black-sheep", "Deed", "receive")
        records = [record for record in caplog.records if record.levelno >= logging.ERROR]  # a stall is no failure
        assert len(records) == 2
        assert all("/family/black-sheep failed in receive on Deed" in record.getMessage() for record in records)

    lived(DEEDS, check)


def test_whatever_is_returned_is_an_answer_and_no_failure(lived, caplog):
    async def check(sheep, what, failures):
        sheep.tell(Deed(what))
        answer = await sheep.ask(Deed(what))
        assert type(answer) is type(HARMLESS[what]())
        assert failures == []
        assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []

    lived(HARMLESS, check)


BLOCK_S = 5.0  # real seconds, which a handler holds its thread


def test_a_handler_that_blocks_for_5_s_is_named_once_and_holds_up_nobody_on_other_threads(caplog):
    """On one loop nobody can run meanwhile, and all go on afterwards; elsewhere the others never notice."""
    caplog.set_level(logging.WARNING, "shoal.runtime")

    class Blocking(Actor):
        def receive(self, message):
            time.sleep(message)
            return message

    async def main(mode):
        stalls, answered = [], 0
        # A limit that nobody else comes near, though the machine be busy.
        async with ActorSystem(mode=mode, take_turns=True, watchdog_limit_us=2_000_000) as system:
            system.stalls.subscribe(stalls.append)
            other = system.spawn(Misbehaving)
            question = system.spawn(Blocking, name="mule", blocking=True).ask(BLOCK_S, timeout_s=60)
            while not question.done():
                assert await other.ask(1, timeout_s=60) == 2
                answered += 1
                await asyncio.sleep(0.01)
            assert await question == BLOCK_S
        return stalls, answered

    async def all_modes():  # side by side: two have a thread for what blocks, and the third is on a loop apart
        cooperative = asyncio.to_thread(asyncio.run, main("cooperative"))
        return await asyncio.gather(main("threaded"), main("auto"), cooperative)

    *elsewhere, on_one_loop = asyncio.run(all_modes())
    for (stall,), answered in (*elsewhere, on_one_loop):
        assert (stall.path, stall.message_type) == ("/mule", "float")
        assert answered > 0
    assert all(answered > 10 for _, answered in elsewhere)
    assert len(caplog.records) == 3
