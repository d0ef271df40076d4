"""Hasher on hashlib, in one thread of its own: SHA-256 of a segment takes milliseconds that the loop must not lose.

One worker is enough: hashlib releases the GIL above 2047 bytes, runs at some
GB/s with the processor's SHA instructions, and the network is slower.  Below
`inline_bytes_max` the way to a thread and back costs more than the digest.
At most `waiting_max` digests wait; the next caller waits for a place, which is
how a flood of data slows its source instead of filling memory.
"""

from __future__ import annotations

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor

__all__ = ["ThreadHasher"]


class ThreadHasher:
    """A Hasher with one worker thread, started by the first digest that needs it."""

    def __init__(self, *, inline_bytes_max: int = 2047, waiting_max: int = 32) -> None:
        """`waiting_max` digests hold their data alive: with 64 KiB pieces 2 MiB, with segments some hundred."""
        self._inline_bytes_max = inline_bytes_max
        self._places = asyncio.Semaphore(waiting_max)
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="shoal-hasher")
        self._closed = False

    async def sha256(self, data: bytes) -> bytes:
        """32 bytes.  A cancelled caller's digest is dropped if it has not begun.  RuntimeError after `aclose`."""
        self._check_open()
        if len(data) <= self._inline_bytes_max:
            return hashlib.sha256(data).digest()
        async with self._places:
            self._check_open()
            try:
                return await asyncio.get_running_loop().run_in_executor(self._pool, _sha256, data)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
                self._check_open()  # `aclose` dropped the digest, and nobody cancelled the caller
                raise

    async def aclose(self) -> None:
        """Finish the digest under way, fail those waiting, end the thread.  Takes at most one digest's time."""
        self._closed = True
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("this hasher is closed; make another")


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
