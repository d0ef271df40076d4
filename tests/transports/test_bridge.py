"""A bridge and its system's actors, in virtual time; the other side is played by the decisions alone."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from shoal.runtime import (
    Actor,
    ActorStopped,
    ActorSystem,
    AskTimedOut,
    HandlerFailed,
    MailboxSettings,
    Terminated,
    handler,
)
from shoal.runtime.testing import run_virtual
from shoal.transports.bridge import Bridge, JavaScriptError
from shoal.transports.errors import BadMessage, ChannelClosed, NotRegistered, Overloaded
from shoal.transports.sansio.bridge import BridgeCore
from shoal.transports.sansio.bridge_actions import Answered, Closed, Deliver, Failed, Problem, Send
from shoal.transports.sansio.bridge_frames import BridgeLimits


class Deposit(msgspec.Struct):
    cents: int


class Withdraw(msgspec.Struct):
    cents: int


class Slow(msgspec.Struct):
    pass


class Receipt(msgspec.Struct):
    left: int
    signature: bytes


class Draw(msgspec.Struct):
    points: list[int]


class Overdrawn(Exception):
    pass


class Account(Actor[Any]):
    def __init__(self):
        self.cents = 0

    @handler
    def deposit(self, message: Deposit):
        self.cents += message.cents

    @handler
    def withdraw(self, message: Withdraw):
        if message.cents < 0:
            raise KeyError("the secret of the house")
        if message.cents > self.cents:
            self.take_reply().fail(Overdrawn(f"by {message.cents - self.cents}"))
            return None
        self.cents -= message.cents
        return Receipt(self.cents, b"signed")

    @handler
    def slow(self, message: Slow):
        self.take_reply()


class Keeping(Actor[Any]):
    def __init__(self, kept, watched=None):
        self.kept = kept
        if watched is not None:
            self.watch(watched)

    def receive(self, message):
        self.kept.append(message)


class Page:
    """JavaScript's side, as the decisions of it: a Carrier for the Bridge, which is called back at once."""

    def __init__(self, bridge: Bridge) -> None:
        self.bridge = bridge
        self.core = BridgeCore(begins=True)
        self.core.reach("account", [Deposit, Withdraw, Slow], Receipt | None)
        self.core.reach("vault", [Deposit], None)
        self.core.expose("chart", [Draw])
        self.events: list[Any] = []
        self.waits: dict[int, asyncio.Future[Any]] = {}
        self.answers = lambda message: len(message.points)
        bridge.attach(self)
        self.perform(self.core.begin(0))

    def send(self, text, parts):
        self.perform(self.core.receive(text, parts, 0))

    def close(self, why):
        self.events.append(why)

    def perform(self, actions):
        for action in actions:
            match action:
                case Send(wire):
                    self.bridge.receive(wire.text, wire.parts)
                case Deliver(message=message, ask=None):
                    self.events.append(message)
                case Deliver(message=message, ask=number):
                    answer = self.answers(message)
                    if answer is not None:
                        is_problem = isinstance(answer, Problem)
                        self.perform(self.core.fail(number, answer) if is_problem else self.core.answer(number, answer))
                case Answered(number, value):
                    self.waits[number].set_result(value)
                case Failed(number, problem):
                    self.waits[number].set_exception(LookupError(f"{problem.name}: {problem.message}"))
                case Closed():
                    self.events.append("closed")

    def tell(self, name, message):
        self.perform(self.core.tell(name, message))

    async def ask(self, name, message):
        number, actions = self.core.ask(name, message, 0)
        self.waits[number] = asyncio.get_running_loop().create_future()
        self.perform(actions)
        return await self.waits[number]


def bridged(test, **options):
    """Run `test(system, bridge, page)` with an account behind a bridge."""

    async def main():
        async with ActorSystem() as system:
            system.spawn(Account, name="account")
            actors = {"account": (Deposit, Withdraw, Slow), "vault": (Deposit,)}
            bridge = Bridge(system, actors=actors, errors=(Overdrawn,), **options)
            await test(system, bridge, Page(bridge))
            bridge.close()

    run_virtual(main())


def test_javascript_tells_and_asks_an_actor_by_name():
    async def test(system, bridge, page):
        page.tell("account", Deposit(10))
        assert await page.ask("account", Withdraw(3)) == Receipt(7, b"signed")
        assert bridge.statistics().questions == 0

    bridged(test)


def test_an_error_that_both_know_keeps_its_name_and_another_only_says_its_class():
    async def test(system, bridge, page):
        with pytest.raises(LookupError, match=r"^Overdrawn: by 5$"):
            await page.ask("account", Withdraw(5))
        with pytest.raises(
            LookupError, match=r"^HandlerFailed: account failed with KeyError; what it said stays there$"
        ):
            await page.ask("account", Withdraw(-1))

    bridged(test)


def test_a_name_that_nobody_has_now_is_an_error_to_who_asks_and_counted_of_who_tells():
    async def test(system, bridge, page):
        page.tell("vault", Deposit(1))
        assert bridge.statistics().dropped == {"no_such_actor": 1}
        with pytest.raises(LookupError, match="ActorStopped: no actor vault lives now"):
            await page.ask("vault", Deposit(1))
        kept: list[Any] = []
        system.spawn(Keeping, kept, name="vault")
        page.tell("vault", Deposit(2))
        await asyncio.sleep(1)
        assert kept == [Deposit(2)]

    bridged(test)


def test_a_full_mailbox_is_counted_and_told():
    class Stuck(Actor[Any]):
        async def receive(self, message):
            await asyncio.sleep(100)

    async def test(system, bridge, page):
        stuck = system.spawn(Stuck, name="vault", mailbox=MailboxSettings(messages_max=1))
        stuck.tell("first")
        await asyncio.sleep(1)
        page.tell("vault", Deposit(1))
        page.tell("vault", Deposit(2))
        assert bridge.statistics().dropped == {"mailbox_full": 1}
        with pytest.raises(LookupError, match="MailboxFull"):
            await page.ask("vault", Deposit(3))

    bridged(test)


def test_an_ask_of_javascript_ends_in_time_and_leaves_nothing():
    async def test(system, bridge, page):
        with pytest.raises(LookupError, match="AskTimedOut"):
            await page.ask("account", Slow())
        assert bridge.statistics().questions == 0

    bridged(test)


def test_a_javascript_actor_is_told_and_asked_through_a_ref():
    async def test(system, bridge, page):
        chart = bridge.actor("chart", (Draw,), answers=int)
        chart.tell(Draw([1]))
        assert await chart.ask(Draw([1, 2, 3])) == 3
        assert page.events == [Draw([1])]

    bridged(test)


def test_what_javascript_throws_is_raised_by_its_type():
    async def test(system, bridge, page):
        chart = bridge.actor("chart", (Draw,), answers=int)
        page.answers = lambda _: Problem("Overdrawn", "no ink")
        with pytest.raises(Overdrawn, match="no ink"):
            await chart.ask(Draw([]))
        page.answers = lambda _: Problem("TypeError", "x is undefined")
        with pytest.raises(HandlerFailed, match="JavaScript threw TypeError: x is undefined") as caught:
            await chart.ask(Draw([]))
        assert isinstance(caught.value.__cause__, JavaScriptError)
        assert caught.value.__cause__.name == "TypeError"
        for name, kind in (("NotRegistered", NotRegistered), ("BadMessage", BadMessage), ("Overloaded", Overloaded)):
            page.answers = lambda _, name=name: Problem(name, "why")
            with pytest.raises(kind, match="why"):
                await chart.ask(Draw([]))

    bridged(test)


def test_an_answer_of_another_type_is_refused():
    async def test(system, bridge, page):
        chart = bridge.actor("chart", (Draw,))
        with pytest.raises(BadMessage, match="chart answered"):
            await chart.ask(Draw([]))

    bridged(test)


def test_javascript_that_does_not_answer_is_timed_out_and_forgotten():
    async def test(system, bridge, page):
        chart = bridge.actor("chart", (Draw,), answers=int)
        page.answers = lambda _: None
        with pytest.raises(AskTimedOut):
            await chart.ask(Draw([]), timeout_s=60)
        assert bridge.statistics().asked == 0
        assert page.core.statistics().questions == 0, "it was cancelled there"

    bridged(test, limits=BridgeLimits(ask_timeout_us=1_000_000))


def test_an_ask_that_nobody_waits_for_is_taken_back():
    async def test(system, bridge, page):
        chart = bridge.actor("chart", (Draw,), answers=int)
        page.answers = lambda _: None
        leaving = asyncio.ensure_future(chart.ask(Draw([])))
        with pytest.raises(AskTimedOut):
            await chart.ask(Draw([]), timeout_s=1)
        leaving.cancel()
        await asyncio.sleep(0.2)
        assert bridge.statistics().asked == page.core.statistics().questions == 0
        assert page.core.statistics().dropped == {}

    bridged(test)


def test_askers_who_gave_up_leave_their_room_to_others():
    async def test(system, bridge, page):
        chart = bridge.actor("chart", (Draw,), answers=int)
        page.answers = lambda _: None
        for _ in range(2):
            asker = asyncio.ensure_future(chart.ask(Draw([])))
            await asyncio.sleep(0.01)
            asker.cancel()
        await asyncio.sleep(0)
        page.answers = lambda message: len(message.points)
        assert await chart.ask(Draw([1])) == 1

    bridged(test, limits=BridgeLimits(asks_max=2))


def test_a_message_that_cannot_cross_is_unhandled():
    letters = []

    async def test(system, bridge, page):
        system.dead_letters.subscribe(letters.append)
        chart = bridge.actor("chart", (Draw,))
        chart.tell(Deposit(1))
        with pytest.raises(BadMessage, match="Deposit is none of the messages"):
            await chart.ask(Deposit(1))
        assert [letter.message for letter in letters] == [Deposit(1)]
        assert chart.is_alive

    bridged(test)


def test_a_javascript_actor_ends_with_the_bridge():
    async def test(system, bridge, page):
        seen = []
        chart = bridge.actor("chart", (Draw,), answers=int)
        system.spawn(Keeping, seen, chart)
        page.answers = lambda _: None
        waiting = asyncio.ensure_future(chart.ask(Draw([])))
        await asyncio.sleep(0)
        page.perform(page.core.close("the tab was shut"))
        with pytest.raises((ChannelClosed, ActorStopped)):
            await waiting
        await chart.wait_stopped()
        await asyncio.sleep(1)
        assert isinstance(seen[0], Terminated)
        await bridge.closed()

    bridged(test)


def test_a_question_that_javascript_takes_back_is_not_waited_for():
    async def test(system, bridge, page):
        number, actions = page.core.ask("account", Slow(), 0)
        page.perform(actions)
        await asyncio.sleep(0)
        page.perform(page.core.give_up(number))
        await asyncio.sleep(0)
        assert bridge.statistics().questions == 0
        assert system.counters.late_replies == 0

    bridged(test)


def test_it_tells_when_javascript_has_come():
    opened = []

    async def test(system, bridge, page):
        assert opened == [bridge]

    bridged(test, on_open=opened.append)


def test_a_bridge_without_a_hello_is_closed_in_time():
    class Silent:
        why = None

        def send(self, text, parts):
            pass

        def close(self, why):
            self.why = why

    async def main():
        async with ActorSystem() as system:
            bridge, carrier = Bridge(system, actors={}), Silent()
            bridge.attach(carrier)
            await bridge.closed()
            assert carrier.why == "the other side did not say hello in time"

    run_virtual(main())


def test_a_bridge_that_was_closed_before_its_carrier_came_closes_it_and_waits_for_nothing():
    class Late:
        why = None

        def send(self, text, parts):
            raise AssertionError("nothing is said")

        def close(self, why):
            self.why = why

    async def main():
        async with ActorSystem() as system:
            bridge, carrier = Bridge(system, actors={}), Late()
            bridge.close("never mind")
            bridge.attach(carrier)
            assert carrier.why == "never mind"
            await asyncio.sleep(60)  # a deadline that never ends would be looked at without end
            bridge.lost("it ended")

    run_virtual(main())


def test_a_ref_of_a_closed_bridge_is_no_actor_that_stays():
    async def test(system, bridge, page):
        bridge.close()
        await bridge.actor("chart", (Draw,)).wait_stopped()

    bridged(test)
