"""Actors beside ordinary asyncio code: contexts, others' ways to cancel, other threads, the end of the system."""

import asyncio
import contextvars
import logging
import sys
import threading

import pytest

from shoal.runtime import Actor, ActorSystem, HandlerFailed, NotAvailable, Supervision, WrongThread
from shoal.runtime.testing import ManualSystem, Stuck, simulate

anyio = pytest.importorskip("anyio")
_BORN = 20_000  # more than there is time for in a turn
REQUEST = contextvars.ContextVar("REQUEST", default="none")


def run(main):
    return asyncio.run(asyncio.wait_for(main(), 30))


class Reader(Actor):
    def receive(self, message):
        return REQUEST.get()


class AsyncReader(Actor):
    async def receive(self, message):
        before = REQUEST.get()
        REQUEST.set(message)
        return before


async def asked_by(ref, name):
    REQUEST.set(name)
    return await ref.ask(name)


def test_a_handler_sees_the_context_in_which_the_system_started_not_that_of_a_sender():
    async def main():
        REQUEST.set("start")
        async with ActorSystem() as system:
            for kind in (Reader, AsyncReader):
                ref = system.spawn(kind)
                answers = await asyncio.gather(*(asked_by(ref, f"request {i}") for i in range(3)))
                assert answers[0] == "start"
                assert kind is AsyncReader or set(answers) == {"start"}

    run(main)


def test_what_an_async_handler_sets_is_seen_by_its_own_actor_alone():
    async def main():
        async with ActorSystem() as system:
            one, other = system.spawn(AsyncReader), system.spawn(AsyncReader)
            assert [await one.ask("a"), await one.ask("b"), await other.ask("c")] == ["none", "a", "none"]
            assert REQUEST.get() == "none"

    run(main)


class Impatient(Actor):
    async def receive(self, message):
        with anyio.fail_after(0.01):
            await anyio.sleep(30)


class Grouped(Actor):
    async def receive(self, message):
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 0)
        return await anyio.to_thread.run_sync(lambda: message)


def test_time_outs_groups_and_threads_of_anyio_work_in_a_handler():
    async def main():
        async with ActorSystem() as system:
            with pytest.raises(HandlerFailed) as caught:
                await system.spawn(Impatient).ask(1)
            assert isinstance(caught.value.__cause__, TimeoutError)
            assert await system.spawn(Grouped).ask("done") == "done"

    run(main)


class Told(Actor):
    """Has somebody hear of the end of its handler."""

    def __init__(self, heard):
        self.heard = heard

    async def receive(self, message):
        task = asyncio.current_task()
        for callback in (self.heard.append, self.heard.remove):
            task.add_done_callback(callback)
        assert task.remove_done_callback(self.heard.remove) == 1
        assert len(task.get_stack()) == 1
        name = task.get_name()
        task.set_name("another")
        return name, task.get_name()


def test_the_current_task_of_a_handler_says_when_the_handler_is_over():
    async def main():
        heard = []
        async with ActorSystem() as system:
            ref = system.spawn(Told, heard, name="told")
            assert await ref.ask(1) == ("shoal /told", "another")
            await asyncio.sleep(0)
            assert len(heard) == 1

    run(main)


class Exits(Actor):
    def __init__(self):
        self.start_task(self.leave())

    async def leave(self):
        sys.exit(7)

    def receive(self, message):
        return message


def test_sys_exit_in_a_task_is_a_failure_of_its_actor_and_not_the_end_of_the_program(caplog):
    caplog.set_level(logging.CRITICAL, "shoal.runtime")

    async def main():
        failures = []
        async with ActorSystem(supervision=Supervision(restarts_max=1, per_child=True)) as system:
            system.failures.subscribe(failures.append)
            await system.spawn(Exits).wait_stopped()
            assert await system.spawn(Reader).ask(1) == "none"
        assert [type(failure.error) for failure in failures] == [SystemExit, SystemExit]

    run(main)


class Stopper(Actor):
    async def receive(self, message):
        if message == "task":
            await self.start_task(self.system.stop())
        await self.system.stop()


class Saves(Actor):
    def __init__(self, saved):
        self.saved = saved

    def receive(self, message):
        return message

    async def on_stop(self, reason):
        await asyncio.sleep(0)
        self.saved.append(reason)


@pytest.mark.parametrize("where", ["handler", "task"])
def test_an_actor_that_awaits_the_end_of_its_system_is_told_what_to_do_instead(where, caplog):
    caplog.set_level(logging.CRITICAL, "shoal.runtime")

    async def main():
        saved, failures = [], []
        async with ActorSystem() as system:
            system.failures.subscribe(failures.append)
            await system.spawn(Saves, saved).ask(1)
            system.spawn(Stopper).tell(where)
            while not failures:
                await asyncio.sleep(0)
            assert saved == []
        assert len(saved) == 1
        assert isinstance(failures[0].error, NotAvailable)
        assert "begin_stop" in str(failures[0].error)

    run(main)


def test_a_tell_from_another_thread_is_refused_with_what_to_do_and_lost_by_nobody():
    async def main():
        async with ActorSystem(loop_delay_interval_us=None) as system:
            handled = asyncio.Event()

            class Sets(Actor):
                def receive(self, message):
                    handled.set()

            ref = system.spawn(Sets)
            with pytest.raises(WrongThread, match="call_soon_threadsafe"):
                await asyncio.to_thread(ref.tell, 1)
            await handled.wait()

    assert threading.current_thread() is threading.main_thread()
    run(main)


class Forwards(Actor):
    def __init__(self, target):
        self.target = target

    def receive(self, message):
        self.forward(self.target, message)


def test_what_is_forwarded_to_another_system_is_counted_there():
    async def main():
        async with ActorSystem() as there, ActorSystem() as here:
            ref = here.spawn(Forwards, there.spawn(Saves, []))
            assert await ref.ask("question") == "question"
            ref.tell("message")
            await asyncio.sleep(0.01)
            for system in (here, there):
                assert (system.counters.sent, system.counters.handled) == (2, 2)

    run(main)


class NeverStarts(Actor):
    def on_start(self):
        raise ConnectionError

    def receive(self, message):
        """Nothing."""


class Begets(Actor):
    def __init__(self, others):
        self.others = others
        others.append(self)

    def on_start(self):
        if len(self.others) < _BORN:
            self.system.spawn(Begets, self.others)
        self.stop()

    def receive(self, message):
        """Nothing."""


def test_restarts_without_end_in_on_start_do_not_hold_the_loop(caplog):
    caplog.set_level(logging.CRITICAL, "shoal.runtime")

    async def main():
        async with ActorSystem(supervision=Supervision(restarts_max=10**9, per_child=True)) as system:
            ref = system.spawn(NeverStarts)
            reader = system.spawn(Reader)
            for _ in range(3):
                assert await reader.ask(1) == "none"
            ref.stop()
            await ref.wait_stopped()

    run(main)


def test_restarts_without_end_are_steps_of_a_simulation():
    async def program(system):
        await system.spawn(NeverStarts).wait_stopped()

    logging.getLogger("shoal.runtime").setLevel(logging.CRITICAL)
    try:
        with pytest.raises(Stuck):
            simulate(program, steps_max=1000, supervision=Supervision(restarts_max=10**9, per_child=True))
    finally:
        logging.getLogger("shoal.runtime").setLevel(logging.NOTSET)


class Counts(Actor):
    """What of `others` there is when it has its message."""

    def __init__(self, others, seen):
        self.others = others
        self.seen = seen

    def receive(self, message):
        self.seen.append(len(self.others))


def test_actors_that_begin_and_end_without_pause_do_not_starve_one_with_a_message():
    system, others, seen = ManualSystem(), [], []
    system.spawn(Counts, others, seen).tell(1)
    system.spawn(Begets, others)
    system.run_until_idle()
    assert len(others) == _BORN
    assert seen[0] < _BORN
