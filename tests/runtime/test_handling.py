"""What an actor does with the message in hand: forward, stash, become."""

import asyncio
import logging
import re

import pytest

from shoal.runtime import (
    Actor,
    ActorStopped,
    ActorSystem,
    AskTimedOut,
    BehaviourLimit,
    MailboxFull,
    MailboxSettings,
    NotInHand,
    Overflow,
    Restart,
    StashFull,
)
from shoal.runtime.testing import ManualSystem, run_virtual


class Calling(Actor):
    """Calls what it is told with itself and the message."""

    def __init__(self):
        self.log = []

    def receive(self, message):
        return message(self)


class Echo(Actor):
    def receive(self, message):
        return ("echo", message)


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL, "shoal.runtime")


@pytest.fixture
def system():
    system = ManualSystem()
    yield system
    system.shut_down()


def answer(system, ref, message):
    reply = ref.ask(message)
    system.run_until_idle()
    return reply.result()


def balance(system):
    c = system.counters
    return c.sent - c.handled - c.lost - sum(c.dead_letters.values()) - c.queued - c.handling


# forward


def test_a_forwarded_question_is_answered_by_whom_it_reached(system):
    echo = system.spawn(Echo)
    assert answer(system, system.spawn(Calling), lambda me: me.forward(echo, "hello")) == ("echo", "hello")
    assert balance(system) == 0


def test_a_question_is_forwarded_over_many_hops_within_the_askers_time_out(system):
    silent = system.spawn(Calling)
    middle = system.spawn(Calling)
    reply = middle.ask(lambda me: me.forward(silent, lambda other: other.take_reply()), timeout_s=1)
    system.advance_us(1_000_000)
    with pytest.raises(AskTimedOut, match=re.escape(silent.path)):
        reply.result()


def test_what_was_told_is_told_on(system):
    log = []
    target = system.spawn(Calling)
    system.spawn(Calling).tell(lambda me: me.forward(target, lambda other: log.append(other.ref)))
    system.run_until_idle()
    assert log == [target]


def test_a_forward_to_the_dead_ends_the_question(system):
    dead = system.spawn(Echo)
    dead.stop()
    system.run_until_idle()
    with pytest.raises(ActorStopped):
        answer(system, system.spawn(Calling), lambda me: me.forward(dead, "hello"))


def test_a_forward_that_is_refused_leaves_the_question_with_the_forwarder(system):
    full = system.spawn(Echo, mailbox=MailboxSettings(1))

    def forward(me):
        full.tell("fills it")
        try:
            me.forward(full, "no room")
        except MailboxFull:
            return "mine still"

    assert answer(system, system.spawn(Calling), forward) == "mine still"
    assert balance(system) == 0


def test_a_forward_waits_for_room_where_questions_wait(system):
    slow = system.spawn(Echo, mailbox=MailboxSettings(1, Overflow.WAIT))

    def forward(me):
        slow.tell("fills it")
        me.forward(slow, "later")

    assert answer(system, system.spawn(Calling), forward) == ("echo", "later")
    assert balance(system) == 0


def test_a_question_whose_time_was_up_in_the_mailbox_is_handled_as_it_was_asked(system):
    seen = []

    class Slow(Actor):
        async def receive(self, message):
            seen.append(message)
            if message == "first":
                await silent.ask(lambda me: me.take_reply(), timeout_s=1)

    silent = system.spawn(Calling)
    slow = system.spawn(Slow)
    slow.tell("first")
    reply = slow.ask("second", timeout_s=0.1)
    system.advance_us(2_000_000)
    assert isinstance(reply.value, AskTimedOut)
    assert seen == ["first", "second"]


# stash


class Gate(Actor):
    """Puts everything aside until it is opened."""

    def __init__(self, log):
        self.log, self.is_open = log, False

    def receive(self, message):
        if message == "open":
            self.is_open = True
            return self.unstash()
        if message == "crash":
            raise ValueError
        if not self.is_open:
            return self.stash(message)
        self.log.append(message)
        return message


def test_what_was_put_aside_comes_in_its_old_order_ahead_of_what_waits(system):
    log = []
    gate = system.spawn(Gate, log)
    for message in (1, 2, "open", 3):
        gate.tell(message)
    system.run_until_idle()
    assert log == [1, 2, 3]
    assert balance(system) == 0


def test_a_question_that_was_put_aside_is_answered_later(system):
    gate = system.spawn(Gate, [])
    reply = gate.ask("question")
    system.run_until_idle()
    assert not reply.done()
    assert system.counters.queued == 1
    assert answer(system, gate, "open") == 1
    assert reply.result() == "question"


def test_a_stash_has_a_limit(system):
    gate = system.spawn(Gate, [], mailbox=MailboxSettings(stash_max=2))
    failures = []
    system.failures.subscribe(lambda failure: failures.append(type(failure.error)))
    for message in (1, 2, 3):
        gate.tell(message)
    system.run_until_idle()
    assert failures == [StashFull]


def test_what_was_put_aside_survives_a_restart(system):
    log = []
    gate = system.spawn(Gate, log)
    for message in (1, "crash", "open", 2):
        gate.tell(message)
    system.run_until_idle()
    assert log == [1, 2]
    assert balance(system) == 0


def test_what_was_put_aside_is_a_dead_letter_at_the_end(system):
    gate = system.spawn(Gate, [])
    reply = gate.ask("question")
    gate.tell("told")
    system.run_until_idle()
    gate.stop()
    system.run_until_idle()
    assert system.counters.dead_letters == {"stopped": 2}
    with pytest.raises(ActorStopped):
        reply.result()
    assert balance(system) == 0


# become


class Light(Actor):
    def receive(self, message):
        if message == "crash":
            raise ValueError
        self.become(self.green, stacked=message == "stack")
        return "red"

    def green(self, message):
        if message == "back":
            self.unbecome()
        elif message == "crash":
            raise ValueError
        elif message == "function":
            self.become(lambda other: f"function of {other}")
        return "green"


def test_become_takes_effect_with_the_next_message(system):
    light = system.spawn(Light)
    assert [answer(system, light, "go") for _ in range(3)] == ["red", "green", "green"]


def test_unbecome_goes_back_to_receive(system):
    light = system.spawn(Light)
    assert [answer(system, light, m) for m in ("go", "back", "go")] == ["red", "green", "red"]


def test_stacked_behaviours_come_back_one_by_one(system):
    me = system.spawn(Calling)

    def third(message):
        return "third"

    def second(message):
        if message == "on":
            actor.become(third, stacked=True)
        elif message == "back":
            actor.unbecome()
        return "second"

    actor = answer(system, me, lambda me: me)
    answer(system, me, lambda me: me.become(second, stacked=True))
    assert [answer(system, me, m) for m in ("x", "on", "x")] == ["second", "second", "third"]
    actor.unbecome()
    assert answer(system, me, "back") == "second"
    assert answer(system, me, lambda me: "receive") == "receive"


def test_any_function_may_be_a_behaviour(system):
    light = system.spawn(Light)
    assert [answer(system, light, m) for m in ("go", "function", "x")] == ["red", "green", "function of x"]


def test_a_restart_forgets_behaviours(system):
    light = system.spawn(Light)
    answer(system, light, "stack")
    light.tell("crash")
    assert answer(system, light, "x") == "red"


def test_stacked_behaviours_have_a_limit(system):
    def loop(me):
        for _ in range(100):
            me.become(lambda message: None, stacked=True)

    failures = []
    system.failures.subscribe(lambda failure: failures.append(type(failure.error)))
    system.spawn(Calling).tell(loop)
    system.run_until_idle()
    assert failures == [BehaviourLimit]


# only the message in hand, and once


class Careless(Actor):
    """Does with messages what it is told to, and notes what is said of that."""

    def __init__(self, log):
        self.log = log

    def attempt(self, what, message):
        try:
            getattr(self, what)(message)
        except NotInHand as error:
            self.log.append(str(error))

    def receive(self, message):
        if message == "open":
            self.unstash()
        for what in message.split() if message.startswith(("stash", "unhandled")) else ():
            self.attempt(what, message)
        if message.startswith("other"):
            self.attempt(message.split()[1], "another")
        if message.endswith("fail"):
            self.stash(message)
            raise ValueError
        if message.endswith("wait"):
            self.attempt("stash", message)
            return self.wait(message)
        return None

    async def wait(self, message):
        await self.system.find("silence").ask("wait")
        self.attempt("stash", message)


class Waiting(Careless):
    async def receive(self, message):
        if message == "yours":
            self.attempt("unhandled", "another")
        self.attempt("stash", message)
        await self.system.find("silence").ask("wait")
        self.attempt("stash", message)


class Silence(Actor):
    def receive(self, message):
        if message == "wait":
            self.reply = self.take_reply()
        else:
            self.reply.set(None)


def is_balanced(system):
    c = system.counters
    return balance(system) == 0 and min(c.handled, c.lost, c.queued, c.handling) >= 0


@pytest.mark.parametrize("twice", ["stash stash", "stash unhandled", "unhandled stash", "unhandled unhandled"])
def test_the_message_in_hand_is_put_aside_or_refused_once(system, twice):
    log = []
    system.spawn(Careless, log).tell(twice)
    system.run_until_idle()
    (said,) = log
    assert "given away before" in said
    assert is_balanced(system)
    assert system.counters.sent == 1


@pytest.mark.parametrize("what", ["stash", "unhandled"])
def test_what_is_not_in_hand_is_neither_put_aside_nor_refused(system, what):
    log = []
    system.spawn(Careless, log).tell(f"other {what}")
    system.run_until_idle()
    assert len(log) == 1
    assert (system.counters.handled, system.counters.sent) == (1, 1)


@pytest.mark.parametrize("hook", ["on_start", "on_stop"])
def test_hooks_have_no_message_in_hand(system, hook):
    class Early(Actor):
        def receive(self, message):
            pass

    def attempt(actor, *_):
        with pytest.raises(NotInHand):
            actor.stash("never sent")
        seen.append(hook)

    seen = []
    setattr(Early, hook, attempt)
    ref = system.spawn(Early)
    system.run_until_idle()
    ref.stop()
    system.run_until_idle()
    assert seen == [hook]
    assert system.counters.sent == system.counters.handled == 0


def test_a_task_has_no_message_in_hand_but_that_of_the_handler_that_waits():
    async def body():
        async with ActorSystem() as system:
            said = []

            class Both(Actor):
                async def receive(self, message):
                    if message == "task":
                        await self.start_task(self.beside(message))
                    else:
                        self.start_task(self.beside(message))

                async def beside(self, message):
                    await asyncio.sleep(1)
                    try:
                        self.stash(message)
                    except NotInHand:
                        said.append(message)

            ref = system.spawn(Both)
            ref.tell("over by then")
            await asyncio.sleep(10)
            assert said == ["over by then"]
            assert system.counters.queued == 0

    run_virtual(body())


def test_a_message_that_was_put_aside_before_its_handler_failed_is_not_lost(system):
    log = []
    ref = system.spawn(Careless, log, restart=Restart.TEMPORARY)
    ref.tell("then fail")
    system.run_until_idle()
    assert is_balanced(system)
    assert (system.counters.handled, system.counters.lost) == (0, 0)
    assert system.counters.dead_letters == {"stopped": 1}


@pytest.mark.parametrize("kind", [Careless, Waiting])
def test_a_handler_that_waits_puts_its_message_aside_once_and_counts_for_nothing_else(system, kind):
    log = []
    silence = system.spawn(Silence, name="silence")
    ref = system.spawn(kind, log)
    ref.tell("then wait")
    system.run_until_idle()
    counters = system.counters
    assert (counters.sent, counters.handled, counters.handling, counters.queued) == (2, 1, 0, 1)
    silence.tell("go on")
    system.run_until_idle()
    assert len(log) == 1
    counters = system.counters
    assert (counters.sent, counters.handled, counters.handling, counters.queued) == (3, 2, 0, 1)
    ref.stop()
    system.run_until_idle()
    assert is_balanced(system)


def test_a_stop_of_a_handler_that_has_put_its_message_aside_loses_nothing(system):
    system.spawn(Silence, name="silence")
    ref = system.spawn(Waiting, [])
    ref.tell("yours")
    system.run_until_idle()
    ref.stop()
    system.run_until_idle()
    assert is_balanced(system)
    assert system.counters.lost == 0
    assert system.counters.dead_letters == {"stopped": 1}


def test_what_a_handler_sees_of_the_counts_is_right_while_it_gives_its_message_away(system):
    seen = []

    class Looking(Actor):
        def receive(self, message):
            self.stash(message)
            seen.append(self.system.counters)

    system.spawn(Looking).tell("x")
    system.run_until_idle()
    assert [(c.sent, c.handled, c.handling, c.queued) for c in seen] == [(1, 0, 0, 1)]
