"""Actors on threads of their own: endings, limits, and what only threads can do wrong."""

import asyncio
import contextlib
import logging
import threading
import time

import pytest

from shoal.runtime import (
    Actor,
    ActorSystem,
    AskTimedOut,
    HandlerBlocked,
    MailboxFull,
    MailboxSettings,
    NotAvailable,
    Restart,
    WrongThread,
)
from shoal.runtime.core.inbox import Inbox
from shoal.runtime.core.scheduler import Scheduler
from shoal.runtime.modes import has_gil

from .support import adds_up, is_at_rest, until


class Echo(Actor):
    def receive(self, message):
        return message, threading.get_ident()


class Sleeper(Actor):
    def receive(self, message):
        time.sleep(message)
        return message


class Holding(Actor):
    """Holds its thread until the gate opens; the limit is for a test that fails."""

    def __init__(self, gate):
        self.gate = gate

    def receive(self, message):
        assert self.gate.wait(60), "nobody opened the gate"
        return message


async def holds_its_thread(ref):
    await until(lambda: ref.scheduler.in_hand()[0] is ref.cell)


class Group(Actor):
    def receive(self, message):
        actor_class, args, options = message
        return self.spawn(actor_class, *args, **options)


@pytest.fixture(autouse=True)
def quiet(caplog):
    caplog.set_level(logging.CRITICAL, "shoal.runtime")


def test_each_top_level_actor_has_a_thread_and_its_children_share_it():
    async def main():
        async with ActorSystem(mode="threaded") as system:
            one, other = system.spawn(Group), system.spawn(Group)
            children = [await group.ask((Echo, (), {})) for group in (one, one, other)]
            apart = await one.ask((Echo, (), {"own_scheduler": True}))
            here = system.spawn(Echo, own_scheduler=False)
            return [(await ref.ask(0))[1] for ref in (*children, apart, here)]

    first, second, third, apart, here = asyncio.run(main())
    assert first == second
    assert len({first, third, apart, here}) == 4
    assert here == threading.get_ident()


@pytest.mark.skipif(not has_gil(), reason="this Python has no GIL, where auto is as threaded")
def test_with_a_gil_auto_gives_threads_to_what_is_marked_blocking():
    async def main():
        async with ActorSystem(mode="auto") as system:
            plain, marked = system.spawn(Echo), system.spawn(Echo, blocking=True)
            gate = threading.Event()
            held = system.spawn(Holding, gate, blocking=True).ask("held")
            threads = [(await ref.ask(0))[1] for ref in (plain, marked)]  # which answer although it is held
            assert not held.done()
            gate.set()
            assert await held == "held"
            return threads

    plain, marked = asyncio.run(main())
    assert plain == threading.get_ident()
    assert marked != plain


def test_refs_work_from_threads_without_a_scheduler():
    async def main():
        async with ActorSystem(mode="threaded") as system:
            ref = system.spawn(Echo)
            silent = system.spawn(Sleeper)

            async def from_another_loop():
                await ref.send(1)
                answer, _ = await ref.ask("from afar")
                with pytest.raises(AskTimedOut):
                    await silent.ask(0.05, timeout_s=0.01)
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.01):
                        await silent.ask(0.05)
                return answer

            def without_a_loop():
                ref.tell(2)
                with pytest.raises(WrongThread, match="no asyncio loop"):
                    ref.ask(3)
                with pytest.raises(WrongThread, match="own thread"):
                    system.spawn(Echo)

            assert await asyncio.to_thread(lambda: asyncio.run(from_another_loop())) == "from afar"
            await asyncio.to_thread(without_a_loop)
            await until(lambda: is_at_rest(system))
            ref.stop()
            await until(lambda: system.counters.actors == 1)
            await asyncio.to_thread(ref.tell, "late")
            await until(lambda: is_at_rest(system))
            assert system.counters.dead_letters == {"stopped": 1}

    asyncio.run(main())


def test_a_handler_that_blocks_beyond_the_deadline_is_left_behind_and_named(caplog):
    caplog.set_level(logging.ERROR, "shoal.runtime")
    failures, gate = [], threading.Event()

    async def main():
        # The deadline is what others need to end in, too, on a busy machine.
        async with ActorSystem(mode="threaded", stop_timeout_s=0.5) as system:
            system.failures.subscribe(failures.append)
            system.spawn(Echo)
            mule = system.spawn(Holding, gate, name="mule")
            mule.tell(2.0)
            await holds_its_thread(mule)
        assert mule.scheduler.in_hand()[0] is mule.cell  # the block has ended, and it has not
        gate.set()

    asyncio.run(main())
    assert "/mule still held its thread" in caplog.text
    (failure,) = failures
    assert isinstance(failure.error, HandlerBlocked)
    assert (failure.error.path, failure.error.message_type) == ("/mule", "float")
    assert "self.gate.wait(60)" in failure.error.stack


def test_a_thread_that_was_left_behind_ends_when_its_handler_does():
    gate = threading.Event()

    async def main():
        async with ActorSystem(mode="threaded", stop_timeout_s=0.05) as system:
            mule = system.spawn(Holding, gate, name="mule")
            mule.tell(1)
            await holds_its_thread(mule)
        return system

    system = asyncio.run(main())
    assert system.counters.actors == 1
    gate.set()  # its loop's system is over, and so is the loop that made it
    deadline_s = time.monotonic() + 60
    while system.counters.actors:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    assert adds_up(system.counters)


def test_a_burst_wakes_the_reader_once():
    wakes, told = [], []

    class Outside:
        def __init__(self):
            self.by_thread = {}

        def asker(self):
            raise AssertionError("nobody asks")

    scheduler = Scheduler(None)
    inbox = Inbox(scheduler, lambda: wakes.append(1), Outside())
    for i in range(100):
        inbox.call(lambda i=i: told.append(i))
    assert wakes == [1]
    inbox.begin()
    inbox.deliver()
    assert told == list(range(100))
    assert not inbox.rest()
    inbox.call(lambda: told.append(100))
    assert wakes == [1, 1]
    inbox.begin()
    inbox.deliver()
    inbox.call(lambda: told.append(101))  # in a turn: nobody need wake it
    assert inbox.rest()
    assert wakes == [1, 1]


class Ticking(Actor):
    """Answers, and counts callbacks of its loop meanwhile."""

    def on_start(self):
        self.ticks = 0
        self.soon = 0
        self.tick()

    def tick(self):
        self.ticks += 1
        asyncio.get_running_loop().call_later(0.001, self.tick)

    def count(self):
        self.soon += 1

    def receive(self, message):
        asyncio.get_running_loop().call_soon(self.count)
        return self.ticks, self.soon


class Talking(Actor):
    async def receive(self, ref):
        """Ask without a pause until its loop has got round often enough; how often at the end, and how many asks."""
        deadline_s, asks, ticks, soon = time.monotonic() + 20, 0, 0, 0
        while (ticks < 10 or soon < 100) and time.monotonic() < deadline_s:
            ticks, soon = await ref.ask(0)
            asks += 1
        return ticks, soon, asks


def test_loops_of_two_that_talk_to_each_other_all_the_time_go_round():
    async def main():
        async with ActorSystem(mode="threaded", take_turns=True) as system:
            talking, ticking = system.spawn(Talking), system.spawn(Ticking)
            return await talking.ask(ticking, timeout_s=30)

    ticks, soon, asks = asyncio.run(main())
    assert ticks >= 10
    assert soon >= 100
    assert asks > 0


def test_a_mailbox_is_bounded_for_senders_on_other_threads():
    async def main():
        async with ActorSystem(mode="threaded") as system:
            gate = threading.Event()
            ref = system.spawn(Holding, gate, mailbox=MailboxSettings(messages_max=10))
            ref.tell("held")
            await holds_its_thread(ref)
            taken = 0
            for _ in range(100):
                with contextlib.suppress(MailboxFull):
                    ref.tell("waiting")
                    taken += 1
            assert taken == 10
            assert system.counters.refused == 90
            gate.set()

    asyncio.run(main())


def test_what_was_let_in_finds_room_though_local_senders_filled_the_mailbox():
    letters, log, gate = [], [], threading.Event()

    class Filling(Actor):
        """Fills its own mailbox while messages from elsewhere are on the way."""

        def receive(self, message):
            log.append(message)
            if message == "fill":
                assert gate.wait(60), "nobody opened the gate"
                with contextlib.suppress(MailboxFull):
                    while True:
                        self.ref.tell("own")

    async def main():
        async with ActorSystem(mode="threaded") as system:
            system.dead_letters.subscribe(letters.append)
            ref = system.spawn(Filling, mailbox=MailboxSettings(messages_max=5))
            ref.tell("fill")
            await until(lambda: log == ["fill"])
            for i in range(4):
                ref.tell(i)
            gate.set()
            await until(lambda: is_at_rest(system))

    asyncio.run(main())
    assert letters == []
    assert [message for message in log if isinstance(message, int)] == [0, 1, 2, 3]
    assert log.count("own") == 5


class Computing(Actor):
    """Never done, 50 us at a time."""

    def receive(self, message):
        end_ns = time.thread_time_ns() + 50_000
        while time.thread_time_ns() < end_ns:
            pass
        self.ref.tell(message)


def test_two_actors_that_compute_take_turns(caplog):
    """Judged by CPU time of this process: what others do on the machine is no matter."""

    async def main():
        async with ActorSystem(mode="threaded", take_turns=True, watchdog_limit_us=None) as system:
            for _ in range(4):
                system.spawn(Computing).tell("without end")
            probe, worst_s = system.spawn(Echo), 0.0
            for _ in range(20):
                started_s = time.process_time()
                await probe.ask(0)
                worst_s = max(worst_s, time.process_time() - started_s)
                await asyncio.sleep(0.001)
            return worst_s

    assert asyncio.run(main()) < 0.25  # what plain threads cost is the benchmark's to say
    assert caplog.messages == []  # and nobody was cut off when the system ended


def test_who_computes_alone_lets_a_thread_of_another_kind_at_the_gil():
    """The loop of the one looks for what has come after each turn, and whoever waits for the GIL just misses it."""

    def look(spent_s):  # as a thread that knows nothing of actors: it wants the GIL, now and then
        for _ in range(200):
            started_s = time.process_time()
            time.sleep(0.0001)
            spent_s.append(time.process_time() - started_s)

    async def main():
        async with ActorSystem(mode="threaded", take_turns=True, watchdog_limit_us=None) as system:
            system.spawn(Computing).tell("without end")
            await asyncio.to_thread(look, spent_s := [])
        return spent_s

    assert max(asyncio.run(main())) < 0.25


def test_permanent_actors_start_again_on_their_own_thread():
    async def main():
        async with ActorSystem(mode="threaded") as system:

            class Quitting(Echo):
                def receive(self, message):
                    if message == "quit":
                        self.stop()
                    return super().receive(message)

            ref = system.spawn(Quitting, restart=Restart.PERMANENT)
            _, before = await ref.ask("quit")
            _, after = await ref.ask("again")
            assert before == after
            assert system.counters.restarts == 1

    asyncio.run(main())


def test_only_its_own_thread_stops_a_system():
    class Stopping(Actor):
        async def receive(self, message):
            with pytest.raises(WrongThread):
                await self.system.stop()
            return True

    async def main():
        async with ActorSystem(mode="threaded") as system:
            assert await system.spawn(Stopping).ask(1)

    asyncio.run(main())


def test_a_call_from_another_thread_that_fails_holds_nothing_up(caplog):
    caplog.set_level(logging.ERROR, "shoal.runtime")

    async def main():
        async with ActorSystem(mode="threaded") as system:
            ref = system.spawn(Echo)
            inbox = ref.scheduler.inbox
            inbox.call(lambda: 1 // 0)
            assert (await ref.ask(1))[0] == 1

    asyncio.run(main())
    assert "a call from another thread failed" in caplog.text


def test_actors_of_systems_with_and_without_threads_do_not_watch_each_other():
    class Watcher(Actor):
        def receive(self, ref):
            with pytest.raises(WrongThread, match="another system"):
                self.watch(ref)
            return True

    async def main():
        async with ActorSystem(mode="threaded") as one, ActorSystem() as other:
            assert await other.spawn(Watcher).ask(one.spawn(Echo))
            assert await other.spawn(Echo).ask(1)

    asyncio.run(main())


def test_actors_of_different_threads_cannot_be_linked():
    class Linking(Actor):
        def receive(self, ref):
            with pytest.raises(NotAvailable, match="`watch` instead"):
                self.link(ref)
            return True

    async def main():
        async with ActorSystem(mode="threaded") as system:
            assert await system.spawn(Linking).ask(system.spawn(Echo))

    asyncio.run(main())
