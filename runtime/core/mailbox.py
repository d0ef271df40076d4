"""Messages that wait for one actor: a bounded ring, and a control lane ahead of it.

The ring is first in, first out.  Its limit is the mailbox's: `push` says whether
the message was taken and never waits; what happens to a refused one is the
overflow policy's business, and that is the scheduler's to carry out.

The control lane holds what the runtime itself tells an actor (a watched actor's
end).  User messages cannot delay it and their limit does not count it: it holds
at most one entry for each actor that is watched.
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum
from typing import Any

__all__ = ["Mailbox", "Overflow"]

_FIRST_CAPACITY = 8  # slots of a new ring: 64 bytes, doubled as needed
_KEPT_CAPACITY = 64  # a ring that once held a burst does not stay large


class Overflow(IntEnum):
    """What `tell` and `ask` do at a full mailbox.  `send` always waits for room."""

    FAIL = 0  # raise MailboxFull at the call
    DROP_NEWEST = 1  # the message being sent becomes a dead letter
    DROP_OLDEST = 2  # the one that has waited longest becomes a dead letter
    WAIT = 3  # as FAIL, but `ask` waits for room within its time-out


class Mailbox:
    """A ring of at most `limit` messages, with the senders that wait for room in it."""

    __slots__ = ("_capacity", "_head", "_ring", "control", "count", "is_large", "limit", "next", "settings", "waiting")

    def __init__(self, limit: int) -> None:
        self.count = 0  # messages in the ring, without the control lane
        self.limit = limit
        self.is_large = False  # the ring has grown to more than is worth keeping when it is empty
        self.control: deque[Any] | None = None
        self.waiting: deque[Any] | None = None  # (item, reply) of senders that wait for room, oldest first
        self.settings: Any = None  # where the limit comes from, for the scheduler that lends mailboxes out
        self.next: Mailbox | None = None  # of those that it has in store
        self._ring: list[Any] = [None] * _FIRST_CAPACITY
        self._capacity = _FIRST_CAPACITY
        self._head = 0

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
        """The next message: the control lane first, then the oldest.  None when there is none."""
        if self.control is not None:
            item = self.control.popleft()
            if not self.control:
                self.control = None
            return item
        return self.pop_oldest()

    def pop_oldest(self) -> Any:
        """The oldest user message, whatever is in the control lane.  None when there is none."""
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

    def has_messages(self) -> bool:
        """Whether `pop` has something to give."""
        return self.count > 0 or self.control is not None

    def is_bare(self) -> bool:
        """Whether nothing is in here, and nobody waits for room: the mailbox may serve another actor."""
        return self.count == 0 and self.control is None and self.waiting is None

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
