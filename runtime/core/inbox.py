"""What comes to a scheduler from other threads: one queue, many senders, one reader.

    sender's thread    the message goes in under a lock, at the end; the first of a
                       burst wakes the reader's loop
    reader's thread    `deliver`, in a turn, carries everything out in order, as if it
                       had been called there

A scheduler that shares its thread with all others has no inbox.

Limits.  A message counts against its actor's mailbox from the moment it is put in:
`Cell.in_flight` is how many are on the way, `Cell.backlog` how long the mailbox was
when the actor last ran or got something.  What was let in finds room on arrival,
even where local senders have filled the mailbox meanwhile: a mailbox holds at most
its limit, and what was on the way then.  Urgent messages are counted by actor, on the
way and in its mailbox together; they go ahead of what waits in the mailbox when they
arrive, and not of what is on the way with them.  What the runtime itself sends (answers,
signals) is bounded by what it answers.

A question travels as a Reply of the reader's own (`reply.origin` is the asker's):
no object is changed by two threads.
"""

from __future__ import annotations

import logging
import threading as _threads
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from . import latches as _latches
from .mailbox import Overflow
from .reply import ABANDONED, ANSWERED, WAITING, Reply, new_reply

if TYPE_CHECKING:
    from .cell import Cell
    from .scheduler import Scheduler

__all__ = ["Inbox", "Outside"]

_log = logging.getLogger("shoal.runtime")

_POST = 0
_POST_OR_WAIT = 1
_CONTROL = 2
_SIGNAL = 3
_SETTLE = 4
_ABANDON = 5
_CALL = 6
_URGENT = 7

_WAITING_MAX = 1024  # more than a mailbox on the way to one actor: as many as may wait for room there
_DELIVERED_AT_ONCE = 256  # then the actors have a slice: a burst may not use up a turn


class Outside(Protocol):
    """What an inbox asks of whoever knows all schedulers; called on the sender's thread."""

    by_thread: dict[int, Scheduler]

    def asker(self) -> Any:
        """The scheduler of this thread, or what stands for one where there is none."""
        ...

    def bury(self, cell: Cell, item: Any, reason: str) -> None:
        """Count a message that will reach no scheduler, and say so."""
        ...

    def refused(self, cell: Cell, *, is_urgent: bool = False) -> None:
        """Raise MailboxFull."""
        ...


class Inbox:
    """The way into one scheduler from other threads."""

    __slots__ = (
        "_arrived",
        "_askers",
        "_entries",
        "_is_signalled",
        "_latch",
        "_outside",
        "_posted",
        "_scheduler",
        "_seen_dead",
        "_seen_handled",
        "_seen_late",
        "_seen_lost",
        "_seen_sent",
        "_seen_taken",
        "_seen_turns",
        "_taken",
        "_urgent",
        "_wake",
        "count",
        "is_closed",
    )

    def __init__(self, scheduler: Scheduler, wake: Callable[[], None], outside: Outside) -> None:
        self.count = 0  # entries that wait
        self.is_closed = False
        self._scheduler = scheduler
        self._wake = wake  # the reader's loop, from any thread
        self._outside = outside
        self._askers = outside.by_thread
        self._latch = _latches.new_latch()
        self._entries: deque[tuple[int, Any, Any, Any]] = deque()
        self._urgent: dict[Cell, int] = {}  # how many there are for each, here and in its mailbox; none is not listed
        self._is_signalled = False  # the reader is awake, or on its way: nobody need wake it
        self._posted = 0  # messages, since the start; `_taken` of them have arrived
        self._taken = 0
        # The scheduler's counts as its last turn left them, for other threads to see.
        self._arrived = 0
        self._seen_sent = 0
        self._seen_taken = 0
        self._seen_handled = 0
        self._seen_lost = 0
        self._seen_dead = 0
        self._seen_late = 0
        self._seen_turns = 0

    # any thread

    def in_flight(self) -> int:
        """Messages that were sent and are not in a mailbox yet.  On the reader's thread."""
        _latches.lock(self._latch)
        count = self._posted - self._taken
        _latches.unlock(self._latch)
        return count

    def seen(self) -> tuple[int, ...]:
        """In flight, sent, taken, handled, lost, dead, late, turns: all of one moment between two turns, or in one."""
        _latches.lock(self._latch)
        in_flight, sent, taken = self._posted - self._arrived, self._seen_sent, self._seen_taken
        handled, lost, dead = self._seen_handled, self._seen_lost, self._seen_dead
        late, turns = self._seen_late, self._seen_turns
        _latches.unlock(self._latch)
        return (in_flight, sent, taken, handled, lost, dead, late, turns)

    def tell(self, cell: Cell, item: Any) -> None:
        """As `Scheduler.post`."""
        refusal = self._offer(cell, item)
        if refusal == "full":
            overflow = cell.settings.overflow
            if overflow not in (Overflow.DROP_NEWEST, Overflow.DROP_OLDEST):
                self._outside.refused(cell)
            refusal = "dropped_newest"
        if refusal is not None:
            self._outside.bury(cell, item, refusal)

    def tell_control(self, cell: Cell, message: Any) -> None:
        """As `Scheduler.post_control`."""
        if not self._put(_CONTROL, cell, message, None):
            self._outside.bury(cell, message, "stopped")

    def tell_urgent(self, cell: Cell, item: Any) -> None:
        """As `Scheduler.post_urgent`."""
        refusal = None
        must_wake = False
        entry = (_URGENT, cell, item, None)
        _latches.lock(self._latch)
        if self.is_closed:
            refusal = "stopped"
        elif not self._let_in_urgent(cell):
            refusal = "full"
        else:
            self._posted += 1
            must_wake = self._append(entry)
        _latches.unlock(self._latch)
        if must_wake:
            self._wake()
        if refusal == "full":
            self._outside.refused(cell, is_urgent=True)
        elif refusal is not None:
            self._outside.bury(cell, item, refusal)

    def signal(self, cell: Cell, signal: Any) -> None:
        """As `Scheduler.signal`; nothing happens when all actors there have ended."""
        self._put(_SIGNAL, cell, signal, None)

    def settle(self, reply: Reply, state: int, value: Any) -> bool:
        """As `Scheduler.settle`.  True says only that it was not too late yet."""
        is_waiting = reply.state == WAITING
        return self._put(_SETTLE, reply, state, value) and is_waiting  # one that is late is counted there

    def abandon(self, reply: Reply) -> None:
        """Let `reply.is_waiting` be False: its asker waits no longer."""
        self._put(_ABANDON, reply, None, None)

    def call(self, function: Callable[[], None]) -> bool:
        """Have `function` called by the reader, in a turn.  False when all is over there."""
        return self._put(_CALL, function, None, None)

    def ask(self, cell: Cell, message: Any, timeout_us: int) -> Reply:
        """As `Scheduler.ask`; the Reply is the asker's."""
        asker = self._asker()
        origin, envelope = self._question(asker, cell, message)
        if cell.settings.overflow == Overflow.WAIT:
            self._post_or_wait(cell, envelope, envelope)
        else:
            self.tell(cell, envelope)
        if origin.state == WAITING:
            asker.expect(origin, timeout_us)
        return origin

    def ask_urgent(self, cell: Cell, message: Any, timeout_us: int) -> Reply:
        """As `Scheduler.ask_urgent`; the Reply is the asker's."""
        asker = self._asker()
        origin, envelope = self._question(asker, cell, message)
        self.tell_urgent(cell, envelope)
        if origin.state == WAITING:
            asker.expect(origin, timeout_us)
        return origin

    def forward(self, cell: Cell, message: Any, reply: Reply) -> None:
        """Let an actor here answer a question that was put to one of the caller's thread."""
        envelope = Reply(self._scheduler, cell, message)
        envelope.callback = _Return(reply)
        reply.link = envelope
        try:
            if cell.settings.overflow == Overflow.WAIT:
                self._post_or_wait(cell, envelope, envelope)
            else:
                self.tell(cell, envelope)
        except BaseException:  # refused: it is the caller's still
            reply.link = None
            raise

    def send(self, cell: Cell, message: Any) -> Reply | None:
        """As `Scheduler.send`."""
        refusal = self._offer(cell, message)
        if refusal is None:
            return None
        if refusal == "stopped":
            self._outside.bury(cell, message, refusal)
            return None
        origin, envelope = self._question(self._asker(), cell, None)
        envelope.is_question = False
        self._post_or_wait(cell, message, envelope)
        return origin

    # the reader's thread

    def begin(self) -> None:
        """A turn begins: nobody need wake this thread."""
        _latches.lock(self._latch)
        self._is_signalled = True
        _latches.unlock(self._latch)

    def rest(self) -> bool:
        """A turn ends: True if something has come; if not, the next sender wakes this thread."""
        scheduler = self._scheduler
        _latches.lock(self._latch)
        self._arrived = self._taken
        self._seen_sent = scheduler.sent
        self._seen_taken = scheduler.taken
        self._seen_handled = scheduler.handled
        self._seen_lost = scheduler.lost
        self._seen_dead = scheduler.dead
        self._seen_late = scheduler.late_replies
        self._seen_turns = scheduler.turns
        more = self._is_signalled = self.count > 0
        _latches.unlock(self._latch)
        return more

    def let_in_urgent(self, cell: Cell) -> bool:
        """Whether an actor here has room for an urgent message, which is counted then."""
        _latches.lock(self._latch)
        has_room = self._let_in_urgent(cell)
        _latches.unlock(self._latch)
        return has_room

    def urgent_left(self, cell: Cell, count: int) -> None:
        """Urgent messages have been taken out of a mailbox, or met the end of their actor."""
        _latches.lock(self._latch)
        left = self._urgent.get(cell, 0) - count
        if left > 0:
            self._urgent[cell] = left
        else:
            self._urgent.pop(cell, None)
        _latches.unlock(self._latch)

    def deliver(self) -> None:
        """Carry out what has come, the oldest first."""
        for _ in range(_DELIVERED_AT_ONCE):
            entry = cell = None  # what they held may end here, and not under the latch
            _latches.lock(self._latch)
            if self.count > 0:
                entry = self._entries.popleft()
                if entry[0] in (_POST, _POST_OR_WAIT):
                    cell = entry[1]
                    cell.in_flight -= 1
                self.count -= 1
            _latches.unlock(self._latch)
            if entry is None:
                break
            kind, target, what, value = entry
            self._carry_out(kind, target, what, value)

    def close(self) -> None:
        """Let nothing more in, and carry out what is here: no actor is left, so messages become dead letters."""
        _latches.lock(self._latch)
        self.is_closed = True
        _latches.unlock(self._latch)
        while self.count > 0:
            self.deliver()
        self.rest()  # for those who look at the counts

    def _carry_out(self, kind: int, target: Any, what: Any, value: Any) -> None:
        scheduler = self._scheduler
        if kind == _POST:
            self._taken += 1
            scheduler.arrive(target, what)
        elif kind == _SETTLE:
            target.link = None
            scheduler.settle(target, what, value)
        elif kind == _SIGNAL:
            scheduler.signal(target, what)
        elif kind == _CONTROL:
            self._taken += 1
            scheduler.post_control(target, what)
        elif kind == _POST_OR_WAIT:
            self._taken += 1
            scheduler.arrive_or_wait(target, what, value)
        elif kind == _URGENT:
            self._taken += 1
            scheduler.arrive_urgent(target, what)
        elif kind == _ABANDON:
            if target.state == WAITING:  # else its answer is on the way, and is late
                target.callback = None
            scheduler.settle(target, ABANDONED, None)
        else:
            try:
                target()
            except Exception:  # what comes behind it must be carried out all the same
                _log.exception("a call from another thread failed")

    # the sender's thread

    def _offer(self, cell: Cell, item: Any) -> str | None:
        """Put a message in: None, or why not."""
        limit = cell.settings.messages_max
        may_drop = cell.settings.overflow == Overflow.DROP_OLDEST
        entry = (_POST, cell, item, None)
        refusal = None
        must_wake = False
        _latches.lock(self._latch)
        if self.is_closed:
            refusal = "stopped"
        elif cell.in_flight + cell.backlog >= limit and (cell.in_flight >= limit or not may_drop):
            refusal = "full"
        else:
            cell.in_flight += 1
            self._posted += 1
            must_wake = self._append(entry)
        _latches.unlock(self._latch)
        if must_wake:
            self._wake()
        return refusal

    def _put(self, kind: int, target: Any, what: Any, value: Any) -> bool:
        entry = (kind, target, what, value)
        must_wake = False
        _latches.lock(self._latch)
        is_open = not self.is_closed
        if is_open:
            if kind in (_CONTROL, _POST_OR_WAIT):
                self._posted += 1
            if kind == _POST_OR_WAIT:
                cell = target
                cell.in_flight += 1
            must_wake = self._append(entry)
        _latches.unlock(self._latch)
        if must_wake:
            self._wake()
        return is_open

    def _let_in_urgent(self, cell: Cell) -> bool:
        """Under the latch."""
        count: int = self._urgent.get(cell, 0)
        if count >= cell.settings.urgent_max:
            return False
        self._urgent[cell] = count + 1
        return True

    def _append(self, entry: tuple[int, Any, Any, Any]) -> bool:
        self._entries.append(entry)
        self.count += 1
        must_wake = not self._is_signalled
        self._is_signalled = True
        return must_wake

    def _asker(self) -> Any:
        """The scheduler of this thread, or what stands for one where there is none."""
        asker = self._askers.get(_threads.get_ident())
        return self._outside.asker() if asker is None else asker

    def _question(self, asker: Any, cell: Cell, message: Any) -> tuple[Reply, Reply]:
        """The asker's Reply, and the one that travels."""
        origin = new_reply(asker, cell, message)
        origin.is_question = False
        envelope = new_reply(self._scheduler, cell, message)
        envelope.callback = _Return(origin)
        origin.link = envelope
        return origin, envelope

    def _post_or_wait(self, cell: Cell, item: Any, envelope: Reply) -> None:
        if cell.in_flight >= cell.settings.messages_max + _WAITING_MAX:
            self._outside.refused(cell)
        if not self._put(_POST_OR_WAIT, cell, item, envelope):
            self._outside.bury(cell, item, "stopped")
            if envelope is not item:  # a `send`: it is done, as to any actor that has stopped
                origin = envelope.callback.origin  # type: ignore[union-attr]
                origin.link = None
                origin.scheduler.settle(origin, ANSWERED, None)


class _Return:
    """Takes the answer back to the scheduler that asked."""

    __slots__ = ("origin",)

    def __init__(self, origin: Reply) -> None:
        self.origin = origin

    def __call__(self, envelope: Reply) -> None:
        origin = self.origin
        origin.scheduler.settle(origin, envelope.state, envelope.value)
