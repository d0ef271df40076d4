"""What an actor does is the same in every mode: each test runs in all of them."""

import asyncio
import contextlib
import logging

import pytest

from shoal.runtime import (
    Actor,
    ActorStopped,
    AskDropped,
    AskTimedOut,
    ChildFailed,
    HandlerFailed,
    MailboxFull,
    MailboxSettings,
    NameTaken,
    Overflow,
    Restart,
    StopReason,
    Supervision,
    Terminated,
)
from shoal.runtime.testing import SimulatedLoop

from .support import adds_up, until


class Echo(Actor):
    def receive(self, message):
        return message


class Noting(Actor):
    def __init__(self, log):
        self.log = log

    def receive(self, message):
        self.log.append(message)


class Slow(Actor):
    """Takes its time for each message."""

    def __init__(self, log, seconds=0.05):
        self.log = log
        self.seconds = seconds

    async def receive(self, message):
        await asyncio.sleep(self.seconds)
        self.log.append(message)
        return message


class Held(Slow):
    """Handles nothing until `opened` has something in it, whichever loop it runs on and however long that takes."""

    def __init__(self, log, opened):
        self.log = log
        self.opened = opened

    async def receive(self, message):
        await until(lambda: self.opened)
        self.log.append(message)
        return message


class Group(Actor):
    """Spawns and keeps children."""

    supervision = Supervision(restarts_max=1)

    def __init__(self, log=None):
        self.log = log if log is not None else []

    def receive(self, message):
        actor_class, args, options = message
        return self.spawn(actor_class, *args, **options)

    def on_stop(self, reason):
        self.log.append(("group", reason))


class Failing(Actor):
    def receive(self, message):
        if message == "fail":
            raise ValueError(message)
        return message


class Watching(Actor):
    def __init__(self, log, *refs):
        self.log = log
        for ref in refs:
            self.watch(ref)

    def receive(self, message):
        if message == "unwatch":
            self.unwatch(self.log[0])
        self.log.append(message)


def is_watched(ref):
    """Seen at the watched: what the watcher said of it may be on its way from another thread."""
    extras = ref.cell.extras
    return extras is not None and bool(extras.watched_by)


@pytest.fixture(params=("cooperative", "threaded", "auto", "simulated"))
def mode(request):
    return request.param


@pytest.fixture
def loop_factory(mode):
    return SimulatedLoop if mode == "simulated" else None


@pytest.fixture(autouse=True)
def quiet(caplog):
    caplog.set_level(logging.CRITICAL, "shoal.runtime")


class Waiting(Actor):
    """Waits in its handler for another's end."""

    async def receive(self, message):
        message.stop()
        await message.wait_stopped()
        return not message.is_alive


@pytest.fixture
def make_system(make_system, loop_factory):
    make_system.loop_factory = loop_factory
    return make_system


def run(make_system, body, **options):
    async def main():
        async with make_system(**options) as system:
            result = await body(system)
        assert adds_up(system.counters)
        assert system.counters.actors == 0
        return result

    with asyncio.Runner(loop_factory=make_system.loop_factory) as runner:
        return runner.run(main())


def test_what_a_handler_returns_is_the_answer(make_system):
    async def body(system):
        return [await system.spawn(Echo).ask(i) for i in range(3)]

    assert run(make_system, body) == [0, 1, 2]


def test_actors_ask_each_other(make_system):
    class Asking(Actor):
        def __init__(self, other):
            self.other = other

        async def receive(self, message):
            return await self.other.ask(message + 1) + 1

    async def body(system):
        ref = system.spawn(Echo)
        for _ in range(5):
            ref = system.spawn(Asking, ref)
        return await ref.ask(0)

    assert run(make_system, body) == 10


def test_messages_of_one_sender_keep_their_order(make_system):
    log = []

    class Sending(Actor):
        async def receive(self, ref):
            for i in range(5000):
                await ref.send(i)

    async def body(system):
        ref = system.spawn(Noting, log)
        await system.spawn(Sending).ask(ref)
        await until(lambda: len(log) == 5000)

    run(make_system, body)
    assert log == list(range(5000))


def test_a_told_and_a_sent_message_keep_their_order(make_system):
    log = []

    async def body(system):
        ref = system.spawn(Noting, log, mailbox=MailboxSettings(messages_max=8))
        for i in range(300):
            if i % 3:
                await ref.send(i)
            else:
                with contextlib.suppress(MailboxFull):
                    ref.tell(i)
        await until(lambda: log and log[-1] == 299)

    run(make_system, body)
    assert log == sorted(log)


def test_an_error_in_a_handler_is_raised_in_the_asker(make_system):
    async def body(system):
        ref = system.spawn(Failing)
        with pytest.raises(HandlerFailed, match="on str") as caught:
            await ref.ask("fail")
        assert isinstance(caught.value.__cause__, ValueError)
        return await ref.ask("again")

    assert run(make_system, body) == "again"


def test_no_answer_in_time_is_an_error_and_the_late_answer_is_counted(make_system):
    replies = []

    class Deferring(Actor):
        def receive(self, message):
            replies.append(self.take_reply())

    async def body(system):
        ref = system.spawn(Deferring)
        with pytest.raises(AskTimedOut, match="no answer from"):
            await ref.ask("?", timeout_s=0.02)
        await until(lambda: not replies[0].is_waiting)
        replies[0].set("late")
        await until(lambda: system.counters.late_replies == 1)

    run(make_system, body)


def test_an_asker_that_is_cancelled_goes_away_and_the_answerer_can_tell(make_system):
    replies = []

    class Deferring(Actor):
        def receive(self, message):
            replies.append(self.take_reply())

    async def body(system):
        ref = system.spawn(Deferring)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await ref.ask("?")
        await until(lambda: not replies[0].is_waiting)

    run(make_system, body)


def test_a_question_whose_asker_gave_up_is_still_handled_as_it_was_asked(make_system):
    log, opened = [], []

    async def body(system):
        ref = system.spawn(Held, log, opened)
        ref.tell("first")
        with pytest.raises(AskTimedOut):
            await ref.ask("second", timeout_s=0.01)
        opened.append(True)
        await until(lambda: len(log) == 2)

    run(make_system, body)
    assert log == ["first", "second"]


def test_a_full_mailbox_refuses_in_the_sender(make_system):
    log, opened = [], []

    async def body(system):
        ref = system.spawn(Held, log, opened, mailbox=MailboxSettings(messages_max=3))
        ref.tell(0)
        await until(lambda: system.counters.handling == 1)
        for i in range(1, 4):
            ref.tell(i)
        with pytest.raises(MailboxFull, match="3 messages"):
            ref.tell(4)
        with pytest.raises(MailboxFull):
            ref.ask(4)
        opened.append(True)
        await ref.send(5)
        await until(lambda: len(log) == 5)
        assert system.counters.refused == 2

    run(make_system, body)
    assert log == [0, 1, 2, 3, 5]


@pytest.mark.parametrize("overflow", [Overflow.DROP_NEWEST, Overflow.DROP_OLDEST])
def test_a_mailbox_that_drops_says_what(make_system, overflow):
    log, letters, opened = [], [], []

    async def body(system):
        system.dead_letters.subscribe(letters.append)
        ref = system.spawn(Held, log, opened, mailbox=MailboxSettings(messages_max=2, overflow=overflow))
        ref.tell(0)
        await until(lambda: system.counters.handling == 1)
        for i in range(1, 3):
            ref.tell(i)
        await until(lambda: system.counters.in_flight == 0)
        ref.tell(3)
        await until(lambda: system.counters.in_flight == 0)
        opened.append(True)
        await until(lambda: len(log) == 3)

    run(make_system, body)
    newest = overflow is Overflow.DROP_NEWEST
    assert log == ([0, 1, 2] if newest else [0, 2, 3])
    assert [letter.message for letter in letters] == ([3] if newest else [1])


def test_a_dropped_question_is_an_error_for_the_asker(make_system):
    opened = []

    async def body(system):
        ref = system.spawn(Held, [], opened, mailbox=MailboxSettings(messages_max=1, overflow=Overflow.DROP_NEWEST))
        ref.tell(0)
        await until(lambda: system.counters.handling == 1)
        ref.tell(1)
        with pytest.raises(AskDropped):
            await ref.ask(2)
        opened.append(True)

    run(make_system, body)


def test_an_ask_may_wait_for_room(make_system):
    log = []

    async def body(system):
        ref = system.spawn(Slow, log, mailbox=MailboxSettings(messages_max=1, overflow=Overflow.WAIT))
        ref.tell(0)
        await until(lambda: system.counters.handling == 1)
        ref.tell(1)
        return await asyncio.gather(*(ref_ask(ref, i) for i in (2, 3)))

    async def ref_ask(ref, message):
        return await ref.ask(message)

    assert run(make_system, body) == [2, 3]
    assert log == [0, 1, 2, 3]


def test_a_cancelled_send_was_not_sent(make_system):
    log, opened = [], []

    async def body(system):
        ref = system.spawn(Held, log, opened, mailbox=MailboxSettings(messages_max=1))
        ref.tell(0)
        await until(lambda: system.counters.handling == 1)
        ref.tell(1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await ref.send(2)
        opened.append(True)
        await ref.send(3)
        await until(lambda: len(log) == 3)

    run(make_system, body)
    assert log == [0, 1, 3]


def test_a_message_to_the_stopped_is_a_dead_letter_and_a_question_an_error(make_system):
    letters = []

    async def body(system):
        system.dead_letters.subscribe(letters.append)
        ref = system.spawn(Echo)
        ref.stop()
        await ref.wait_stopped()
        ref.tell(1)
        await ref.send(2)
        with pytest.raises(ActorStopped):
            await ref.ask(3)

    run(make_system, body)
    assert [letter.message for letter in letters] == [1, 2, 3]


def test_what_waits_when_the_actor_stops_becomes_dead_letters(make_system):
    letters = []

    async def body(system):
        system.dead_letters.subscribe(letters.append)
        ref = system.spawn(Held, [], [])
        question = ref.ask(0)
        for i in range(1, 4):
            ref.tell(i)
        await until(lambda: system.counters.handling == 1)
        ref.stop()
        with pytest.raises(ActorStopped):
            await question
        await until(lambda: not ref.is_alive)
        assert system.counters.lost == 1

    run(make_system, body)
    assert [letter.message for letter in letters] == [1, 2, 3]


def test_what_init_raises_is_raised_by_spawn(make_system):
    class Broken(Actor):
        def __init__(self):
            raise LookupError("no")

    async def body(system):
        with pytest.raises(LookupError, match="no"):
            system.spawn(Broken, name="x")
        return await system.spawn(Echo, name="x").ask(1)

    assert run(make_system, body) == 1


def test_a_name_is_unique_among_the_living_and_free_again(make_system):
    async def body(system):
        first = system.spawn(Echo, name="x")
        assert system.find("x") is first
        with pytest.raises(NameTaken):
            system.spawn(Echo, name="x")
        first.stop()
        await until(lambda: system.find("x") is None)
        assert system.spawn(Echo, name="x").path == "/x"

    run(make_system, body)


def test_a_failing_actor_is_made_again_and_keeps_its_ref(make_system):
    async def body(system):
        failures = []
        system.failures.subscribe(failures.append)
        ref = system.spawn(Failing, name="f")
        ref.tell("fail")
        assert await ref.ask("alive") == "alive"
        assert system.counters.restarts == 1
        assert [(failure.path, failure.message_type) for failure in failures] == [("/f", "str")]

    run(make_system, body)


@pytest.mark.parametrize("own_scheduler", [None, True])
def test_a_child_that_fails_too_often_fails_its_parent(make_system, own_scheduler):
    async def body(system):
        failures = []
        system.failures.subscribe(failures.append)
        group = system.spawn(Group, name="group")
        child = await group.ask((Failing, (), {"name": "child", "own_scheduler": own_scheduler}))
        assert child.path == "/group/child"
        for _ in range(2):
            child.tell("fail")
        await until(lambda: not child.is_alive)
        await until(lambda: any(isinstance(failure.error, ChildFailed) for failure in failures))
        again = await group.ask((Echo, (), {"name": "child"}))
        return await again.ask("up again")

    assert run(make_system, body) == "up again"


@pytest.mark.parametrize("own_scheduler", [None, True])
def test_children_stop_before_their_parents_the_last_started_first(make_system, own_scheduler):
    log = []

    class Ending(Actor):
        def __init__(self, name):
            self.name = name

        async def on_stop(self, reason):
            await asyncio.sleep(0.005)
            log.append((self.name, reason))

        def receive(self, message):
            pass

    async def body(system):
        group = system.spawn(Group, log)
        for name in "abc":
            await group.ask((Ending, (name,), {"own_scheduler": own_scheduler}))
        system.spawn(Ending, "last")

    run(make_system, body)
    assert [name for name, _ in log] == ["last", "c", "b", "a", "group"]
    assert log[0][1] is StopReason.SYSTEM


def test_a_stopped_parent_takes_its_children_along(make_system):
    log = []

    async def body(system):
        group = system.spawn(Group, log)
        child = await group.ask((Group, (log,), {"own_scheduler": True}))
        grandchild = await child.ask((Group, (log,), {"own_scheduler": True}))
        group.stop()
        await until(lambda: not group.is_alive)
        assert not child.is_alive
        assert not grandchild.is_alive

    run(make_system, body)
    assert [reason for _, reason in log] == [StopReason.PARENT, StopReason.PARENT, StopReason.STOPPED]


def test_a_watcher_hears_of_the_end_once(make_system):
    log = []

    async def body(system):
        watched = system.spawn(Echo)
        system.spawn(Watching, log, watched, watched)
        await until(lambda: is_watched(watched))
        watched.stop()
        await until(lambda: log)
        await asyncio.sleep(0.02)
        assert log == [Terminated(watched, StopReason.STOPPED)]

    run(make_system, body)


def test_watching_the_dead_tells_at_once(make_system):
    log = []

    async def body(system):
        watched = system.spawn(Echo)
        watched.stop()
        await until(lambda: not watched.is_alive)
        system.spawn(Watching, log, watched)
        await until(lambda: log)
        assert log[0].ref.path == watched.path

    run(make_system, body)


def test_an_end_can_be_waited_for_and_all_of_it_is_over_then(make_system):
    log = []

    async def body(system):
        group = system.spawn(Group, log, name="group")
        child = await group.ask((Noting, (log,), {}))
        group.stop()
        await group.wait_stopped()
        assert log == [("group", StopReason.STOPPED)]
        assert not child.is_alive
        assert system.find("group") is None
        await group.wait_stopped()  # at once, now
        await child.wait_stopped()

    run(make_system, body)


def test_a_handler_can_wait_for_anothers_end(make_system):
    async def body(system):
        assert await system.spawn(Waiting).ask(system.spawn(Echo))

    run(make_system, body)


def test_whoever_waits_for_an_end_may_give_up(make_system):
    async def body(system):
        ref = system.spawn(Echo)
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.005):
                    await ref.wait_stopped()
        assert await ref.ask("still here") == "still here"
        ref.stop()
        await ref.wait_stopped()
        assert system.counters.late_replies == 0

    run(make_system, body)


def test_who_watches_no_longer_hears_nothing(make_system):
    async def body(system):
        watched = system.spawn(Echo)
        log = [watched]
        watcher = system.spawn(Watching, log, watched)
        await until(lambda: is_watched(watched))
        await watcher.ask("unwatch")
        await until(lambda: not is_watched(watched))
        watched.stop()
        await watched.wait_stopped()
        await asyncio.sleep(0.02)
        assert log == [watched, "unwatch"]

    run(make_system, body)


def test_a_watcher_that_has_ended_is_forgotten(make_system):
    async def body(system):
        watched = system.spawn(Echo)
        watcher = system.spawn(Watching, [], watched)
        await until(lambda: is_watched(watched))
        watcher.stop()
        await until(lambda: not is_watched(watched))

    run(make_system, body)


def test_timers_and_tasks_belong_to_the_actors_own_loop(make_system):
    class Ticking(Actor):
        def __init__(self):
            self.loop = asyncio.get_running_loop()
            self.ticks = 0
            self.is_same_loop = False

        def on_start(self):
            self.start_timer("tick", "tick", delay_us=1000, interval_us=1000)
            self.start_task(self.look())

        async def look(self):
            self.is_same_loop = asyncio.get_running_loop() is self.loop

        def receive(self, message):
            if message == "tick":
                self.ticks += 1
                return None
            return self.ticks, self.is_same_loop

    async def body(system):
        ref = system.spawn(Ticking)
        async with asyncio.timeout(60):
            while (seen := await ref.ask("?"))[0] < 3 or not seen[1]:
                await asyncio.sleep(0.01)
        return seen

    ticks, is_same_loop = run(make_system, body)
    assert ticks >= 3
    assert is_same_loop


def test_a_handler_that_is_interrupted_ends_the_block(make_system):
    log = []

    class Ending(Actor):
        def receive(self, message):
            raise KeyboardInterrupt("enough")

    async def body(system):
        system.spawn(Group, log)
        system.spawn(Ending).tell(1)
        await asyncio.sleep(1000)

    with pytest.raises(KeyboardInterrupt, match="enough"):
        run(make_system, body)
    assert log == [("group", StopReason.SYSTEM)]


def test_what_does_not_stop_by_the_deadline_is_cut_off_and_named(make_system, caplog):
    caplog.set_level(logging.ERROR, "shoal.runtime")

    class Stubborn(Actor):
        async def on_stop(self, reason):
            await asyncio.sleep(1000)

        def receive(self, message):
            pass

    async def body(system):
        system.spawn(Stubborn, name="mule")

    run(make_system, body, stop_timeout_s=0.1)
    assert "/mule" in caplog.text


def test_a_temporary_actor_that_fails_is_gone(make_system):
    async def body(system):
        ref = system.spawn(Failing, restart=Restart.TEMPORARY)
        ref.tell("fail")
        await until(lambda: not ref.is_alive)

    run(make_system, body)


def test_counters_add_up_while_everything_moves(make_system):
    async def body(system):
        group = system.spawn(Group)
        refs = [await group.ask((Failing, (), {"restart": Restart.TEMPORARY})) for _ in range(5)]
        refs += [system.spawn(Failing) for _ in range(5)]
        for i in range(2000):
            with contextlib.suppress(MailboxFull):
                refs[i % 10].tell("fail" if i % 500 == 499 else i)
        for ref in refs[::3]:
            ref.stop()
        await until(lambda: (c := system.counters).queued == c.in_flight == c.handling == 0)
        counters = system.counters
        assert adds_up(counters)
        assert counters.handled + counters.lost + sum(counters.dead_letters.values()) + counters.refused >= 2000

    run(make_system, body)


@pytest.mark.parametrize("own_scheduler", [None, True])
def test_a_question_that_is_forwarded_is_answered_by_the_other(make_system, own_scheduler):
    class Forwarding(Actor):
        def on_start(self):
            self.other = self.spawn(Echo, own_scheduler=own_scheduler)

        def receive(self, message):
            self.forward(self.other, message)

    async def body(system):
        ref = system.spawn(Forwarding)
        return [await ref.ask(i) for i in range(3)]

    assert run(make_system, body) == [0, 1, 2]


def test_a_question_forwarded_to_the_stopped_is_an_error(make_system):
    class Forwarding(Actor):
        def __init__(self, other):
            self.other = other

        def receive(self, message):
            self.forward(self.other, message)

    async def body(system):
        other = system.spawn(Echo)
        ref = system.spawn(Forwarding, other)
        other.stop()
        await until(lambda: not other.is_alive)
        with pytest.raises(ActorStopped):
            await ref.ask(1)

    run(make_system, body)
