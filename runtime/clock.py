"""Where the time comes from: integer microseconds that never go back."""

from __future__ import annotations

import time
from typing import Protocol

__all__ = ["Clock", "ManualClock", "SystemClock"]


class Clock(Protocol):
    """A monotonic clock; its zero means nothing."""

    def now_us(self) -> int: ...


class SystemClock:
    """The machine's monotonic clock."""

    __slots__ = ()

    def now_us(self) -> int:
        return time.monotonic_ns() // 1000


class ManualClock:
    """A clock that stands still until it is told to move."""

    __slots__ = ("_now_us",)

    def __init__(self, now_us: int = 0) -> None:
        self._now_us = now_us

    def now_us(self) -> int:
        return self._now_us

    def advance_us(self, delay_us: int) -> None:
        """Move on by `delay_us`, which is not negative."""
        if delay_us < 0:
            raise ValueError(f"a clock cannot go back by {-delay_us} us; pass a delay of 0 or more")
        self._now_us += delay_us

    def jump_to_us(self, now_us: int) -> None:
        """Move on to a time; nothing happens if it has passed."""
        self._now_us = max(self._now_us, now_us)
