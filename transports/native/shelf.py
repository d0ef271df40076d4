"""Shelf on a folder, its waiting done on two threads: one reads, the other has the index and writes.

So a player that waits for bytes waits for no write.  At most `waiting_max` of
each kind wait; the next caller waits for a place, as with digests (hashing.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from ..errors import ShelfUnusable
from ..interface import Shelved
from .disk import Disk

__all__ = ["ThreadShelf"]

T = TypeVar("T")


class ThreadShelf:
    """A Shelf in `folder`, which `open` makes if need be."""

    def __init__(self, folder: str | Path, *, bytes_max: int, files_max: int = 65_536, waiting_max: int = 32) -> None:
        """`files_max` bounds what opening looks at, to about a second."""
        self._disk = Disk(folder, bytes_max=bytes_max, files_max=files_max)
        self._writing = _Lane("shoal-shelf-writer", waiting_max)
        self._reading = _Lane("shoal-shelf-reader", waiting_max)

    async def open(self) -> None:
        """ShelfError says what is wrong with the folder."""
        await self._writing.run(self._disk.open)

    async def put(self, data: bytes, *, worth: int) -> Shelved:
        return await self._writing.run(lambda: self._disk.put(data, worth=worth))

    async def read(self, digest: bytes) -> bytes | None:
        return await self._reading.run(lambda: self._disk.read(digest))

    async def sizes(self, digests: Sequence[bytes]) -> dict[bytes, int]:
        return await self._reading.run(lambda: self._disk.sizes(digests))

    async def mark(self, worths: Mapping[bytes, int]) -> None:
        await self._writing.run(lambda: self._disk.mark(worths))

    async def aclose(self) -> None:
        await self._reading.aclose()
        await self._writing.aclose()
        await asyncio.to_thread(self._disk.close)


class _Lane:
    """One thread, and who waits for it."""

    def __init__(self, name: str, waiting_max: int) -> None:
        self._places = asyncio.Semaphore(waiting_max)
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._closed = False

    async def run(self, work: Callable[[], T]) -> T:
        """ShelfUnusable after `aclose`, or if that drops it before it has begun."""
        async with self._places:
            if self._closed:
                raise ShelfUnusable("this shelf is closed; open another")
            try:
                return await asyncio.get_running_loop().run_in_executor(self._pool, work)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if self._closed and not (task is not None and task.cancelling()):
                    raise ShelfUnusable("this shelf was closed before its turn came; open another") from None
                raise

    async def aclose(self) -> None:
        self._closed = True
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)
