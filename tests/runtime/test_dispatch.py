"""Handlers by the type of message."""

import logging
from dataclasses import dataclass
from unittest.mock import MagicMock

import pytest

from shoal.runtime import Actor, DeadLetterReason, UnhandledMessage, handler
from shoal.runtime.testing import ManualSystem, Probe


@dataclass
class Deposit:
    amount: int


try:
    from msgspec import Struct
except ModuleNotFoundError:  # it has no wheel for a Python without the GIL, and the runtime does not need it

    @dataclass
    class Withdraw:
        amount: int

else:

    class Withdraw(Struct):
        amount: int


class Balance:
    pass


class Statement(Balance):
    pass


class Account(Actor[Deposit | Withdraw | Balance]):
    def __init__(self):
        self.cents = 0

    @handler
    def deposit(self, message: Deposit) -> None:
        self.cents += message.amount

    @handler
    async def withdraw(self, message: Withdraw) -> int:
        self.cents -= message.amount
        return self.cents

    @handler(Balance)
    def tell_balance(self, message):
        yield
        return self.cents


@pytest.fixture
def system():
    system = ManualSystem()
    yield system
    system.shut_down()


def answer(system, ref, message):
    reply = ref.ask(message)
    system.run_until_idle()
    return reply.result()


def test_each_message_goes_to_the_handler_of_its_type_be_it_plain_async_or_a_generator(system):
    account = system.spawn(Account)
    account.tell(Deposit(10))
    assert answer(system, account, Withdraw(3)) == 7
    assert answer(system, account, Balance()) == 7


def test_a_message_of_a_derived_class_goes_to_the_nearest_handler(system):
    assert answer(system, system.spawn(Account), Statement()) == 0


def test_a_message_without_a_handler_is_a_dead_letter_and_no_failure(system):
    letters = []
    system.dead_letters.subscribe(letters.append)
    account = system.spawn(Account)
    account.tell("what?")
    system.run_until_idle()
    assert [(letter.message, letter.reason) for letter in letters] == [("what?", DeadLetterReason.UNHANDLED)]
    counters = system.counters
    assert (counters.sent, counters.handled, counters.handling, counters.failures) == (1, 0, 0, 0)
    assert counters.dead_letters == {"unhandled": 1}


def test_the_asker_of_an_unhandled_message_is_told_which_it_was(system):
    account = system.spawn(Account, name="mine")
    with pytest.raises(UnhandledMessage, match="/mine has no handler for str"):
        answer(system, account, "what?")


def test_a_handler_of_object_takes_the_rest(system):
    class Curious(Account):
        @handler(object)
        def rest(self, message):
            return f"rest: {message}"

    ref = system.spawn(Curious)
    assert answer(system, ref, 5) == "rest: 5"
    assert answer(system, ref, Balance()) == 0


def test_a_subclass_overrides_a_handler_by_its_name(system):
    class Generous(Account):
        def tell_balance(self, message):
            return 1_000_000

    assert answer(system, system.spawn(Generous), Balance()) == 1_000_000


def test_a_handler_of_a_union_takes_each_of_its_types(system):
    class Both(Actor):
        @handler
        def either(self, message: int | Deposit) -> str:
            return type(message).__name__

    ref = system.spawn(Both)
    assert [answer(system, ref, message) for message in (1, Deposit(1))] == ["int", "Deposit"]


def test_two_handlers_of_one_type_are_refused_as_the_class_is_made():
    with pytest.raises(TypeError, match="one and other both handle int"):

        class Twice(Actor):
            @handler(int)
            def one(self, message): ...

            @handler(int)
            def other(self, message): ...


def test_receive_and_handlers_in_one_class_are_refused():
    with pytest.raises(TypeError, match="both receive and handlers"):

        class Both(Actor):
            def receive(self, message): ...

            @handler(int)
            def number(self, message): ...


def test_a_handler_without_a_type_is_refused_as_the_class_is_made():
    with pytest.raises(TypeError, match="no annotation"):

        class Bare(Actor):
            @handler
            def anything(self, message): ...


@pytest.mark.parametrize("wrong", ["int", 5, None])
def test_what_is_no_class_is_refused_by_the_decorator(wrong):
    with pytest.raises(TypeError, match="no class"):
        handler(int, wrong)


def test_an_annotation_that_cannot_be_resolved_fails_with_what_to_write(system, caplog):
    caplog.set_level(logging.CRITICAL, "shoal.runtime")

    class Late(Actor):
        @handler
        def late(self, message: "NowhereToBeFound"): ...  # noqa: F821

    failures = []
    system.failures.subscribe(failures.append)
    system.spawn(Late).tell(1)
    system.run_until_idle()
    assert "@handler(MessageType)" in str(failures[0].error)


def test_a_plain_receive_may_refuse_messages_as_well(system):
    class Picky(Actor):
        def receive(self, message):
            return message or self.unhandled(message)

    ref = system.spawn(Picky)
    assert answer(system, ref, 1) == 1
    with pytest.raises(UnhandledMessage):
        answer(system, ref, 0)


def test_a_dead_letter_reaches_subscribers_of_the_event_stream(system):
    from shoal.runtime import DeadLetter

    probe = Probe(system)
    system.events.subscribe(DeadLetter, probe.ref)
    system.spawn(Account).tell("what?")
    system.run_until_idle()
    assert probe.take(DeadLetter).message == "what?"


@pytest.mark.parametrize("name", ["receive", "on_start", "on_stop", "deposit"])
def test_an_async_generator_is_refused_when_its_class_is_made(name):
    async def deposit(self, message: Deposit):
        yield message

    body = {name: handler(deposit) if name == "deposit" else deposit}
    with pytest.raises(TypeError, match=rf"Account\.{name} is an async generator.*without `yield`"):
        type("Account", (Actor,), body)


def test_an_attribute_that_is_a_mock_is_no_handler(system):
    class Tested(Actor):
        clock = MagicMock()

        def receive(self, message):
            return message

    assert answer(system, system.spawn(Tested), 1) == 1


def test_handlers_may_not_take_the_place_of_a_bases_receive_unsaid():
    class Base(Actor):
        def receive(self, message):
            return message

    with pytest.raises(TypeError, match=r"Derived has handlers, and its base Base a receive"):

        class Derived(Base):
            @handler
            def number(self, message: int) -> int:
                return message


def test_handlers_are_inherited_and_added_to(system):
    class Derived(Account):
        @handler
        def number(self, message: int) -> int:
            return message

    ref = system.spawn(Derived)
    assert answer(system, ref, 5) == 5
    assert answer(system, ref, Withdraw(5)) == -5
