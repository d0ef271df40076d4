"""A store on threads: what it promises when its disk does not answer."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from pathlib import Path

import pytest

from shoal.transports.errors import ShelfDamaged, ShelfUnusable
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


@pytest.mark.parametrize("is_damaged", [False, True])
def test_what_is_found_gone_or_damaged_counts_no_longer(tmp_path: Path, *, is_damaged: bool) -> None:
    async def main() -> None:
        shelf = ThreadShelf(tmp_path, bytes_max=1000)
        await shelf.open()
        for number in range(3):
            await shelf.put(bytes([number]) * 100, worth=1)
        files = sorted((tmp_path / "files").glob("*/*"))
        for file in files[:2]:
            if is_damaged:
                file.write_bytes(b"x")
            else:
                file.unlink()
        for file in files[:2]:
            with pytest.raises(ShelfDamaged) if is_damaged else contextlib.nullcontext():
                assert await shelf.read(bytes.fromhex(file.name)) is None
        assert await shelf._writing.run(shelf._disk.totals) == (100, 1)
        await shelf.aclose()

    asyncio.run(main())
