"""The same actors on asyncio's loop, on uvloop, and in real time."""

import asyncio
import importlib.util
import signal
import threading

import pytest

from shoal.runtime import Actor, ActorSystem, AskTimedOut, Terminated
from shoal.runtime.testing import Probe

LOOPS = {"asyncio": asyncio.new_event_loop}
if importlib.util.find_spec("uvloop") is not None:  # there is none for a Python without the GIL
    import uvloop

    LOOPS["uvloop"] = uvloop.new_event_loop


@pytest.fixture(params=sorted(LOOPS))
def run(request):
    def run(coroutine):
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            return runner.run(coroutine)

    return run


class Echo(Actor):
    def receive(self, message):
        return message


class Waiting(Actor):
    async def receive(self, message):
        async with asyncio.timeout(1):
            await asyncio.sleep(0.001)
        return message


def test_asks_are_answered(run):
    async def main():
        async with ActorSystem() as system:
            return [await system.spawn(kind).ask(i) for i, kind in enumerate((Echo, Waiting))]

    assert run(main()) == [0, 1]


def test_time_outs_come_when_they_are_due(run):
    async def main():
        async with ActorSystem() as system:

            class Silent(Actor):
                def receive(self, message):
                    self.take_reply()

            ref = system.spawn(Silent)
            started = system.now_us
            with pytest.raises(AskTimedOut):
                await ref.ask("?", timeout_s=0.05)
            return system.now_us - started

    assert run(main()) >= 50_000


def test_an_earlier_deadline_overtakes_one_that_is_set(run):
    async def main():
        async with ActorSystem() as system:

            class Silent(Actor):
                def receive(self, message):
                    self.take_reply()

            ref = system.spawn(Silent)
            long = ref.ask("?", timeout_s=60)
            with pytest.raises(AskTimedOut):
                await ref.ask("?", timeout_s=0.02)
            return long.is_waiting

    assert run(main())


def test_other_callbacks_of_the_loop_run_between_turns(run):
    class Perpetual(Actor):
        def receive(self, message):
            self.ref.tell(message)

    async def main():
        async with ActorSystem() as system:
            system.spawn(Perpetual).tell(1)
            for _ in range(100):
                await asyncio.sleep(0)
            return system.counters.handled

    assert run(main()) > 100


def test_actors_in_other_threads_loops_are_systems_of_their_own():
    answers = []

    async def main(i):
        async with ActorSystem() as system:
            answers.append(await system.spawn(Waiting).ask(i))

    threads = [threading.Thread(target=lambda i=i: asyncio.run(main(i))) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [0, 1]


def test_neither_loop_policy_nor_signal_handlers_are_touched():
    async def main():
        before = (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), asyncio.get_event_loop_policy())
        async with ActorSystem() as system:
            system.spawn(Echo)
            during = (
                signal.getsignal(signal.SIGINT),
                signal.getsignal(signal.SIGTERM),
                asyncio.get_event_loop_policy(),
            )
        assert before == during

    asyncio.run(main())


def test_a_probe_waits_for_what_an_actor_says(run):
    async def main():
        async with ActorSystem() as system:
            ref = system.spawn(Echo)
            probe = Probe(system, watch=(ref,))
            probe.expect_nothing()
            ref.stop()
            assert (await probe.expect(Terminated)).ref is ref
            with pytest.raises(AssertionError, match="expected Terminated"):
                await probe.expect(Terminated, timeout_s=0.01)

    run(main())
