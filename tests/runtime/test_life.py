"""Beginning and ending: order of stops, deadlines, tasks, watches, names, fatal errors."""

import asyncio
import gc
import logging
import weakref

import pytest

from shoal.runtime import (
    Actor,
    ActorStopped,
    ActorSystem,
    NameTaken,
    Restart,
    StopReason,
    SystemNotRunning,
    Terminated,
)
from shoal.runtime.testing import ManualSystem, Probe, run_virtual


class Noting(Actor):
    """Notes its end; spawns the children it is told to."""

    def __init__(self, name, log):
        self.name, self.log = name, log

    def on_stop(self, reason):
        self.log.append((self.name, reason))

    def receive(self, message):
        return self.spawn(Noting, message, self.log, name=message)


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


def ask_now(system, ref, message):
    reply = ref.ask(message)
    system.run_until_idle()
    return reply.result()


def test_children_stop_before_their_parents_and_the_last_started_first():
    system = ManualSystem()
    log = []
    a = system.spawn(Noting, "a", log)
    system.spawn(Noting, "b", log)
    ask_now(system, a, "a1")
    a2 = ask_now(system, a, "a2")
    ask_now(system, a2, "a2x")
    system.shut_down()
    assert [name for name, _ in log] == ["b", "a2x", "a2", "a1", "a"]
    assert {reason for _, reason in log} == {StopReason.SYSTEM}


def test_a_stopped_parent_takes_its_children_along(system):
    log = []
    a = system.spawn(Noting, "a", log)
    child = ask_now(system, a, "child")
    a.stop()
    system.run_until_idle()
    assert not child.is_alive
    assert log == [("child", StopReason.PARENT), ("a", StopReason.STOPPED)]


def test_an_actor_that_stops_itself_ends_after_the_current_message(system):
    log = []

    class Quitting(Actor):
        def receive(self, message):
            self.stop()
            log.append(message)

    ref = system.spawn(Quitting)
    ref.tell(1)
    ref.tell(2)
    system.run_until_idle()
    assert log == [1]
    assert system.counters.dead_letters == {"stopped": 1}


def test_messages_wait_until_an_async_start_is_done():
    log = []

    class Slow(Actor):
        async def on_start(self):
            await asyncio.sleep(1)
            log.append("started")

        async def on_stop(self, reason):
            await asyncio.sleep(1)
            log.append("stopped")

        def receive(self, message):
            log.append(message)

    async def body(system):
        system.spawn(Slow).tell("message")
        await asyncio.sleep(2)

    in_virtual_time(body)
    assert log == ["started", "message", "stopped"]


def test_tasks_are_cancelled_and_awaited_before_the_stop_hook():
    log = []

    class Working(Actor):
        def on_start(self):
            self.start_task(self.work())

        async def work(self):
            try:
                await asyncio.sleep(1000)
            finally:
                await asyncio.sleep(0.5)
                log.append("task over")

        def on_stop(self, reason):
            log.append("on_stop")

        def receive(self, message):
            pass

    async def body(system):
        system.spawn(Working)
        await asyncio.sleep(0.1)

    in_virtual_time(body)
    assert log == ["task over", "on_stop"]


def test_an_error_in_a_task_fails_its_actor(caplog):
    caplog.set_level(logging.CRITICAL, "shoal.runtime")

    class Working(Actor):
        starts = 0

        def on_start(self):
            Working.starts += 1
            if Working.starts == 1:
                self.start_task(self.work())

        async def work(self):
            await asyncio.sleep(0.1)
            raise OSError("broken")

        def receive(self, message):
            return Working.starts

    async def body(system):
        seen = []
        system.failures.subscribe(seen.append)
        ref = system.spawn(Working)
        await asyncio.sleep(1)
        assert [(f.where, str(f.error)) for f in seen] == [("task", "broken")]
        return await ref.ask(1)

    assert in_virtual_time(body) == 2


def test_a_task_that_ends_well_is_forgotten():
    async def body(system):
        class Working(Actor):
            async def receive(self, message):
                self.start_task(asyncio.sleep(0.1))
                await asyncio.sleep(1)
                return len(self._cell.extras.tasks)

        return await system.spawn(Working).ask(1)

    assert in_virtual_time(body) == 0


def test_what_does_not_stop_by_the_deadline_is_cut_off_and_named(caplog):
    class Stubborn(Actor):
        async def on_stop(self, reason):
            await asyncio.sleep(1000)

        def receive(self, message):
            pass

    async def body(system):
        system.spawn(Stubborn, name="mule")
        return system

    system = in_virtual_time(body, stop_timeout_s=2)
    assert "/mule" in caplog.text
    assert system.counters.actors == 0


def test_nothing_is_left_in_the_loop_after_the_block():
    class Restless(Actor):
        def on_start(self):
            self.start_timer("tick", "tick", delay_us=10, interval_us=10_000)
            self.start_task(asyncio.sleep(1000))

        async def receive(self, message):
            await asyncio.sleep(0.001)

    async def main():
        async with ActorSystem() as system:
            refs = [system.spawn(Restless) for _ in range(10)]
            await asyncio.sleep(0.1)
            refs[0].ask("unanswered")
        loop = asyncio.get_running_loop()
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert [handle for handle in loop._scheduled if not handle.cancelled()] == []
        assert list(loop._ready) == []

    run_virtual(main())


def test_a_stopped_actor_is_freed_though_its_ref_is_kept(system):
    class Heavy(Actor):
        def receive(self, message):
            pass

    ref = system.spawn(Heavy)
    instance = weakref.ref(ref.cell.actor)
    ref.stop()
    system.run_until_idle()
    gc.collect()
    assert instance() is None
    assert ref.path == "/$1"


def test_a_callback_that_outlived_its_actor_can_still_tell_its_ref(system):
    letters, instances = [], []
    system.dead_letters.subscribe(letters.append)

    class Late(Actor):
        def on_start(self):
            instances.append(self)

        def receive(self, message):
            pass

    system.spawn(Late).stop()
    system.run_until_idle()
    assert not instances[0].ref.is_alive
    instances[0].ref.tell("late")
    assert [letter.message for letter in letters] == ["late"]
    with pytest.raises(ActorStopped):
        instances[0].spawn(Late)


def test_several_systems_share_a_loop():
    class Echo(Actor):
        def receive(self, message):
            return message

    async def main():
        async with ActorSystem() as one, ActorSystem() as other:
            first, second = one.spawn(Echo, name="x"), other.spawn(Echo, name="x")
            assert await first.ask(1) + await second.ask(2) == 3
            assert one.find("x") is first
            assert other.find("x") is second

    run_virtual(main())


def test_a_name_is_unique_among_living_siblings_and_free_again_after_death(system):
    first = system.spawn(Noting, "a", [], name="a")
    with pytest.raises(NameTaken, match="/a"):
        system.spawn(Noting, "a", [], name="a")
    first.stop()
    system.run_until_idle()
    assert system.find("a") is None
    assert system.spawn(Noting, "a", [], name="a").path == "/a"


def test_an_actor_is_found_by_its_path(system):
    a = system.spawn(Noting, "a", [], name="a")
    child = ask_now(system, a, "child")
    assert system.find("a/child") is child
    assert system.find("/a/child") is child
    assert child.name == "child"


@pytest.mark.parametrize("name", ["", "a/b", "$1", "x" * 201])
def test_names_that_would_confuse_a_path_are_refused(system, name):
    with pytest.raises(ValueError, match="actor name"):
        system.spawn(Noting, "a", [], name=name)


def test_a_watcher_hears_of_the_end_once_and_ahead_of_what_waits(system):
    log = []

    class Watcher(Actor):
        def __init__(self, ref):
            self.watch(ref)
            self.watch(ref)

        def receive(self, message):
            log.append(message)

    watched = system.spawn(Noting, "a", [])
    watcher = system.spawn(Watcher, watched)
    watched.stop()
    for i in range(3):
        watcher.tell(i)
    system.run_until_idle()
    assert log == [Terminated(watched, StopReason.STOPPED), 0, 1, 2]


def test_watching_the_dead_tells_at_once(system):
    ref = system.spawn(Noting, "a", [])
    ref.stop()
    system.run_until_idle()
    probe = Probe(system, watch=(ref,))
    system.run_until_idle()
    assert probe.take(Terminated).ref.path == ref.path


def test_the_name_is_free_by_the_time_a_watcher_hears(system):
    found = []

    class Watcher(Actor):
        def __init__(self, ref):
            self.watch(ref)

        def receive(self, message):
            found.append(self.system.find("a"))

    ref = system.spawn(Noting, "a", [], name="a")
    system.spawn(Watcher, ref)
    ref.stop()
    system.run_until_idle()
    assert found == [None]


def test_nothing_can_be_spawned_before_or_after_the_block():
    system = ActorSystem()
    with pytest.raises(SystemNotRunning):
        system.spawn(Noting, "a", [])

    async def main():
        async with system:
            pass

    run_virtual(main())
    with pytest.raises(ActorStopped):
        system.spawn(Noting, "a", [])


def test_a_handler_that_is_interrupted_stops_the_system_and_the_block_raises(caplog):
    caplog.set_level(logging.CRITICAL, "shoal.runtime")
    log = []

    class Ending(Actor):
        def receive(self, message):
            raise KeyboardInterrupt("enough")

        def on_stop(self, reason):
            log.append("stopped")

    async def body(system):
        system.spawn(Ending).tell(1)
        await asyncio.sleep(1000)
        log.append("not reached")

    with pytest.raises(KeyboardInterrupt, match="enough"):
        in_virtual_time(body)
    assert log == ["stopped"]


def test_a_second_cancellation_during_the_stop_still_leaves_nothing_behind():
    class Stubborn(Actor):
        async def on_stop(self, reason):
            await asyncio.sleep(1000)

        def receive(self, message):
            pass

    systems = []

    async def block():
        async with ActorSystem(stop_timeout_s=500) as system:
            systems.append(system)
            system.spawn(Stubborn)
            await asyncio.sleep(1000)

    async def main():
        task = asyncio.create_task(block())
        for _ in range(2):
            await asyncio.sleep(1)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert systems[0].counters.actors == 0

    run_virtual(main())


def test_an_error_in_the_block_is_raised_after_everything_has_stopped():
    log = []

    async def body(system):
        system.spawn(Noting, "a", log)
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        in_virtual_time(body)
    assert log == [("a", StopReason.SYSTEM)]


def test_a_watcher_of_the_stopped_hears_of_the_very_ref_it_watched(system):
    ref = system.spawn(Noting, "gone", [])
    ref.stop()
    system.run_until_idle()
    probe = Probe(system, watch=(ref,))
    system.run_until_idle()
    assert probe.take(Terminated).ref is ref


def test_who_watches_late_hears_how_it_ended(system, caplog):
    caplog.set_level(logging.CRITICAL, "shoal.runtime")

    class Fragile(Actor):
        def receive(self, message):
            raise ValueError(message)

    class Watcher(Actor):
        def receive(self, message):
            if isinstance(message, Terminated):
                reasons.append(message.reason)
            else:
                self.watch(message)

    reasons = []
    failed, stopped = (system.spawn(Fragile, restart=Restart.TEMPORARY) for _ in range(2))
    failed.tell("x")
    stopped.stop()
    system.run_until_idle()
    watcher = system.spawn(Watcher)
    watcher.tell(failed)
    watcher.tell(stopped)
    system.run_until_idle()
    assert reasons == [StopReason.FAILED, StopReason.STOPPED]


def test_an_instance_hears_of_no_end_that_the_one_before_it_watched(system, caplog):
    caplog.set_level(logging.CRITICAL, "shoal.runtime")

    class Watcher(Actor):
        def receive(self, message):
            if message == "fail":
                raise ValueError
            if isinstance(message, Terminated):
                heard.append(message.ref)
            else:
                self.watch(message)
                self.spawn(Noting, "child", [])

    heard = []
    watched = system.spawn(Noting, "a", [])
    watcher = system.spawn(Watcher)
    watcher.tell(watched)
    watcher.tell("fail")
    system.run_until_idle()
    watched.stop()
    system.run_until_idle()
    assert heard == []
    assert watched.cell.extras is None
    again = system.spawn(Noting, "b", [])
    watcher.tell(again)
    again.stop()
    system.run_until_idle()
    assert heard == [again]
