"""Actors that several programs have on stage."""

import collections

from shoal.runtime import Actor

__all__ = ["Busy", "NamedTicking", "Ticking", "in_order_by_sender", "make_busy"]


class Ticking(Actor):
    """Tells `target` each number, telling itself to go on in between."""

    def __init__(self, target, count):
        self.target, self.count = target, count

    def receive(self, number):
        if number < self.count:
            self.target.tell(self.said(number))
            self.ref.tell(number + 1)

    def said(self, number):
        return number


class NamedTicking(Ticking):
    """Tells (its name, number)."""

    def said(self, number):
        return self.ref.name, number


class Busy(Actor):
    """Tells itself to go on, `left` times: something else that could run."""

    def receive(self, left):
        if left:
            self.ref.tell(left - 1)


def make_busy(system, count=4, messages=5):
    for _ in range(count):
        system.spawn(Busy).tell(messages)


def in_order_by_sender(got):
    by_sender = collections.defaultdict(list)
    for sender, number in got:
        by_sender[sender].append(number)
    return all(numbers == sorted(numbers) for numbers in by_sender.values())
