"""Questions and answers."""

import asyncio
import logging
import time

import pytest

from shoal.runtime import (
    Actor,
    ActorStopped,
    ActorSystem,
    AskDropped,
    AskTimedOut,
    MailboxFull,
    MailboxSettings,
    NotHandlingAsk,
    Overflow,
)
from shoal.runtime.testing import ManualSystem, run_virtual


class Echo(Actor):
    def receive(self, message):
        return message


class Deferring(Actor):
    """Keeps the replies for the test to answer."""

    def __init__(self, replies):
        self.replies = replies

    def receive(self, message):
        self.replies.append(self.take_reply())
        return "not this"


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


def test_what_a_handler_returns_is_the_answer(system):
    reply = system.spawn(Echo).ask("hello")
    assert reply.is_waiting
    system.run_until_idle()
    assert reply.result() == "hello"


def test_no_answer_in_time_is_an_error_and_a_later_one_is_counted_and_dropped(system):
    replies = []
    reply = system.spawn(Deferring, replies).ask("?", timeout_s=2)
    system.advance_us(1_999_999)
    assert reply.is_waiting
    system.advance_us(1)
    assert not reply.is_waiting
    with pytest.raises(AskTimedOut, match="no answer from"):
        reply.result()
    assert replies[0].set("late") is False
    assert system.counters.late_replies == 1


class Slow(Actor):
    """Keeps what it was told, and takes three seconds for each."""

    def __init__(self, told):
        self.told = told

    async def receive(self, message):
        self.told.append(message)
        await asyncio.sleep(3)


def test_a_question_whose_asker_stopped_waiting_before_it_was_taken_up_is_handled_as_it_was_put():
    async def body(system):
        told = []
        ref = system.spawn(Slow, told)
        ref.tell("busy")
        given_up = asyncio.ensure_future(ask(ref, "cancelled", 60))
        timed_out = asyncio.ensure_future(ask(ref, "timed out", 1))
        await asyncio.sleep(0.5)
        given_up.cancel()
        await asyncio.gather(given_up, timed_out, return_exceptions=True)
        await asyncio.sleep(20)
        return told, timed_out.exception()

    async def ask(ref, message, timeout_s):
        return await ref.ask(message, timeout_s=timeout_s)

    told, error = in_virtual_time(body)
    assert told == ["busy", "cancelled", "timed out"]
    assert isinstance(error, AskTimedOut)


def test_an_answered_question_leaves_no_timer_behind(system):
    system.spawn(Echo).ask("hello")
    system.run_until_idle()
    assert len(system._life.scheduler.timers) == 0


def test_a_deferred_reply_answers_later_and_only_once(system):
    replies = []
    reply = system.spawn(Deferring, replies).ask("?")
    system.run_until_idle()
    assert reply.is_waiting
    assert replies[0].set(42) is True
    assert replies[0].set(43) is False
    assert reply.result() == 42


def test_a_deferred_reply_may_be_an_error_raised_as_it_is(system):
    replies = []
    reply = system.spawn(Deferring, replies).ask("?")
    system.run_until_idle()
    replies[0].fail(KeyError("missing"))
    with pytest.raises(KeyError, match="missing"):
        reply.result()


def test_a_reply_told_to_another_actor_is_a_message_like_any_other(system):
    replies, seen = [], []

    class Worker(Actor):
        def receive(self, message):
            seen.append(message)
            message.set("worked")

    reply = system.spawn(Deferring, replies).ask("?")
    system.run_until_idle()
    system.spawn(Worker).tell(replies[0])
    system.run_until_idle()
    assert seen == [replies[0]]
    assert reply.result() == "worked"


def test_there_is_no_reply_to_take_for_a_message_that_was_told(system):
    errors = []

    class Taker(Actor):
        def receive(self, message):
            try:
                self.take_reply()
            except NotHandlingAsk as error:
                errors.append(error)

    system.spawn(Taker).tell(1)
    system.run_until_idle()
    assert len(errors) == 1


def test_asking_the_stopped_fails_at_once(system):
    ref = system.spawn(Echo)
    ref.stop()
    system.run_until_idle()
    with pytest.raises(ActorStopped):
        ref.ask("anyone?").result()


def test_questions_still_waiting_when_the_actor_stops_fail(system):
    ref = system.spawn(Echo)
    reply = ref.ask("?")
    ref.stop()
    system.run_until_idle()
    with pytest.raises(ActorStopped):
        reply.result()


def test_asking_a_full_mailbox_raises_at_the_call(system):
    ref = system.spawn(Echo, mailbox=MailboxSettings(messages_max=1))
    ref.tell(1)
    with pytest.raises(MailboxFull, match="1 messages"):
        ref.ask(2)


def test_a_question_dropped_for_want_of_room_fails(system):
    ref = system.spawn(Echo, mailbox=MailboxSettings(messages_max=1, overflow=Overflow.DROP_OLDEST))
    first = ref.ask(1)
    second = ref.ask(2)
    system.run_until_idle()
    with pytest.raises(AskDropped):
        first.result()
    assert second.result() == 2


def test_under_the_wait_policy_a_question_waits_for_room(system):
    ref = system.spawn(Echo, mailbox=MailboxSettings(messages_max=1, overflow=Overflow.WAIT))
    replies = [ref.ask(i) for i in range(5)]
    system.run_until_idle()
    assert [reply.result() for reply in replies] == [0, 1, 2, 3, 4]


def test_tasks_and_handlers_and_asyncio_itself_can_wait_for_an_answer():
    async def body(system):
        inner = system.spawn(Echo)

        class Middle(Actor):
            async def receive(self, message):
                return await inner.ask(message + 1)

        ref = system.spawn(Middle)
        assert await ref.ask(1) == 2
        assert await asyncio.wait_for(ref.ask(2), 1) == 3
        assert await asyncio.gather(*(ref.ask(i) for i in range(5))) == [1, 2, 3, 4, 5]

    in_virtual_time(body)


def test_an_answer_that_is_there_already_is_not_waited_for():
    async def body(system):
        reply = system.spawn(Echo).ask("x")
        await asyncio.sleep(0.01)
        assert reply.done()
        assert await reply == "x"

    in_virtual_time(body)


def test_an_asker_that_is_cancelled_goes_away_and_the_answerer_can_tell():
    async def body(system):
        replies = []
        ref = system.spawn(Deferring, replies)

        async def asker():
            await ref.ask("?")

        task = asyncio.create_task(asker())
        await asyncio.sleep(0.01)
        assert replies[0].is_waiting
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not replies[0].is_waiting
        assert len(system._life.scheduler.timers) == 0

    in_virtual_time(body)


@pytest.mark.parametrize("is_cut_off", [False, True])
def test_a_question_that_nobody_answered_ends_with_the_system(is_cut_off):
    class Stubborn(Deferring):
        async def on_stop(self, reason):
            await asyncio.sleep(1000 if is_cut_off else 0)

    async def asker(ref):
        try:
            await ref.ask("?", timeout_s=1_000_000)
        except ActorStopped as error:
            return error

    async def main():
        async with ActorSystem(stop_timeout_s=1) as system:
            task = asyncio.create_task(asker(system.spawn(Stubborn, [])))
            await asyncio.sleep(0.1)
        return await asyncio.wait_for(task, 1)

    assert isinstance(run_virtual(main()), ActorStopped)


def test_a_question_ends_with_a_stop_that_was_cancelled():
    class Stubborn(Deferring):
        async def on_stop(self, reason):
            await asyncio.sleep(1000)

    async def asker(ref):
        with pytest.raises(ActorStopped):
            await ref.ask("?", timeout_s=1_000_000)
        return "ended"

    async def main():
        system = ActorSystem()
        system.start()
        task = asyncio.create_task(asker(system.spawn(Stubborn, [])))
        await asyncio.sleep(0.1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(system.stop(), 0.1)
        return await asyncio.wait_for(task, 1)

    assert run_virtual(main()) == "ended"


def test_a_reply_that_two_tasks_await_tells_the_second_so():
    async def body(system):
        reply = system.spawn(Deferring, []).ask("?")

        async def wait():
            return await reply

        first = asyncio.create_task(wait())
        await asyncio.sleep(0.01)
        with pytest.raises(RuntimeError, match="awaited already"):
            await wait()
        reply.set(1)
        return await first

    assert in_virtual_time(body) == 1


def test_a_timeout_around_an_ask_ends_it():
    async def body(system):
        ref = system.spawn(Deferring, [])
        started = system.now_us
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await ref.ask("?")
        assert 500_000 <= system.now_us - started < 600_000

    in_virtual_time(body)


def test_asking_oneself_ends_with_the_time_out(caplog):
    caplog.set_level(logging.CRITICAL, "shoal.runtime")

    async def body(system):
        class Narcissus(Actor):
            async def receive(self, message):
                return await self.ref.ask("?", timeout_s=1)

        with pytest.raises(Exception, match="no answer") as raised:
            await system.spawn(Narcissus).ask("?", timeout_s=9)
        assert isinstance(raised.value.__cause__, AskTimedOut)

    in_virtual_time(body)


def test_a_time_out_counts_from_the_question_and_not_from_when_its_asker_began_to_compute():
    class Answering(Actor[str]):
        def receive(self, message):
            return "answer"

    class Computing(Actor[str]):
        async def receive(self, message):
            other = self.system.spawn(Answering)
            time.sleep(0.6)  # stands for work that holds the loop; in virtual time it would take none
            return await other.ask("?", timeout_s=0.5)

    async def main():
        async with ActorSystem() as system:
            return await system.spawn(Computing).ask("go", timeout_s=60)

    assert asyncio.run(main()) == "answer"
