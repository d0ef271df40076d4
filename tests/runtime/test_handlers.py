"""Handlers: plain, async and generators; what may be awaited in them."""

import asyncio
import contextvars
import logging

import pytest

from shoal.runtime import Actor, ActorStopped, ActorSystem, HandlerFailed, StopReason
from shoal.runtime.testing import ManualSystem, run_virtual


@pytest.fixture
def system():
    system = ManualSystem()
    yield system
    system.shut_down()


def in_virtual_time(body, **options):
    async def main():
        async with ActorSystem(**options) as system:
            return await body(system)

    return run_virtual(main())


def test_messages_are_handled_one_at_a_time_in_order():
    log = []

    class Slow(Actor):
        async def receive(self, message):
            log.append(("begin", message))
            await asyncio.sleep(1)
            log.append(("end", message))

    async def body(system):
        ref = system.spawn(Slow)
        for i in range(3):
            ref.tell(i)
        await asyncio.sleep(10)

    in_virtual_time(body)
    assert log == [(what, i) for i in range(3) for what in ("begin", "end")]


def test_what_asyncio_offers_works_in_a_handler():
    async def body(system):
        class Busy(Actor):
            async def receive(self, message):
                assert asyncio.current_task() is not None
                queue = asyncio.Queue()
                async with asyncio.TaskGroup() as group:
                    group.create_task(queue.put("queued"))
                got = [await queue.get()]
                await asyncio.sleep(0)
                got.append(await asyncio.wait_for(asyncio.sleep(0.1, "waited"), 1))
                try:
                    async with asyncio.timeout(0.5):
                        await asyncio.sleep(5)
                except TimeoutError:
                    got.append("timed out")
                got.extend(await asyncio.gather(asyncio.sleep(0.1, 1), asyncio.sleep(0.2, 2)))
                async with asyncio.Lock():
                    got.append(await asyncio.to_thread(lambda: "threaded"))
                return got

        return await system.spawn(Busy).ask("go")

    assert in_virtual_time(body) == ["queued", "waited", "timed out", 1, 2, "threaded"]


def test_a_task_group_that_fails_in_a_handler_fails_the_handler_only(caplog):
    caplog.set_level(logging.CRITICAL, "shoal.runtime")

    async def fails():
        await asyncio.sleep(0.1)
        raise ValueError("inner")

    async def body(system):
        class Grouping(Actor):
            async def receive(self, message):
                async with asyncio.TaskGroup() as group:
                    group.create_task(fails())
                    await asyncio.sleep(100)

        with pytest.raises(HandlerFailed) as raised:
            await system.spawn(Grouping).ask("go")
        return raised.value.__cause__

    assert isinstance(in_virtual_time(body), ExceptionGroup)


def test_a_context_variable_set_by_a_handler_lasts_across_its_awaits_and_stays_with_its_actor():
    variable = contextvars.ContextVar("variable", default="outside")

    async def body(system):
        class Setting(Actor):
            async def receive(self, message):
                variable.set(message)
                await asyncio.sleep(0.1)
                return variable.get()

        first, second = system.spawn(Setting), system.spawn(Setting)
        answers = await asyncio.gather(first.ask("a"), second.ask("b"))
        return [*answers, variable.get()]

    assert in_virtual_time(body) == ["a", "b", "outside"]


def test_a_plain_handler_may_return_a_coroutine_of_another_method():
    async def body(system):
        class Dispatching(Actor):
            def receive(self, message):
                return self.later(message) if message > 1 else message

            async def later(self, message):
                await asyncio.sleep(0.1)
                return message * 10

        ref = system.spawn(Dispatching)
        return [await ref.ask(1), await ref.ask(2)]

    assert in_virtual_time(body) == [1, 20]


def test_each_yield_of_a_generator_gives_the_turn_to_others(system):
    log = []

    class Stepping(Actor):
        def receive(self, message):
            for step in range(3):
                log.append((message, step))
                yield
            return "done"

    replies = [system.spawn(Stepping).ask(name) for name in "ab"]
    system.run_until_idle()
    assert log == [(name, step) for step in range(3) for name in "ab"]
    assert [reply.result() for reply in replies] == ["done", "done"]


def test_a_generator_that_raises_fails_its_actor(system, caplog):
    caplog.set_level(logging.CRITICAL, "shoal.runtime")

    class Breaking(Actor):
        def receive(self, message):
            yield
            raise ValueError("late")

    reply = system.spawn(Breaking).ask(1)
    system.run_until_idle()
    with pytest.raises(HandlerFailed, match="late"):
        reply.result()


def test_a_stop_cancels_a_handler_that_waits_and_lets_it_clean_up():
    log = []

    class Waiting(Actor):
        async def receive(self, message):
            try:
                await asyncio.sleep(1000)
            finally:
                await asyncio.sleep(0.1)
                log.append("cleaned")

        def on_stop(self, reason):
            log.append(reason)

    async def body(system):
        ref = system.spawn(Waiting)
        ref.tell(1)
        await asyncio.sleep(0.1)
        ref.stop()
        await asyncio.sleep(1)
        assert not ref.is_alive
        return system.counters

    counters = in_virtual_time(body)
    assert log == ["cleaned", StopReason.STOPPED]
    assert counters.lost == 1
    assert counters.failures == 0


def test_a_stop_closes_a_generator_between_two_steps():
    log = []

    class Endless(Actor):
        def receive(self, message):
            try:
                while True:
                    yield
            finally:
                log.append("closed")

    system = ManualSystem(turn_budget_us=10)
    ref = system.spawn(Endless)
    reply = ref.ask(1)
    system.driver._is_awake = False
    system.driver._turn()
    assert system.counters.handling == 1
    ref.stop()
    system.run_until_idle()
    assert log == ["closed"]
    assert (system.counters.lost, system.counters.handling) == (1, 0)
    with pytest.raises(ActorStopped):
        reply.result()
    system.shut_down()


def test_awaiting_what_nobody_can_await_is_an_error_of_the_handler(caplog):
    caplog.set_level(logging.CRITICAL, "shoal.runtime")

    class Strange:
        def __await__(self):
            yield "nonsense"

    async def body(system):
        class Awaiting(Actor):
            async def receive(self, message):
                await Strange()

        with pytest.raises(HandlerFailed, match="nonsense"):
            await system.spawn(Awaiting).ask(1)

    in_virtual_time(body)


def test_an_actor_without_receive_says_so(system, caplog):
    caplog.set_level(logging.CRITICAL, "shoal.runtime")

    class Empty(Actor):
        pass

    reply = system.spawn(Empty).ask(1)
    system.run_until_idle()
    with pytest.raises(HandlerFailed, match="Empty has no receive"):
        reply.result()


def test_a_subclass_that_awaits_uses_the_one_loop_and_keeps_no_task():
    async def body(system):
        class Waiting(Actor):
            async def receive(self, message):
                await asyncio.sleep(0.1)
                return len(asyncio.all_tasks())

        return await system.spawn(Waiting).ask(1)

    assert in_virtual_time(body) == 1


class Owing(Actor):
    """Returns what is no answer."""

    def __init__(self, other=None):
        self.other = other

    def receive(self, message):
        match message:
            case "reply":
                return self.other.ask(message)
            case "future":
                return Awaitable()
            case _:
                return self.steps()

    async def steps(self):
        yield 1


class Awaitable:
    def __await__(self):
        yield


class Echo(Actor):
    def receive(self, message):
        return message


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ("reply", "returned a Reply, which is no answer; await it"),
        ("future", "returned a Awaitable, which is no answer; await it"),
        ("generator", "is an async generator, of which nothing runs"),
    ],
)
def test_what_would_have_to_be_awaited_is_no_answer_but_a_failure(system, caplog, message, says):
    caplog.set_level(logging.CRITICAL, "shoal.runtime")
    ref = system.spawn(Owing, system.spawn(Echo))
    reply = ref.ask(message)
    system.run_until_idle()
    with pytest.raises(HandlerFailed, match=says):
        reply.result()
    assert system.counters.lost == system.counters.failures == 1
