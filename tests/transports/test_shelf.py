"""A store on threads: what it promises when its disk does not answer."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from shoal.transports.errors import ShelfUnusable
from shoal.transports.native import shelf as module
from shoal.transports.native.disk import Disk
from shoal.transports.native.shelf import ThreadShelf


@pytest.mark.parametrize("what", ["read", "mark"])
def test_a_disk_that_hangs_does_not_hold_up_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setattr(module, "CLOSE_LIMIT_S", 0)
    hangs, answers, closed = threading.Event(), threading.Event(), threading.Event()
    close = Disk.close

    def hang(disk: Disk, _: object) -> None:
        hangs.set()
        answers.wait()

    def telling(disk: Disk) -> None:
        close(disk)
        closed.set()

    monkeypatch.setattr(Disk, what, hang)
    monkeypatch.setattr(Disk, "close", telling)

    async def main() -> None:
        shelf = ThreadShelf(tmp_path, bytes_max=1000)
        await shelf.open()
        call = shelf.read(b"x") if what == "read" else shelf.mark({})
        first = asyncio.ensure_future(call)
        await asyncio.to_thread(hangs.wait)
        waits = asyncio.ensure_future(shelf.read(b"x") if what == "read" else shelf.mark({}))
        await asyncio.sleep(0)
        await shelf.aclose()
        await shelf.aclose()
        with pytest.raises(ShelfUnusable, match="closed"):
            await waits
        assert not first.done()
        assert closed.is_set() <= (what == "read"), "not while its thread is at the index"
        answers.set()
        await first
        await asyncio.to_thread(closed.wait)

    try:
        asyncio.run(main())
    finally:
        answers.set()
