"""Millions of messages between 64 senders and 64 receivers that crash, stop and come back: none twice, none out of
order, none unaccounted for.  One in 16 is urgent, and those have an order of their own.

Two million in each mode on the fast leg, a tenth on the others; SHOAL_EFFORT times as many if that is set.  What
was sent, handled and refused is counted here as well, by the actors, and held against the runtime's counters.
"""

import asyncio
import logging
import os
import random

import pytest

from shoal.runtime import Actor, ActorSystem, MailboxFull, MailboxSettings, Supervision, Terminated

from ..effort import EFFORT
from .support import adds_up, is_at_rest, until

PAIRS = 64  # of senders, and as many receivers
GROUPS = 4  # of either; in threaded mode each has a thread
MESSAGES = EFFORT * (2_000_000 if os.environ.get("SHOAL_LEG", "fast") == "fast" else 200_000)
CRASH_EACH = 1_000
STOP_EACH = 10_000
URGENT_EACH = 16


class Place:
    """What all actors that were one receiver after the other have seen.  Only their thread looks in here."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.last = [[-1] * PAIRS, [-1] * PAIRS]  # of each sender; of those that are urgent
        self.seen = self.crashes = self.stops = 0
        self.wrong = []
        self.due = 1

    def draw(self):
        """When something happens next: on average each 1,000 messages a crash, and each 10,000 a stop."""
        self.due = self.random.randrange(1, 2 * CRASH_EACH * STOP_EACH // (CRASH_EACH + STOP_EACH))


def is_urgent(message):
    return message // PAIRS % URGENT_EACH == 0


class Receiver(Actor):
    def __init__(self, place):
        self.place = place

    def receive(self, message):
        place = self.place
        place.seen += 1
        sender = message % PAIRS
        last = place.last[is_urgent(message)]
        if message <= last[sender]:
            place.wrong.append((message, last[sender]))
        last[sender] = message
        place.due -= 1
        if not place.due:
            place.draw()
            if place.random.randrange(CRASH_EACH + STOP_EACH) < CRASH_EACH:
                place.stops += 1
                self.ref.stop()
            else:
                place.crashes += 1
                raise ValueError("one in a thousand")


class Receivers(Actor):
    """Keeps its receivers alive; `refs` is shared with the senders."""

    supervision = Supervision(restarts_max=1_000_000)

    def __init__(self, refs, places, numbers):
        self.refs, self.places = refs, places
        for number in numbers:
            self.respawn(number)

    def respawn(self, number):
        ref = self.refs[number] = self.spawn(Receiver, self.places[number])
        self.watch(ref)

    def receive(self, message):
        if isinstance(message, Terminated):
            self.respawn(self.refs.index(message.ref))


class Sender(Actor):
    """Tells every receiver the next number of its own, until as many as it owes were taken."""

    def __init__(self, number, refs, owed, done):
        self.number, self.refs, self.owed, self.done = number, refs, owed, done
        self.taken = self.refused = self.rounds = 0

    def receive(self, message):
        told = self.number + PAIRS * self.rounds
        self.rounds += 1
        for ref in self.refs:
            try:
                (ref.tell_urgent if is_urgent(told) else ref.tell)(told)
            except MailboxFull:
                self.refused += 1
            else:
                self.taken += 1
        if self.taken < self.owed:
            self.ref.tell(message)
        else:
            self.done.append(self)


class Senders(Actor):
    def __init__(self, numbers, *args):
        self.senders = [self.spawn(Sender, number, *args) for number in numbers]

    def receive(self, message):
        for sender in self.senders:
            sender.tell(message)


@pytest.mark.parametrize(("mode", "take_turns"), [("cooperative", None), ("threaded", True), ("threaded", False)])
def test_64_by_64_pairs_keep_order_and_lose_nothing_unaccounted(mode, take_turns, caplog):
    caplog.set_level(logging.CRITICAL, "shoal.runtime")  # thousands of crashes that are meant
    places, refs, done = [Place(number) for number in range(PAIRS)], [None] * PAIRS, []

    async def main():
        async with ActorSystem(
            mode=mode, take_turns=take_turns, mailbox=MailboxSettings(4096, urgent_max=4096)
        ) as system:
            for i in range(GROUPS):
                system.spawn(Receivers, refs, places, range(i, PAIRS, GROUPS))
            groups = [
                system.spawn(Senders, range(i, PAIRS, GROUPS), refs, MESSAGES // PAIRS, done) for i in range(GROUPS)
            ]
            for group in groups:
                group.tell("go")
            await until(lambda: len(done) == PAIRS and is_at_rest(system), seconds=3600)
            return system.counters

    counters = asyncio.run(main())
    assert [place.wrong for place in places if place.wrong] == []
    taken, refused = sum(sender.taken for sender in done), sum(sender.refused for sender in done)
    crashes, stops = sum(place.crashes for place in places), sum(place.stops for place in places)
    assert taken >= MESSAGES
    assert taken + refused == PAIRS * sum(sender.rounds for sender in done)
    assert adds_up(counters)
    # Each message that was taken has been seen by a receiver, or is a dead letter of one that had stopped.
    assert taken == sum(place.seen for place in places) + sum(counters.dead_letters.values())
    assert set(counters.dead_letters) <= {"stopped"}
    # Besides them: each sender's rounds, the four that began them, and the end of each receiver.
    assert counters.sent == taken + sum(sender.rounds for sender in done) + GROUPS + stops
    assert counters.refused == refused
    assert counters.lost == counters.failures == counters.restarts == crashes
    assert crashes > taken // CRASH_EACH // 2
    assert stops > taken // STOP_EACH // 2
