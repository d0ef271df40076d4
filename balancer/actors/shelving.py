"""Carries bodies to a shelf and back for the storage, so that it never waits for a disk.

Two of these stand beside the storage: one is given what is to be written, the other
what is to be read, and neither waits for the other.  Each takes one thing after the
other and answers each: `Shelved`, `Unshelved`, `Looked`, `Marked`, or `ShelfFailed`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from shoal.runtime import Actor, ActorRef
from shoal.transports.errors import ShelfError
from shoal.transports.interface import Shelf, Shelved

from ..integrity import Digests
from ..model import ResourceKey

__all__ = ["Look", "Looked", "Mark", "Marked", "Placed", "ShelfFailed", "Shelve", "Shelving", "Unshelve", "Unshelved"]


class Shelve(msgspec.Struct, frozen=True):
    """Keep this.  Answered by Placed."""

    key: ResourceKey
    data: bytes
    worth: int


class Placed(msgspec.Struct, frozen=True):
    key: ResourceKey
    data: bytes  # the very ones that were given: a later version of the same resource is not what was kept
    shelved: Shelved


class Unshelve(msgspec.Struct, frozen=True):
    """Read this.  Answered by Unshelved."""

    key: ResourceKey
    digest: bytes


class Unshelved(msgspec.Struct, frozen=True):
    """`data` is None for what is not there any more."""

    key: ResourceKey
    digest: bytes
    data: bytes | None


class Look(msgspec.Struct, frozen=True):
    """Which of these are there, as long as they must be?  Answered by Looked."""

    wanted: Mapping[ResourceKey, Digests]


class Looked(msgspec.Struct, frozen=True):
    sought: tuple[ResourceKey, ...]
    found: Mapping[ResourceKey, Digests]


class Mark(msgspec.Struct, frozen=True):
    """What these are worth now.  Answered by Marked."""

    worths: Mapping[bytes, int]


class Marked(msgspec.Struct, frozen=True):
    pass


class ShelfFailed(msgspec.Struct, frozen=True):
    """What was asked for was not done."""

    asked: Shelve | Unshelve | Look | Mark
    reason: str
    text: str


class Shelving(Actor[Any]):
    def __init__(self, storage: ActorRef[Any], shelf: Shelf, read_limit_us: int) -> None:
        self._storage = storage
        self._read_limit_s = read_limit_us / 1e6
        self._shelf = shelf

    async def receive(self, message: Shelve | Unshelve | Look | Mark) -> None:
        try:
            answer = await self._done(message)
        except ShelfError as error:
            answer = ShelfFailed(message, error.reason, str(error))
        except TimeoutError:
            text = f"the disk under the store gave nothing within {self._read_limit_s:g} s; is it hanging?"
            answer = ShelfFailed(message, "slow", text)
        await self._storage.send(answer)

    async def _done(
        self, message: Shelve | Unshelve | Look | Mark
    ) -> Placed | Unshelved | Looked | Marked | ShelfFailed:
        shelf = self._shelf
        match message:
            case Shelve(key, data, worth):
                return Placed(key, data, await shelf.put(data, worth=worth))
            case Unshelve(key, digest):
                async with asyncio.timeout(self._read_limit_s):  # then whoever waits is better served by a source
                    return Unshelved(key, digest, await shelf.read(digest))
            case Look(wanted):
                async with asyncio.timeout(self._read_limit_s):  # what is to be read waits behind it
                    sizes = await shelf.sizes([digests.sha256 for digests in wanted.values()])
                found = {key: d for key, d in wanted.items() if sizes.get(d.sha256) == d.byte_count}
                return Looked(tuple(wanted), found)
            case Mark(worths):
                await shelf.mark(worths)
                return Marked()
