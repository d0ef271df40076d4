"""Which threads a system takes, and what it says of it."""

import asyncio
import sys

import pytest

from shoal.runtime import Actor, ActorSystem, NotAvailable, ThreadsUnavailable
from shoal.runtime.drivers.manual import ManualDriver
from shoal.runtime.modes import Plan, choose
from shoal.runtime.testing import SimulatedLoop, SimulatedSystem


class Plain(Actor):
    def receive(self, message):
        return message


class Hashing(Plain):
    blocking = True


@pytest.mark.parametrize(
    ("mode", "gil", "threads", "uses_threads", "is_every_top_own"),
    [
        ("cooperative", True, True, False, False),
        ("cooperative", False, False, False, False),
        ("threaded", True, True, True, True),
        ("threaded", False, True, True, True),
        ("auto", True, True, True, False),
        ("auto", False, True, True, True),
        ("auto", True, False, False, False),
        ("simulated", True, True, False, False),
    ],
)
def test_the_plan_follows_from_the_mode_and_the_platform(mode, gil, threads, uses_threads, is_every_top_own):
    plan = choose(mode, gil=gil, threads=threads)
    assert (plan.uses_threads, plan.is_every_top_own) == (uses_threads, is_every_top_own)
    assert plan.mode == mode
    assert plan.reason


def test_threads_that_cannot_be_had_are_a_clear_error(monkeypatch):
    with pytest.raises(ThreadsUnavailable, match="use 'auto'"):
        choose("threaded", gil=True, threads=False)
    monkeypatch.setattr(sys, "platform", "emscripten")
    with pytest.raises(ThreadsUnavailable):
        ActorSystem(mode="threaded")


def test_in_a_browser_auto_is_one_loop_whatever_is_asked_for(monkeypatch):
    monkeypatch.setattr(sys, "platform", "emscripten")

    async def main():
        async with ActorSystem(mode="auto") as system:
            for options in ({}, {"own_scheduler": True}, {"blocking": True}):
                assert await system.spawn(Hashing, **options).ask(1) == 1
            snapshot = system.snapshot()
            assert snapshot.schedulers == ()
            assert "no threads" in snapshot.mode_reason

    asyncio.run(main())


def test_a_mode_that_is_none_is_refused():
    with pytest.raises(ValueError, match="'parallel'; use one of cooperative"):
        ActorSystem(mode="parallel")


def test_threads_have_drivers_of_their_own():
    with pytest.raises(ValueError, match="driver was given"):
        ActorSystem(mode="threaded", driver=ManualDriver())


@pytest.mark.parametrize(
    ("is_every_top_own", "is_top", "own_scheduler", "blocking", "wanted"),
    [
        (True, True, None, False, True),
        (True, False, None, False, False),
        (True, False, True, False, True),
        (True, True, False, False, False),
        (True, True, False, True, False),
        (False, True, None, False, False),
        (False, True, None, True, True),
        (False, False, None, True, True),
    ],
)
def test_who_gets_a_thread(is_every_top_own, is_top, own_scheduler, blocking, wanted):
    plan = Plan("auto", uses_threads=True, is_every_top_own=is_every_top_own, reason="")
    assert plan.wants_thread(is_top=is_top, own_scheduler=own_scheduler, blocking=blocking) is wanted
    none = Plan("auto", uses_threads=False, is_every_top_own=is_every_top_own, reason="")
    assert not none.wants_thread(is_top=is_top, own_scheduler=own_scheduler, blocking=blocking)


def test_the_snapshot_says_what_the_mode_took_and_why():
    async def main():
        async with ActorSystem(mode="threaded") as system:
            assert await system.spawn(Plain, name="one").ask(1) == 1
            system.spawn(Hashing, name="two")
            system.spawn(Plain, name="three", own_scheduler=False)
            snapshot = system.snapshot()
        assert snapshot.mode == "threaded"
        assert "as asked" in snapshot.mode_reason
        assert [(line.thread, line.actors, line.takes_turns) for line in snapshot.schedulers[1:]] == [
            ("shoal one", 1, snapshot.schedulers[0].takes_turns),
            ("shoal two", 1, False),
        ]
        assert snapshot.schedulers[0].actors == 1
        assert [line.path for line in snapshot.actors] == ["/three", "/one", "/two"]

    asyncio.run(main())


def test_with_one_loop_there_is_nothing_to_say_of_schedulers():
    async def main():
        async with ActorSystem() as system:
            system.spawn(Plain, own_scheduler=True)
            snapshot = system.snapshot()
        assert (snapshot.mode, snapshot.schedulers) == ("cooperative", ())

    asyncio.run(main())


def trace_of(seed):
    async def main():
        async with ActorSystem(mode="simulated", seed=seed) as system:
            assert isinstance(system, SimulatedSystem)
            refs = [system.spawn(Plain) for _ in range(5)]
            for _ in range(5):
                for ref in refs:
                    ref.tell(1)
            await asyncio.sleep(3600)  # which takes no time
        return system.trace

    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(main())


def test_a_simulated_system_repeats_what_its_seed_decides():
    assert trace_of(7) == trace_of(7)
    assert len({trace_of(seed) for seed in range(5)}) == 5


def test_a_simulated_system_says_which_loop_it_needs():
    async def main():
        ActorSystem(mode="simulated")

    with pytest.raises(NotAvailable, match="SimulatedLoop"):
        asyncio.run(main())
