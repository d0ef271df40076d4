"""Living actors are hidden from the garbage collector; what has ended is not."""

import asyncio
import gc
import logging
import os
import weakref

import pytest

from shoal.runtime import Actor, ActorSystem

IS_COMPILED = os.environ.get("SHOAL_LEG", "fast") != "pure"


class Knot(Actor):
    """Refers to itself, and to its ref."""

    def __init__(self):
        self.itself = self
        self.own_ref = self.ref

    def receive(self, message):
        if message == "fail":
            raise ValueError(message)
        return weakref.ref(self)


async def body_of(system):
    ref = system.spawn(Knot)
    return ref, await ref.ask("where")


def test_an_actor_that_refers_to_itself_is_collected_after_its_end():
    async def main():
        async with ActorSystem() as system:
            ref, instance = await body_of(system)
            gc.collect()
            assert instance() is not None
            ref.stop()
            await ref.wait_stopped()
            gone = weakref.ref(ref)
            del ref
            gc.collect()
            assert instance() is None
            assert gone() is None

    asyncio.run(main())


def test_an_instance_that_was_replaced_is_collected(caplog):
    caplog.set_level(logging.CRITICAL, "shoal.runtime")  # a record holds the traceback, and that the instance

    async def main():
        async with ActorSystem() as system:
            ref, instance = await body_of(system)
            ref.tell("fail")
            await ref.ask("where")
            gc.collect()
            assert instance() is None

    asyncio.run(main())


def test_the_refs_of_a_system_that_was_left_are_collected_though_it_is_kept():
    async def main():
        async with ActorSystem() as system:
            ref, instance = await body_of(system)
            instance().knot = [ref, ref.cell, instance()]
            return weakref.ref(ref), instance

    gone = asyncio.run(main())
    gc.collect()
    assert [which() for which in gone] == [None, None]


@pytest.mark.skipif(not IS_COMPILED, reason="only compiled actors are hidden")
def test_the_collector_does_not_look_at_living_actors():
    async def main():
        async with ActorSystem() as system:
            ref, instance = await body_of(system)
            assert not gc.is_tracked(ref)
            assert not gc.is_tracked(instance())
            assert not gc.is_tracked(ref.cell)

    asyncio.run(main())


def test_a_system_that_was_never_started_is_collected():
    gone = weakref.ref(ActorSystem())
    gc.collect()
    assert gone() is None
