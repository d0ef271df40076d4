"""Several actors behind one ref: a router passes each message on, with its question, to one of them or to all.

    workers = system.spawn(Router, [one, other], RoundRobin())
    pool = system.spawn(Pool, Worker, size=4, choice=ConsistentHash(lambda job: job.key))
    await pool.ask(job)        # the routee answers

    RoundRobin          each in turn
    SmallestMailbox     who has least waiting, of equals the first
    ConsistentHash      the same key to the same routee; when one goes, only its keys move
    Broadcast           to all; it can be told, and not asked

A routee that has ended is left out; one whose mailbox is full is passed over,
but for ConsistentHash and Broadcast, which mean that very one.  What finds
nobody is a dead letter ("no_routee"), and its asker gets NoRoutee.

A choice is sans-IO: it sees refs and a message, and returns places.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from .actor import Actor
from .errors import MailboxFull, NotAvailable
from .messages import MailboxSettings, Terminated
from .ref import ActorRef
from .supervision import Restart

__all__ = ["Broadcast", "Choice", "ConsistentHash", "Pool", "RoundRobin", "Router", "SmallestMailbox"]

_POINTS = 64  # of each routee on the ring: shares then differ by about an eighth


class Choice(Protocol):
    """Which routees get a message."""

    is_broadcast: bool  # all that are returned get it; else the first that has room

    def choose(self, routees: Sequence[ActorRef[Any]], message: Any) -> Sequence[ActorRef[Any]]:
        """Those that may have it, the best first.  `routees` is not empty, and the same object until it changes."""
        ...


class RoundRobin:
    """Each in turn."""

    is_broadcast = False

    def __init__(self) -> None:
        self._next = 0

    def choose(self, routees: Sequence[ActorRef[Any]], message: Any) -> Sequence[ActorRef[Any]]:
        first = self._next % len(routees)
        self._next = first + 1
        return (*routees[first:], *routees[:first])


class SmallestMailbox:
    """Who has least waiting; linear in the number of routees."""

    is_broadcast = False

    def choose(self, routees: Sequence[ActorRef[Any]], message: Any) -> Sequence[ActorRef[Any]]:
        return (min(routees, key=lambda ref: ref.queued),)


class ConsistentHash:
    """The same key to the same routee, in every process: by BLAKE2 of the key and of the routees' paths."""

    is_broadcast = False

    def __init__(self, key: Callable[[Any], str | bytes | int]) -> None:
        """`key` of a message."""
        self._key = key
        self._routees: Sequence[ActorRef[Any]] | None = None
        self._points: list[int] = []
        self._owners: list[ActorRef[Any]] = []

    def choose(self, routees: Sequence[ActorRef[Any]], message: Any) -> Sequence[ActorRef[Any]]:
        if routees is not self._routees:
            self._build(routees)
        key = self._key(message)
        data = key if isinstance(key, bytes) else str(key).encode()
        place = bisect_right(self._points, _hash(data)) % len(self._points)
        return (self._owners[place],)

    def _build(self, routees: Sequence[ActorRef[Any]]) -> None:
        ring = sorted((_hash(f"{ref.path}#{i}".encode()), n) for n, ref in enumerate(routees) for i in range(_POINTS))
        self._points = [point for point, _ in ring]
        self._owners = [routees[n] for _, n in ring]
        self._routees = routees


class Broadcast:
    """To all."""

    is_broadcast = True

    def choose(self, routees: Sequence[ActorRef[Any]], message: Any) -> Sequence[ActorRef[Any]]:
        return routees


class Router(Actor[Any]):
    """Passes messages on to the routees that it was given."""

    def __init__(self, routees: Sequence[ActorRef[Any]], choice: Choice) -> None:
        self._choice = choice
        self._routees: tuple[ActorRef[Any], ...] = ()
        for routee in routees:
            self._add(routee)

    def receive(self, message: Any) -> None:
        if isinstance(message, Terminated):
            living = tuple(routee for routee in self._routees if routee.is_alive)
            if len(living) < len(self._routees):
                self._routees = living
                return
        if not self._routees:
            self._nobody(message)
        elif self._choice.is_broadcast:
            self._to_all(message)
        else:
            self._to_one(message)

    def _add(self, routee: ActorRef[Any]) -> None:
        self._routees = (*self._routees, routee)
        self.watch(routee)

    def _to_one(self, message: Any) -> None:
        for routee in self._choice.choose(self._routees, message):
            if not routee.is_alive:
                continue
            try:
                self.forward(routee, message)
            except MailboxFull:
                continue
            return
        self._nobody(message)

    def _to_all(self, message: Any) -> None:
        if self._cell.reply is not None:
            error = NotAvailable(f"{self.ref.path} tells all of its routees: there is no one answer; use tell")
            self.take_reply().fail(error)
            return
        for routee in self._choice.choose(self._routees, message):
            try:
                routee.tell(message)
            except MailboxFull:
                self._life.undelivered(routee.cell, message, "no_routee")

    def _nobody(self, message: Any) -> None:
        self._life.nobody_for(self._cell, message, "no_routee")


class Pool(Router):
    """A router whose routees are its own children, all of one class; a failed one restarts as children do."""

    def __init__(
        self,
        actor_class: type[Actor[Any]],
        *args: Any,
        size: int,
        choice: Choice | None = None,
        routee_mailbox: MailboxSettings | None = None,
        routee_restart: Restart = Restart.TRANSIENT,
        **kwargs: Any,
    ) -> None:
        """`args` and `kwargs` are the routees'; `name`, `mailbox` and `restart` of `spawn` are the pool's own."""
        if size < 1:
            raise ValueError(f"size is {size}; a pool has at least 1 routee")
        super().__init__((), choice or RoundRobin())
        for _ in range(size):
            self._add(self.spawn(actor_class, *args, mailbox=routee_mailbox, restart=routee_restart, **kwargs))


def _hash(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")
