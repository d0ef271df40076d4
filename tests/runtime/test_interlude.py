"""A task that asks lends its place to the actors, and nobody can tell.

In compiled legs the turn that woke a task goes on from within its `await`
(`drivers/interlude.py`).  What a task, an actor and the loop see must be the same
as without; so these tests hold in every leg.  They run in real time, where alone
it happens.
"""

import asyncio
import contextvars

import pytest

from shoal.runtime import Actor, ActorSystem, AskTimedOut, HandlerFailed
from shoal.runtime.core import scheduler as scheduler_module

IS_COMPILED = not scheduler_module.__file__.endswith(".py")
ASKS = 200  # the first goes through the loop, the others from within the turn that brought its answer

place = contextvars.ContextVar("place", default="nowhere")


class Echo(Actor):
    def receive(self, message):
        return message


class Looking(Actor):
    """Answers which task is current, and leaves something behind in its context."""

    def receive(self, message):
        place.set("in a handler")
        return asyncio.current_task()


def in_real_time(body):
    async def main():
        async with ActorSystem() as system:
            return await asyncio.wait_for(body(system), 60)

    return asyncio.run(main())


def test_no_task_is_current_while_actors_run_and_what_they_set_stays_out_of_its_context():
    async def body(system):
        looking = system.spawn(Looking)
        place.set("in the task")
        task = asyncio.current_task()
        for _ in range(ASKS):
            assert await looking.ask("?") is None
            assert asyncio.current_task() is task
            assert place.get() == "in the task"

    in_real_time(body)


@pytest.mark.skipif(not IS_COMPILED, reason="uncompiled code cannot leave a context")
def test_most_answers_come_without_the_task_being_suspended():
    async def body(system):
        echo = system.spawn(Echo)
        turns = system._life.scheduler.turns
        for number in range(ASKS):
            assert await echo.ask(number) == number
        assert system._life.scheduler.turns - turns < ASKS / 2

    in_real_time(body)


def test_the_loop_gets_its_turn_from_a_task_that_asks_without_end():
    async def body(system):
        echo = system.spawn(Echo)
        rounds = 0

        def go_round():
            nonlocal rounds
            rounds += 1
            asyncio.get_running_loop().call_soon(go_round)

        go_round()
        while rounds < 20:  # within the time-out around all this, which is the loop's own too
            await echo.ask(1)

    in_real_time(body)


def test_tasks_that_ask_at_once_each_get_their_own_answers():
    async def body(system):
        echo = system.spawn(Echo)

        async def ask(first):
            return [await echo.ask(first + i) for i in range(ASKS)]

        answers = await asyncio.gather(*(ask(1000 * i) for i in range(10)))
        assert answers == [[1000 * i + j for j in range(ASKS)] for i in range(10)]

    in_real_time(body)


def test_an_error_of_the_handler_reaches_the_task_and_leaves_it_the_current_one():
    class Failing(Actor):
        def receive(self, message):
            if message % 2:
                raise ValueError(message)
            return message

    async def body(system):
        failing = system.spawn(Failing)
        for number in range(0, 4, 2):  # no more than a supervisor restarts
            assert await failing.ask(number) == number
            with pytest.raises(HandlerFailed, match=str(number + 1)):
                await failing.ask(number + 1)
            assert asyncio.current_task() is not None
            async with asyncio.timeout(60):  # which asks for the current task
                assert await failing.ask(number) == number

    in_real_time(body)


def test_a_time_out_comes_though_the_task_waits_in_its_own_step():
    class Keeping(Actor):
        def __init__(self):
            self.kept = []

        def receive(self, message):
            if message is None:
                self.kept.append(self.take_reply())
            return message

    async def body(system):
        keeping = system.spawn(Keeping)
        assert await keeping.ask(1) == 1
        with pytest.raises(AskTimedOut):
            await keeping.ask(None, timeout_s=0.02)
        assert await keeping.ask(2) == 2

    in_real_time(body)


def test_actors_that_are_asked_may_ask_others_and_take_their_time():
    class Relay(Actor):
        def __init__(self, to):
            self.to = to

        async def receive(self, message):
            answer = await self.to.ask(message)
            if message % 50 == 0:
                await asyncio.sleep(0)
            return answer

    async def body(system):
        relay = system.spawn(Relay, system.spawn(Relay, system.spawn(Echo)))
        for number in range(ASKS):
            assert await relay.ask(number) == number

    in_real_time(body)


def test_a_task_that_a_handler_cancels_while_it_waits_ends_cancelled():
    class Cancelling(Actor):
        def receive(self, message):
            if message is not None:
                message.cancel()

    async def asker(cancelling):
        for _ in range(10):
            await cancelling.ask(None)
        while True:
            await cancelling.ask(asyncio.current_task())

    async def body(system):
        task = asyncio.create_task(asker(system.spawn(Cancelling)))
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(system._life.scheduler.timers) == 0

    in_real_time(body)


def test_a_coroutine_that_is_stepped_by_hand_in_a_context_of_its_own_waits_as_ever():
    async def body(system):
        echo = system.spawn(Echo)

        class ByHand:
            """Steps what it wraps in another context than the task's."""

            def __init__(self, coroutine):
                self.coroutine = coroutine
                self.context = contextvars.copy_context()

            def __await__(self):
                try:
                    while True:
                        yield self.context.run(self.coroutine.send, None)
                except StopIteration as stop:
                    return stop.value

        async def ask(number):
            return await echo.ask(number)

        for number in range(20):
            assert await echo.ask(number) == number
            assert await ByHand(ask(number)) == number

    in_real_time(body)
