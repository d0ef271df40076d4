"""What happens in a simulated system, noted as it happens.

    spawn /a Worker              an actor was made
    deliver / -> /a 17           a message went into a mailbox; who told it is / outside of handlers; "urgent" follows
                                 one that is
    handle /a 17                 a handler began with a message
    timer /a 'tick'              a timer's message is due
    timeout /a                   an ask of /a ended without an answer
    crash /a receive ValueError restart
    restart /a                   another instance was made
    stop /a failed               the actor is no more
    dead_letter /a 17 stopped
    refused /a                   MailboxFull was raised
    fault /a crash               the simulation made something go wrong

Each line begins with the virtual time in microseconds.  A message appears as its
value if that is a number, a string, or a tuple of such, and as its type's name
otherwise: no address, and nothing whose order depends on hashes, gets into a
trace.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Any

from shoal.runtime.core.cell import Cell
from shoal.runtime.core.reply import Reply
from shoal.runtime.core.timers import Timer
from shoal.runtime.ref import ActorRef

from .faults import Faults, Injector

__all__ = ["Event", "Recorder", "describe"]

Event = tuple[int, str, str, str]  # time in us, what, path, and the rest of the line

_TEXT_MAX = 80  # characters of a message in a trace


class Recorder:
    """The events of one run, what each mailbox should hold, and what went against the rules."""

    def __init__(self, cost_us: Callable[[Any, Any], int] | int, faults: Faults, seed: int) -> None:
        self.events: list[Event] = []
        self.violations: list[str] = []
        self.current: Cell | None = None  # whose handler or continuation runs
        self.cost_us = cost_us
        self.injector = Injector(faults, seed) if faults.rules else None
        self.spend_us: Callable[[int], None] = _spend_nothing
        self.paths: dict[Cell, str] = {}
        # (sender, message, whether it had to be there) for each message on its way to a cell, oldest first.
        self.pending: dict[Cell, deque[tuple[Cell | None, Any, bool]]] = {}
        self.urgent: dict[Cell, deque[Any]] = {}  # which have an order of their own, whoever sent them
        self.asks: list[tuple[Reply, int]] = []  # with their deadlines
        self.delayed: set[Timer] = set()  # by a fault, once each
        self.unstashed: set[Cell] = set()  # what was put aside goes back whatever the limit
        self.last_deadline_us = 0
        self.in_handler: set[Cell] = set()  # only asked for membership: it has no order

    def path(self, cell: Cell) -> str:
        path = self.paths.get(cell)
        if path is None:
            path = self.paths[cell] = cell.path()
        return path

    def lines(self) -> list[str]:
        return [f"{now_us} {what} {path} {rest}".rstrip() for now_us, what, path, rest in self.events]

    # order of each pair of sender and receiver

    def sent(self, cell: Cell, message: Any, *, is_certain: bool, is_urgent: bool = False) -> None:
        if is_urgent:
            self.urgent.setdefault(cell, deque()).append(message)
            return
        waiting = self.pending.get(cell)
        if waiting is None:
            waiting = self.pending[cell] = deque()
        waiting.append((self.current, message, is_certain))

    def unsend(self, cell: Cell, *, is_urgent: bool = False) -> None:
        """The message sent last was refused."""
        (self.urgent if is_urgent else self.pending)[cell].pop()

    def turned_away(self, cell: Cell, message: Any) -> None:
        """The message, which came last, found no room."""
        waiting = self.pending.get(cell)
        if waiting and waiting[-1][1] is message:
            waiting.pop()

    def taken_out(self, cell: Cell, message: Any, *, is_handled: bool) -> None:
        """A message left the mailbox; one that another of its sender's should have preceded is a violation."""
        if self._was_urgent(cell, message, is_handled=is_handled):
            return
        waiting = self.pending.get(cell)
        if not waiting:
            return
        if waiting[0][1] is message:
            waiting.popleft()
            return
        earlier: dict[Cell | None, Any] = {}
        fallback = -1
        for place, (sender, found, is_certain) in enumerate(waiting):
            if found is message:
                if sender not in earlier:
                    del waiting[place]
                    return
                if fallback < 0:
                    fallback = place
            if is_certain:
                earlier.setdefault(sender, found)
        if fallback >= 0:
            sender = waiting[fallback][0]
            if is_handled:
                self.violations.append(
                    f"{self.path(cell)} handles {describe(message)} before {describe(earlier[sender])}, "
                    f"which {'the outside' if sender is None else self.path(sender)} sent earlier"
                )
            del waiting[fallback]

    def _was_urgent(self, cell: Cell, message: Any, *, is_handled: bool) -> bool:
        """Whether the message that left was one of the urgent; the first of them, if all is well."""
        urgent = self.urgent.get(cell)
        if not urgent:
            return False
        if urgent[0] is message:
            urgent.popleft()
            return True
        place = next((place for place, one in enumerate(urgent) if one is message), -1)
        if place < 0 or any(found is message for _, found, _ in self.pending.get(cell) or ()):
            return False
        if is_handled:
            self.violations.append(
                f"{self.path(cell)} handles {describe(message)} before {describe(urgent[0])}, both urgent"
            )
        del urgent[place]
        return True

    # time

    def asked(self, reply: Reply, now_us: int, timeout_us: int) -> None:
        if reply.timer is not None and reply.timer.deadline_us < now_us + timeout_us:
            self.violations.append(
                f"a time-out of {timeout_us} us was set to end after {reply.timer.deadline_us - now_us} us"
            )
        self.asks.append((reply, now_us + timeout_us))

    def due(self, deadline_us: int, now_us: int) -> None:
        """A deadline was taken out: none before its time, and none before an earlier one."""
        if deadline_us > now_us:
            self.violations.append(f"a deadline of {deadline_us} us came at {now_us} us")
        if deadline_us < self.last_deadline_us:
            self.violations.append(f"a deadline of {deadline_us} us came after one of {self.last_deadline_us} us")
        self.last_deadline_us = max(self.last_deadline_us, deadline_us)


def _spend_nothing(cost_us: int) -> None:
    """Until a loop is there."""


def describe(message: Any) -> str:
    """The message for a trace: the same text in every process."""
    kind = type(message)
    if kind is int:
        return str(message)
    if kind is str or kind is bytes:
        text = ascii(message)  # what repr calls printable differs between Python versions
        return text if len(text) <= _TEXT_MAX else text[:_TEXT_MAX] + "..."
    if message is None or kind is bool or kind is float:
        return repr(message)
    if kind is tuple:
        return "(" + ", ".join([describe(part) for part in message[:8]]) + ")"
    if isinstance(message, Enum):
        return f"{kind.__name__}.{message.name}"
    if isinstance(message, ActorRef):
        return f"ActorRef:{message.path}"
    return kind.__name__
