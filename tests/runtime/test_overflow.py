"""Full mailboxes: what each policy does, and how senders wait."""

import asyncio

import pytest

from shoal.runtime import Actor, ActorStopped, ActorSystem, DeadLetterReason, MailboxFull, MailboxSettings, Overflow
from shoal.runtime.testing import ManualSystem, run_virtual


class Recorder(Actor):
    def __init__(self, log):
        self.log = log

    def receive(self, message):
        self.log.append(message)


@pytest.fixture
def system():
    system = ManualSystem()
    yield system
    system.shut_down()


def recorder(system, overflow, messages_max=2):
    log = []
    return system.spawn(Recorder, log, mailbox=MailboxSettings(messages_max, overflow), name="box"), log


@pytest.mark.parametrize("overflow", [Overflow.FAIL, Overflow.WAIT])
def test_a_tell_that_finds_no_room_raises_in_the_sender(system, overflow):
    ref, log = recorder(system, overflow)
    ref.tell(1)
    ref.tell(2)
    with pytest.raises(MailboxFull, match=r"mailbox of /box is full \(2 messages\)") as raised:
        ref.tell(3)
    assert (raised.value.path, raised.value.messages_max) == ("/box", 2)
    system.run_until_idle()
    assert log == [1, 2]
    assert system.counters.refused == 1
    assert system.counters.sent == 2


@pytest.mark.parametrize(
    ("overflow", "kept", "dropped", "reason"),
    [
        (Overflow.DROP_NEWEST, [1, 2], [3, 4], DeadLetterReason.DROPPED_NEWEST),
        (Overflow.DROP_OLDEST, [3, 4], [1, 2], DeadLetterReason.DROPPED_OLDEST),
        (Overflow.DROP_NEWEST, [1], [2, 3, 4], DeadLetterReason.DROPPED_NEWEST),
        (Overflow.DROP_OLDEST, [4], [1, 2, 3], DeadLetterReason.DROPPED_OLDEST),
    ],
)
def test_dropped_messages_are_dead_letters(system, overflow, kept, dropped, reason):
    letters = []
    system.dead_letters.subscribe(letters.append)
    ref, log = recorder(system, overflow, messages_max=len(kept))
    for i in (1, 2, 3, 4):
        ref.tell(i)
    system.run_until_idle()
    assert log == kept
    assert [(letter.ref, letter.message, letter.reason) for letter in letters] == [(ref, m, reason) for m in dropped]
    assert system.counters.dead_letters == {reason.value: len(dropped)}


def test_a_message_to_the_stopped_is_a_dead_letter_and_no_error(system):
    letters = []
    system.dead_letters.subscribe(letters.append)
    ref, _ = recorder(system, Overflow.FAIL)
    ref.stop()
    system.run_until_idle()
    ref.tell("anyone?")
    assert [(letter.ref.path, letter.message, letter.reason) for letter in letters] == [
        ("/box", "anyone?", DeadLetterReason.STOPPED)
    ]


@pytest.mark.parametrize("overflow", list(Overflow))
def test_send_waits_for_room_whatever_the_policy_first_come_first_served(overflow):
    async def main():
        async with ActorSystem() as system:
            ref, log = recorder(system, overflow)
            await asyncio.gather(*(ref.send(i) for i in range(20)))
            await asyncio.sleep(0.01)
            return log

    assert run_virtual(main()) == list(range(20))


def test_a_cancelled_send_was_not_sent():
    async def main():
        log = []
        gate = asyncio.Event()

        class Gated(Actor):
            async def receive(self, message):
                await gate.wait()
                log.append(message)

        async with ActorSystem() as system:
            ref = system.spawn(Gated, mailbox=MailboxSettings(1))
            ref.tell(1)
            await asyncio.sleep(0.01)
            ref.tell(2)
            tasks = [asyncio.ensure_future(ref.send(i)) for i in (3, 4)]
            await asyncio.sleep(0.01)
            tasks[0].cancel()
            gate.set()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0.01)
            return log, [type(outcome) for outcome in outcomes]

    assert run_virtual(main()) == ([1, 2, 4], [asyncio.CancelledError, type(None)])


def test_a_send_that_waits_fails_when_the_actor_stops():
    async def main():
        async with ActorSystem() as system:

            class Stuck(Actor):
                async def receive(self, message):
                    await asyncio.sleep(1000)

            ref = system.spawn(Stuck, mailbox=MailboxSettings(1))
            ref.tell("in handling")
            await asyncio.sleep(0.01)
            ref.tell("waiting")
            task = asyncio.ensure_future(ref.send("for room"))
            await asyncio.sleep(0.01)
            ref.stop()
            with pytest.raises(ActorStopped):
                await task

    run_virtual(main())


def test_no_more_than_a_thousand_senders_wait(system):
    ref, _ = recorder(system, Overflow.WAIT)
    for i in range(2 + 1024):
        ref.ask(i)
    with pytest.raises(MailboxFull):
        ref.ask("one too many")
    with pytest.raises(MailboxFull):
        ref.send("one too many").send(None)  # the first step of the coroutine, which takes it no further


def test_a_mailbox_without_room_for_a_message_is_refused():
    with pytest.raises(ValueError, match="messages_max is 0"):
        MailboxSettings(messages_max=0)


def test_a_subscriber_that_raises_harms_nobody(system, caplog):
    def broken(letter):
        raise ValueError("observer")

    seen = []
    system.dead_letters.subscribe(broken)
    subscription = system.dead_letters.subscribe(seen.append)
    ref, _ = recorder(system, Overflow.DROP_NEWEST, 1)
    ref.tell(1)
    ref.tell(2)
    assert len(seen) == 1
    assert "a subscriber failed" in caplog.text
    subscription.close()
    subscription.close()
    ref.tell(3)
    assert len(seen) == 1
