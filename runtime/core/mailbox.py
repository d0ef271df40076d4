"""Messages that wait for one actor: a bounded ring, and two lanes ahead of it.

The ring is first in, first out.  Its limit is the mailbox's: `push` says whether
the message was taken and never waits; what happens to a refused one is the
overflow policy's business, and that is the scheduler's to carry out.

The control lane holds what the runtime itself tells an actor (a watched actor's
end).  User messages cannot delay it and their limit does not count it: it holds
at most one entry for each actor that is watched.

Then come urgent messages, which users send (Erlang/OTP 28 has them as priority
messages, EEP 76).  Of nine messages of both kinds that wait, one is not urgent.
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum
from typing import Any

__all__ = ["Mailbox", "Overflow"]

_FIRST_CAPACITY = 8  # slots of a new ring: 64 bytes, doubled as needed
_KEPT_CAPACITY = 64  # a ring that once held a burst does not stay large
_URGENT_IN_A_ROW = 8  # then one that has waited in the ring, or it might wait for ever


class Overflow(IntEnum):
    """What `tell` and `ask` do at a full mailbox.  `send` always waits for room."""

    FAIL = 0  # raise MailboxFull at the call
    DROP_NEWEST = 1  # the message being sent becomes a dead letter
    DROP_OLDEST = 2  # the one that has waited longest becomes a dead letter
    WAIT = 3  # as FAIL, but `ask` waits for room within its time-out


class Mailbox:
    """A ring of at most `limit` messages, with the senders that wait for room in it."""

    __slots__ = (
        "_capacity",
        "_head",
        "_ring",
        "_row",
        "control",
        "count",
        "is_large",
        "is_passed",
        "limit",
        "next",
        "settings",
        "urgent",
        "waiting",
    )

    def __init__(self, limit: int) -> None:
        self.count = 0  # messages in the ring, without the lanes
        self.limit = limit
        self.is_large = False  # the ring has grown to more than is worth keeping when it is empty
        self.is_passed = False  # something is in one of the lanes
        self.control: deque[Any] | None = None
        self.urgent: deque[Any] | None = None
        self.waiting: deque[Any] | None = None  # (item, reply) of senders that wait for room, oldest first
        self.settings: Any = None  # where the limit comes from, for the scheduler that lends mailboxes out
        self.next: Mailbox | None = None  # of those that it has in store
        self._ring: list[Any] = [None] * _FIRST_CAPACITY
        self._capacity = _FIRST_CAPACITY
        self._head = 0
        self._row = 0  # urgent messages taken out since one of the ring last had to be

    def push(self, item: Any) -> bool:
        """Take the message, or answer False when the ring is at its limit.  Amortised constant time."""
        if self.count >= self.limit:
            return False
        if self.count == self._capacity:
            self._resize(self._capacity * 2)
        self._ring[(self._head + self.count) & (self._capacity - 1)] = item
        self.count += 1
        return True

    def put_back(self, item: Any) -> None:
        """Put a message that was taken out before ahead of all others, whatever the limit.  Amortised constant time."""
        if self.count == self._capacity:
            self._resize(self._capacity * 2)
        self._head = (self._head - 1) & (self._capacity - 1)
        self._ring[self._head] = item
        self.count += 1

    def pop(self) -> Any:
        """The next message: of the control lane, then urgent, then the oldest.  None when there is none."""
        if self.control is not None:
            item = self.control.popleft()
            if not self.control:
                self.control = None
                self.is_passed = self.urgent is not None
            return item
        if self.urgent is None:
            return self.pop_oldest()
        if self._row >= _URGENT_IN_A_ROW and self.count > 0:
            self._row = 0
            return self.pop_oldest()
        self._row += 1
        item = self.urgent.popleft()
        if not self.urgent:
            self.urgent = None
            self.is_passed = False
        return item

    def pop_oldest(self) -> Any:
        """The oldest message of the ring, whatever is in the lanes.  None when there is none."""
        if self.count == 0:
            return None
        head = self._head
        item = self._ring[head]
        self._ring[head] = None
        self._head = (head + 1) & (self._capacity - 1)
        self.count -= 1
        return item

    def push_control(self, item: Any) -> None:
        """Queue ahead of every user message and behind earlier control messages."""
        if self.control is None:
            self.control = deque()
        self.control.append(item)
        self.is_passed = True

    def push_urgent(self, item: Any) -> None:
        """Queue ahead of the ring and behind earlier urgent messages; whether there is room is for others to say."""
        if self.urgent is None:
            self.urgent = deque()
            if self.count == 0:
                self._row = 0  # nobody waits for having been passed before
        self.urgent.append(item)
        self.is_passed = True

    def urgent_count(self) -> int:
        """Urgent messages that wait."""
        return 0 if self.urgent is None else len(self.urgent)

    def has_messages(self) -> bool:
        """Whether `pop` has something to give."""
        return self.count > 0 or self.is_passed

    def is_bare(self) -> bool:
        """Whether nothing is in here, and nobody waits for room: the mailbox may serve another actor."""
        return self.count == 0 and not self.is_passed and self.waiting is None

    def reuse(self, limit: int) -> None:
        """Make an empty mailbox ready for another actor."""
        self.limit = limit
        if self.is_large:
            self.is_large = False
            self._ring = [None] * _FIRST_CAPACITY
            self._capacity = _FIRST_CAPACITY
            self._head = 0

    def _resize(self, capacity: int) -> None:
        old = self._ring
        ring: list[Any] = [None] * capacity
        for i in range(self.count):
            ring[i] = old[(self._head + i) & (self._capacity - 1)]
        self._ring = ring
        self._capacity = capacity
        self._head = 0
        self.is_large = capacity > _KEPT_CAPACITY
