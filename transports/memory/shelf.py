"""A Shelf in memory, for virtual time: no thread, no file, and every way of going wrong on demand."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence

from ..errors import ShelfDamaged, ShelfError, ShelfFull, ShelfUnusable
from ..interface import Shelved

__all__ = ["MemoryShelf"]


class MemoryShelf:
    """Sessions that are given the same one share it, as processes share a folder."""

    def __init__(self, *, bytes_max: int = 1 << 30, files_max: int = 65_536, delay_s: float = 0.0) -> None:
        """`delay_s` is what each call takes."""
        self.bytes_max = bytes_max
        self.files_max = files_max
        self.delay_s = delay_s
        self.bodies: dict[bytes, bytes] = {}
        self.worths: dict[bytes, tuple[int, int]] = {}  # worth, and a count of uses
        self.fault: ShelfError | None = None  # what every write raises
        self._uses = 0
        self._closed = False

    def damage(self, digest: bytes) -> None:
        """Turn one bit over."""
        body = self.bodies[digest]
        self.bodies[digest] = bytes([body[0] ^ 1]) + body[1:]

    async def open(self) -> None:
        pass

    async def put(self, data: bytes, *, worth: int) -> Shelved:
        await self._wait()
        if self.fault is not None:
            raise self.fault
        if len(data) > self.bytes_max:
            raise ShelfFull(f"a body of {len(data)} bytes does not fit into a store of {self.bytes_max}")
        digest = hashlib.sha256(data).digest()
        self.bodies[digest] = data
        self._use(digest, worth)
        gone: list[bytes] = []
        while sum(map(len, self.bodies.values())) > self.bytes_max or len(self.bodies) > self.files_max:
            going = min((other for other in self.bodies if other != digest), key=self.worths.__getitem__)
            gone.append(going)
            self._remove(going)
        return Shelved(digest, tuple(gone), sum(map(len, self.bodies.values())), len(self.bodies))

    async def read(self, digest: bytes) -> bytes | None:
        await self._wait()
        body = self.bodies.get(digest)
        if body is not None and hashlib.sha256(body).digest() != digest:
            self._remove(digest)
            raise ShelfDamaged(f"{digest.hex()} was damaged, and is removed")
        return body

    async def sizes(self, digests: Sequence[bytes]) -> dict[bytes, int]:
        await self._wait()
        return {digest: len(self.bodies[digest]) for digest in digests if digest in self.bodies}

    async def mark(self, worths: Mapping[bytes, int]) -> None:
        await self._wait()
        for digest, worth in worths.items():
            if digest in self.bodies:
                self._use(digest, worth)

    async def aclose(self) -> None:
        self._closed = True

    async def _wait(self) -> None:
        if self._closed:
            raise ShelfUnusable("this shelf is closed; open another")
        await asyncio.sleep(self.delay_s)

    def _use(self, digest: bytes, worth: int) -> None:
        self._uses += 1
        self.worths[digest] = (worth, self._uses)

    def _remove(self, digest: bytes) -> None:
        del self.bodies[digest], self.worths[digest]
