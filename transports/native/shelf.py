"""Shelf on a folder, its waiting done on two threads: one reads, the other has the index and writes.

So a player that waits for bytes waits for no write.  At most `waiting_max` of
each kind wait; the next caller waits for a place, as with digests (hashing.py).

Where the disk hangs, closing gives up after `CLOSE_LIMIT_S` and leaves its thread to
it, which closes the index if it ever comes back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from ..errors import ShelfDamaged, ShelfError, ShelfUnusable
from ..interface import Shelved
from .disk import Disk

__all__ = ["ThreadShelf"]

T = TypeVar("T")

MISSED_MAX = 1_024  # while the writer hangs; what is lost of them is found again when the folder is opened
CLOSE_LIMIT_S = 3.0  # for each of the two threads; a read or a write that ends takes milliseconds


class ThreadShelf:
    """A Shelf in `folder`, which `open` makes if need be."""

    def __init__(self, folder: str | Path, *, bytes_max: int, files_max: int = 65_536, waiting_max: int = 32) -> None:
        """`files_max` bounds what opening looks at, to about a second."""
        self._disk = Disk(folder, bytes_max=bytes_max, files_max=files_max)
        self._writing = _Lane("shoal-shelf-writer", waiting_max)
        self._reading = _Lane("shoal-shelf-reader", waiting_max)
        self._missed: deque[bytes] = deque(maxlen=MISSED_MAX)  # found not to be there; their rows are

    async def open(self) -> None:
        """ShelfError says what is wrong with the folder."""
        await self._writing.run(self._disk.open)

    async def put(self, data: bytes, *, worth: int) -> Shelved:
        return await self._writing.run(lambda: self._disk.put(data, worth=worth))

    async def read(self, digest: bytes) -> bytes | None:
        try:
            data = await self._reading.run(lambda: self._disk.read(digest))
        except ShelfDamaged:
            self._miss(digest)
            raise
        if data is None:
            self._miss(digest)
        return data

    async def sizes(self, digests: Sequence[bytes]) -> dict[bytes, int]:
        return await self._reading.run(lambda: self._disk.sizes(digests))

    async def mark(self, worths: Mapping[bytes, int]) -> None:
        await self._writing.run(lambda: self._disk.mark(worths))

    def _miss(self, digest: bytes) -> None:
        """Its row would go on counting for all who share the folder: the writer removes it when its turn comes."""
        self._missed.append(digest)
        if len(self._missed) == 1:  # else the writer is to come for those before it, and takes this one too
            self._writing.soon(self._strike_missed)

    def _strike_missed(self) -> None:
        digests: list[bytes] = []
        with contextlib.suppress(IndexError):
            while True:
                digests.append(self._missed.popleft())
        with contextlib.suppress(ShelfError):  # then the next that opens the folder does it
            self._disk.strike(digests)

    async def aclose(self) -> None:
        await self._reading.aclose()
        await self._writing.aclose(self._disk.close)


class _Lane:
    """One thread, and who waits for it."""

    def __init__(self, name: str, waiting_max: int) -> None:
        self._places = asyncio.Semaphore(waiting_max)
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._under_way: set[Future[Any]] = set()  # running, or waiting for the thread
        self._closed = False

    async def run(self, work: Callable[[], T]) -> T:
        """ShelfUnusable after `aclose`, or if that drops it before it has begun."""
        async with self._places:
            if self._closed:
                raise ShelfUnusable("this shelf is closed; open another")
            try:
                return await asyncio.wrap_future(self._hand_in(work))
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if self._closed and not (task is not None and task.cancelling()):
                    raise ShelfUnusable("this shelf was closed before its turn came; open another") from None
                raise

    def soon(self, work: Callable[[], None]) -> None:
        """Do it when its turn comes; nobody waits for it, and closing may drop it."""
        if not self._closed:
            self._hand_in(work)

    def _hand_in(self, work: Callable[[], T]) -> Future[T]:
        future = self._pool.submit(work)
        self._under_way.add(future)
        future.add_done_callback(self._under_way.discard)
        return future

    async def aclose(self, last: Callable[[], None] = lambda: None) -> None:
        """Drop what waits, end what runs, and do `last`, on its thread.  Returns earlier if that takes too long."""
        if self._closed:
            return
        self._closed = True
        for future in tuple(self._under_way):
            future.cancel()
        ended = self._pool.submit(last)
        self._pool.shutdown(wait=False)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_LIMIT_S):
                await asyncio.shield(asyncio.wrap_future(ended))
