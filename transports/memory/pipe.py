"""One direction of one connection: items arrive in order, when the path lets them.

No task moves the items.  Each is stamped with its time of arrival when it is
sent, and the reader sleeps until then; so a pipe costs nothing while nobody
waits, and nothing is left behind when it is dropped.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

from .network import Path

__all__ = ["Pipe", "PipeEnded"]

T = TypeVar("T")


class PipeEnded(Exception):
    """The other end closed, or the connection broke; `is_clean` says which."""

    def __init__(self, detail: str, *, is_clean: bool) -> None:
        super().__init__(detail)
        self.detail = detail
        self.is_clean = is_clean


class _Item(Generic[T]):
    __slots__ = ("arrives_at", "left_at", "size", "value")

    def __init__(self, value: T, size: int, left_at: float, arrives_at: float) -> None:
        self.value = value
        self.size = size
        self.left_at = left_at
        self.arrives_at = arrives_at


class Pipe(Generic[T]):
    """One writer, one reader."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._items: deque[_Item[T]] = deque()
        self._bytes = 0
        self._last_arrival = 0.0
        self._end: PipeEnded | None = None  # after the items
        self._ends_at = 0.0
        self._broken: PipeEnded | None = None  # before the items
        self._changed = asyncio.Event()
        path.add(self)

    @property
    def held_bytes(self) -> int:
        """Sent and not read."""
        return self._bytes

    @property
    def held_messages(self) -> int:
        return len(self._items)

    @property
    def is_finished(self) -> bool:
        """Over, and nothing of it is still on the way."""
        return self._broken is not None or (self._end is not None and not self._items)

    def buffered_bytes(self) -> int:
        """Sent and still at the writer: behind the bandwidth, or behind a blocked path."""
        if self.path.is_blocked:
            return self._bytes
        now = _now()
        return sum(item.size for item in self._items if item.left_at > now)

    def send(self, value: T, size: int) -> None:
        """Put on the way; never waits (`wait_below` does).  PipeEnded once it is over."""
        self._raise_if_over()
        if self.path.breaks():
            self._end_after("the connection was lost", is_clean=False)  # what was sent before still arrives
            self._raise_if_over()
        left_at, arrives_at = self.path.schedule(size, _now())
        self._last_arrival = max(self._last_arrival, arrives_at)
        self._items.append(_Item(value, size, left_at, self._last_arrival))
        self._bytes += size
        self.wake()

    async def wait_below(self, held_bytes_max: int) -> None:
        """Wait until the reader has left at most this much unread."""
        while self._bytes > held_bytes_max:
            self._raise_if_over()
            await self._next_change()

    def in_flight_bytes(self) -> int:
        """Sent and not yet at the reader."""
        if self.path.is_blocked:
            return self._bytes
        now = _now()
        return sum(item.size for item in self._items if item.arrives_at > now)

    async def wait_in_flight(self, in_flight_bytes_max: int) -> None:
        """Wait until at most this much is under way, as a congestion window does."""
        while self.in_flight_bytes() > in_flight_bytes_max:
            self._raise_if_over()
            if self.path.is_blocked:
                await self._next_change()
                continue
            now = _now()
            await self._sleep(next(item.arrives_at for item in self._items if item.arrives_at > now) - now)

    async def wait_read(self) -> None:
        """Wait until all that was sent has arrived, whether read or not, or the pipe broke."""
        while self._items and self._broken is None and self._items[-1].arrives_at > _now():
            await self._sleep(self._items[-1].arrives_at - _now())

    async def receive(self) -> T:
        """The next item, once it is here.  PipeEnded after the last."""
        while True:
            if self._broken is not None:
                raise self._broken
            if self._items:
                due = self._items[0].arrives_at
            elif self._end is not None:
                due = self._ends_at
            else:
                await self._next_change()
                continue
            if due > _now():
                await self._sleep(due - _now())
            elif self.path.is_blocked:
                await self._next_change()
            elif not self._items:
                assert self._end is not None
                raise self._end
            else:
                item = self._items.popleft()
                self._bytes -= item.size
                self.wake()
                return item.value

    def close(self, detail: str) -> None:
        """End after what was sent."""
        self._end_after(detail, is_clean=True)

    def _end_after(self, detail: str, *, is_clean: bool) -> None:
        if self._broken is None and self._end is None:
            self._ends_at = max(self._last_arrival, _now() + self.path.latency_s())
            self._end = PipeEnded(detail, is_clean=is_clean)
            self.wake()

    def break_off(self, detail: str) -> None:
        """End now; what is unread is lost."""
        if self._broken is None:
            self._broken = PipeEnded(detail, is_clean=False)
            self._items.clear()
            self._bytes = 0
            self.wake()

    def _raise_if_over(self) -> None:
        over = self._broken or self._end
        if over is not None:
            raise PipeEnded(over.detail, is_clean=over.is_clean)

    def wake(self) -> None:
        """Let whoever waits look again; the path calls it when it is free again."""
        self._changed.set()
        self._changed = asyncio.Event()  # each waiter holds the one it waits for

    async def _next_change(self) -> None:
        await self._changed.wait()

    async def _sleep(self, delay_s: float) -> None:
        """Sleep, but notice a break; items that arrive meanwhile are behind the one waited for."""
        deadline = _now() + delay_s
        while self._broken is None and (left := deadline - _now()) > 0:
            try:
                async with asyncio.timeout(left):
                    await self._changed.wait()
            except TimeoutError:
                return


def _now() -> float:
    return asyncio.get_running_loop().time()
