"""Handlers that hold their thread are named, with message type and stack, while they do."""

import asyncio
import logging
import threading
import time

import pytest

from shoal.runtime import Actor, ActorSystem
from shoal.runtime.watchdog import Watchdog


class Sleeper(Actor):
    def receive(self, message):
        time.sleep(message)


class Named(threading.Event):
    """Set when a stall is named.  Whoever holds a thread until then is named while it does, or fails."""

    def hold(self):
        assert self.wait(60), "nobody named the handler that holds its thread"


class Holding(Actor):
    def receive(self, named):
        named.hold()


class HoldingLate(Actor):
    async def receive(self, named):
        await asyncio.sleep(0)
        named.hold()


class HoldingAtStart(Actor):
    def __init__(self, named):
        self.named = named

    def on_start(self):
        self.named.hold()

    def receive(self, message):
        return message


@pytest.fixture(autouse=True)
def quiet(caplog):
    caplog.set_level(logging.WARNING, "shoal.runtime")


def stalls_of(actor_class, *args, message, mode="cooperative", named=None, **options):
    async def main():
        stalls = []
        async with ActorSystem(mode=mode, **options) as system:
            system.stalls.subscribe(lambda stall: (stalls.append(stall), named and named.set()))
            await system.spawn(actor_class, *args, name="mule").ask(message, timeout_s=60)
        return stalls

    return asyncio.run(main())


@pytest.mark.parametrize("mode", ["cooperative", "threaded"])
@pytest.mark.parametrize("actor_class", [Holding, HoldingLate])
def test_a_handler_over_the_limit_is_named_while_it_holds_its_thread(actor_class, mode, caplog):
    named = Named()
    stalls = stalls_of(actor_class, message=named, mode=mode, named=named)
    assert [(stall.path, stall.message_type) for stall in stalls] == [("/mule", "Named")]
    assert "named.hold()" in stalls[0].stack
    assert stalls[0].held_us >= 100_000
    assert "/mule has held its thread" in caplog.text
    assert "on Named" in caplog.text


def test_the_watchdog_looks_often_enough_to_name_within_200_ms():
    """By default, and by what it asks for: the limit and one pause between two looks are together less."""
    pauses_s = []

    class Pauses(threading.Event):
        def wait(self, timeout=None):
            pauses_s.append(timeout)
            return super().wait(timeout)

    async def default_limit_us():
        async with ActorSystem() as system:
            return system._watchdog._limit_us

    limit_us = asyncio.run(default_limit_us())
    watchdog = Watchdog(list, limit_us, None)
    watchdog._is_over = Pauses()
    watchdog.start()
    watchdog.stop()
    assert limit_us / 1e6 + pauses_s[0] < 0.2


def test_a_hook_over_the_limit_is_named_too():
    named = Named()
    stalls = stalls_of(HoldingAtStart, named, message=1, named=named, watchdog_limit_us=50_000)
    assert [(stall.path, stall.message_type) for stall in stalls] == [("/mule", "")]


def test_each_stall_is_reported_once_and_the_next_again():
    class HoldingOn(Actor):
        def receive(self, named):
            named.hold()
            time.sleep(0.1)  # ten looks more
            named.clear()

    async def main():
        stalls, named = [], Named()
        async with ActorSystem(watchdog_limit_us=20_000) as system:
            system.stalls.subscribe(lambda stall: (stalls.append(stall), named.set()))
            ref = system.spawn(HoldingOn)
            await ref.ask(named, timeout_s=60)
            await ref.ask(named, timeout_s=60)
        return stalls

    assert len(asyncio.run(main())) == 2


def test_what_is_short_is_not_reported():
    assert stalls_of(Sleeper, message=0.01, watchdog_limit_us=5_000_000) == []


def test_it_can_be_switched_off():
    assert stalls_of(Sleeper, message=0.15, watchdog_limit_us=None) == []


def test_many_short_messages_are_no_stall():
    class Busy(Actor):
        def receive(self, message):
            if message:
                self.ref.tell(message - 1)
                time.sleep(0.002)
            return message

    async def main():
        stalls = []
        async with ActorSystem(watchdog_limit_us=100_000) as system:
            system.stalls.subscribe(stalls.append)
            system.spawn(Busy).tell(100)
            await asyncio.sleep(0.3)
        return stalls

    assert asyncio.run(main()) == []
