"""Messages that came and were not read yet: bounded, so that a sender whom a platform cannot stop ends its channel."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

__all__ = ["Unread"]

MessageT = TypeVar("MessageT", bytes, str)


class Unread(Generic[MessageT]):
    """A queue with two limits.  Sizes are the caller's, since text has another on the wire."""

    def __init__(self, *, bytes_max: int, messages_max: int) -> None:
        self.byte_count = 0
        self._bytes_max = bytes_max
        self._messages_max = messages_max
        self._queue: deque[tuple[MessageT, int]] = deque()

    def __len__(self) -> int:
        return len(self._queue)

    def push(self, message: MessageT, size: int) -> str | None:
        """None, or why it was refused, in words that follow "the peer"."""
        if self.byte_count + size > self._bytes_max or len(self._queue) >= self._messages_max:
            return f"flooded: {self.byte_count} bytes in {len(self._queue)} messages were unread"
        self._queue.append((message, size))
        self.byte_count += size
        return None

    def pop(self) -> MessageT:
        """The oldest; IndexError when there is none."""
        message, size = self._queue.popleft()
        self.byte_count -= size
        return message
