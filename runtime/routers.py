"""Several actors behind one ref: a router passes each message on, with its question, to one of them or to all.

    workers = system.spawn(Router, [one, other], RoundRobin())
    pool = system.spawn(Pool, Worker, size=4, choice=ConsistentHash(lambda job: job.key))
    await pool.ask(job)        # the routee answers

    RoundRobin          each in turn
    SmallestMailbox     who has least waiting, of equals the first; then the others, by length
    ConsistentHash      the same key to the same routee; when one goes, only its keys move
    Broadcast           to all; it can be told, and not asked

A routee that is ending, or has ended, is left out; one whose mailbox is full is passed over,
but for ConsistentHash and Broadcast, which mean that very one.  What finds
nobody is a dead letter ("no_routee"), and its asker gets NoRoutee.

A choice is sans-IO: it sees refs and a message, and returns places.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from .actor import Actor
from .errors import MailboxFull, NotAvailable
from .messages import MailboxSettings, Terminated
from .ref import ActorRef
from .supervision import Restart

if TYPE_CHECKING:
    from .core.cell import Cell

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
    """Who has least waiting, then who has next to least if that one is full; sorts the routees for each message."""

    is_broadcast = False

    def choose(self, routees: Sequence[ActorRef[Any]], message: Any) -> Sequence[ActorRef[Any]]:
        return sorted(routees, key=lambda ref: ref.queued)


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
        self._watched: set[Cell] = set()  # all there ever were: what is said of their end is for nobody else
        for routee in routees:
            self._add(routee)

    def receive(self, message: Any) -> None:
        if isinstance(message, Terminated) and self._was_routee(message.ref):
            self._leave_out()
            return
        if not self._routees:
            self._nobody(message)
        elif self._choice.is_broadcast:
            self._to_all(message)
        else:
            self._to_one(message)

    def _add(self, routee: ActorRef[Any]) -> None:
        self._routees = (*self._routees, routee)
        self._watched.add(routee.cell)
        self.watch(routee)

    def _was_routee(self, ref: ActorRef[Any]) -> bool:
        return ref.cell in self._watched

    def _leave_out(self) -> bool:
        """Forget routees that have ended or are ending; whether there were any."""
        before = len(self._routees)
        if all(map(_is_open, self._routees)):
            return False
        self._routees = tuple(filter(_is_open, self._routees))
        return len(self._routees) < before

    def _to_one(self, message: Any) -> None:
        while self._routees:
            is_chosen_anew = False
            for routee in self._choice.choose(self._routees, message):
                if not _is_open(routee):
                    is_chosen_anew = self._leave_out()
                    if is_chosen_anew:
                        break  # one who is in its place may do
                    continue
                try:
                    self.forward(routee, message)
                except MailboxFull:
                    continue
                return
            if not is_chosen_anew:
                break
        self._nobody(message)

    def _to_all(self, message: Any) -> None:
        if self._cell.reply is not None:
            error = NotAvailable(f"{self.ref.path} tells all of its routees: there is no one answer; use tell")
            self.take_reply().fail(error)
            return
        self._leave_out()
        if not self._routees:
            self._nobody(message)
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

    def _was_routee(self, ref: ActorRef[Any]) -> bool:
        """Those of the instance before this one too, whose ends may be in the mailbox still."""
        return ref.path.startswith(self.ref.path + "/")


def _is_open(routee: ActorRef[Any]) -> bool:
    """Whether it takes messages: one that is ending would make dead letters of them, however long its end takes."""
    return bool(routee.cell.is_open)


def _hash(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")
