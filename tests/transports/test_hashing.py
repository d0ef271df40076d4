"""Digests that take long are not computed on the loop, and not without a limit."""

from __future__ import annotations

import asyncio
import hashlib
import threading

import pytest

from shoal.transports.native import hashing
from shoal.transports.native.hashing import ThreadHasher

from .contract import until

pytestmark = pytest.mark.real


@pytest.fixture
def threads(monkeypatch):
    """The threads in which digests were computed by the pool, and a gate that holds them."""
    seen: list[threading.Thread] = []
    gate = threading.Event()

    def slow(data):
        seen.append(threading.current_thread())
        assert gate.wait(60), "nobody opened the gate"
        return hashlib.sha256(data).digest()

    monkeypatch.setattr(hashing, "_sha256", slow)
    return seen, gate


def test_long_data_leaves_the_loop_free_and_short_data_does_not_leave_it(threads):
    seen, gate = threads

    async def main():
        hasher = ThreadHasher()
        waiting = asyncio.create_task(hasher.sha256(bytes(5000)))
        await asyncio.sleep(0.02)
        assert await hasher.sha256(b"short") == hashlib.sha256(b"short").digest()
        assert not waiting.done()
        gate.set()
        await waiting
        await hasher.aclose()

    asyncio.run(main())
    assert [thread.name.startswith("shoal-hasher") for thread in seen] == [True]
    assert not seen[0].is_alive()


def test_data_beyond_the_limit_waits_outside(threads):
    _, gate = threads

    async def main():
        hasher = ThreadHasher(waiting_max=2)
        tasks = [asyncio.create_task(hasher.sha256(bytes(5000))) for _ in range(10)]
        await asyncio.sleep(0.02)
        assert hasher._pool._work_queue.qsize() <= 2
        gate.set()
        await asyncio.gather(*tasks)
        await hasher.aclose()

    asyncio.run(main())


def test_a_cancelled_caller_gives_its_place_back(threads):
    _, gate = threads

    async def main():
        hasher = ThreadHasher(waiting_max=1)
        first = asyncio.create_task(hasher.sha256(bytes(5000)))
        await asyncio.sleep(0.02)
        first.cancel()
        await asyncio.wait([first])
        gate.set()
        assert await hasher.sha256(bytes(3000)) == hashlib.sha256(bytes(3000)).digest()
        await hasher.aclose()

    asyncio.run(main())


def test_closing_fails_those_who_wait_and_does_not_cancel_them(threads):
    seen, gate = threads

    async def main():
        hasher = ThreadHasher(waiting_max=2)
        tasks = [asyncio.create_task(hasher.sha256(bytes(5000))) for _ in range(4)]
        await until(lambda: len(seen) == 1)
        closing = asyncio.create_task(hasher.aclose())
        await asyncio.sleep(0.02)
        gate.set()
        await closing
        under_way, *waiting = await asyncio.gather(*tasks, return_exceptions=True)
        assert under_way == hashlib.sha256(bytes(5000)).digest()
        assert [type(error) for error in waiting] == [RuntimeError] * 3

    asyncio.run(main())
