"""Timers that send an actor messages."""

import asyncio
import logging

import pytest

from shoal.runtime import Actor, ActorSystem, AskTimedOut, MailboxSettings
from shoal.runtime.testing import ManualSystem


class Ticking(Actor):
    def __init__(self, log):
        self.log = log

    def receive(self, message):
        if callable(message):
            return message(self)
        self.log.append((self.now_us, message))
        return None


@pytest.fixture
def system():
    system = ManualSystem()
    yield system
    system.shut_down()


def ticking(system, start, **options):
    log = []
    ref = system.spawn(Ticking, log, **options)
    ref.tell(start)
    system.run_until_idle()
    return ref, log


def test_a_timer_sends_its_message_after_the_delay(system):
    _, log = ticking(system, lambda actor: actor.start_timer("k", "tick", delay_us=500))
    system.advance_us(499)
    assert log == []
    system.advance_us(10_000)
    assert log == [(500, "tick")]


def test_an_interval_repeats_from_the_first_delay_on(system):
    _, log = ticking(system, lambda actor: actor.start_timer("k", "tick", delay_us=5, interval_us=100))
    system.advance_us(250)
    assert log == [(5, "tick"), (105, "tick"), (205, "tick")]


def test_intervals_missed_while_the_loop_was_late_are_skipped(system):
    _, log = ticking(system, lambda actor: actor.start_timer("k", "tick", delay_us=100, interval_us=100))
    system.driver.clock.advance_us(1050)
    system.advance_us(0)
    assert log == [(1050, "tick")]
    system.advance_us(60)
    assert log[1:] == [(1100, "tick")]


def test_a_fixed_delay_counts_from_when_the_message_was_last_sent(system):
    _, log = ticking(system, lambda actor: actor.start_timer("k", "tick", delay_us=100, fixed_delay_us=100))
    system.driver.clock.advance_us(1050)
    system.advance_us(0)
    system.advance_us(250)
    assert log == [(1050, "tick"), (1150, "tick"), (1250, "tick")]


def test_a_fixed_delay_is_cancelled_and_replaced_like_others(system):
    ref, log = ticking(system, lambda actor: actor.start_timer("k", "tick", delay_us=10, fixed_delay_us=10))
    ref.ask(lambda actor: actor.start_timer("k", "tock", delay_us=10, fixed_delay_us=10))
    system.advance_us(20)
    ref.ask(lambda actor: actor.cancel_timer("k"))
    system.advance_us(1000)
    assert log == [(10, "tock"), (20, "tock")]


def test_a_timer_has_a_rate_or_a_delay_and_not_both(system):
    errors = []

    def start(actor):
        try:
            actor.start_timer("k", "tick", delay_us=1, interval_us=1, fixed_delay_us=1)
        except ValueError as error:
            errors.append(str(error))

    ticking(system, start)
    assert "both given" in errors[0]


def test_a_timer_of_the_same_key_is_replaced(system):
    def start(actor):
        actor.start_timer("k", "old", delay_us=100)
        actor.start_timer("k", "new", delay_us=200)
        actor.start_timer("other", "other", delay_us=300)

    _, log = ticking(system, start)
    system.advance_us(1000)
    assert [message for _, message in log] == ["new", "other"]


def test_a_cancelled_timer_sends_nothing(system):
    ref, log = ticking(system, lambda actor: actor.start_timer("k", "tick", delay_us=100, interval_us=100))
    answers = [ref.ask(lambda actor: actor.cancel_timer("k")) for _ in range(2)]
    system.advance_us(1000)
    assert [answer.result() for answer in answers] == [True, False]
    assert log == []


def test_timers_end_with_their_actor(system):
    ref, log = ticking(system, lambda actor: actor.start_timer("k", "tick", delay_us=100, interval_us=100))
    ref.stop()
    system.advance_us(1000)
    assert log == []
    assert len(system._life.scheduler.timers) == 0


def test_a_timer_that_meets_a_full_mailbox_makes_a_dead_letter(system):
    ref, _ = ticking(
        system,
        lambda actor: actor.start_timer("k", "tick", delay_us=100),
        mailbox=MailboxSettings(messages_max=1),
    )
    system.driver.clock.advance_us(100)
    ref.tell("first")
    system.advance_us(0)
    assert system.counters.dead_letters == {"timer_refused": 1}


@pytest.mark.parametrize(("delay_us", "interval_us"), [(-1, None), (0, 0), (0, -5)])
def test_times_that_make_no_sense_are_refused_at_the_call(system, delay_us, interval_us):
    errors = []

    def start(actor):
        try:
            actor.start_timer("k", "tick", delay_us=delay_us, interval_us=interval_us)
        except ValueError as error:
            errors.append(error)

    ticking(system, start)
    assert len(errors) == 1


def test_a_key_that_cannot_be_one_is_refused_and_leaves_no_timer():
    """The first timer of an actor is set in another way than those that follow."""
    left = []

    def start(actor):
        for _ in range(2):
            before = len(actor.ref.scheduler.timers)
            with pytest.raises(TypeError, match="unhashable"):
                actor.start_timer([], "tick", delay_us=1_000_000)
            left.append(len(actor.ref.scheduler.timers) - before)
            actor.start_timer("k", "tick", delay_us=1_000_000)

    async def main():
        async with ActorSystem() as system:
            await system.spawn(Ticking, []).ask(start)

    asyncio.run(main())
    assert left == [0, 0]


class Parting(Actor):
    """Sets a timer as it ends; a failing one starts again."""

    def __init__(self, log):
        self.log = log

    def on_stop(self, reason):
        self.start_timer("late", "late", delay_us=100, interval_us=100)

    def receive(self, message):
        if message == "fail":
            raise ValueError
        self.log.append(message)


class PartingSlowly(Parting):
    async def on_stop(self, reason):
        super().on_stop(reason)
        with pytest.raises(AskTimedOut):
            await self.system.find("silence").ask("x", timeout_s=0.001)


class Silence(Actor):
    def receive(self, message):
        self.take_reply()


@pytest.mark.parametrize("kind", [Parting, PartingSlowly])
def test_a_timer_that_is_set_by_the_stop_hook_is_none_of_the_next_instance(system, kind, caplog):
    caplog.set_level(logging.CRITICAL, "shoal.runtime")
    log = []
    system.spawn(Silence, name="silence")
    ref = system.spawn(kind, log)
    ref.tell("fail")
    system.advance_us(1_000_000)
    ref.tell("alive")
    system.run_until_idle()
    assert log == ["alive"]
    ref.stop()
    system.advance_us(1_000_000)
    assert len(system._life.scheduler.timers) == 0
