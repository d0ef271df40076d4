"""The actors and their messages.  This file runs natively and in the page; it imports neither side's own."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec

from shoal.runtime import Actor, handler

from .murmur3 import finished, mixed

__all__ = ["ACTORS", "ERRORS", "Count", "Hash", "Hasher", "TooMuch"]

BYTES_MAX = 16 * 1024 * 1024
_PIECE_BYTES = 16 * 1024  # some milliseconds of work, then others run: other actors, and the page itself


class Hash(msgspec.Struct):
    """Asks for the MurmurHash3 of these bytes."""

    data: bytes
    seed: Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)] = 0


class Count(msgspec.Struct):
    """Asks how many were hashed."""


class TooMuch(Exception):
    """More bytes than one message may have."""


class Hasher(Actor[Any]):
    def __init__(self) -> None:
        self.count = 0

    @handler
    async def hash(self, message: Hash) -> int | None:
        data = memoryview(message.data)
        if len(data) > BYTES_MAX:
            self.take_reply().fail(TooMuch(f"{len(data)} bytes; at most {BYTES_MAX} are hashed"))
            return None
        whole, state = len(data) & ~3, message.seed
        for at in range(0, whole, _PIECE_BYTES):
            state = mixed(state, data[at : min(at + _PIECE_BYTES, whole)])
            await asyncio.sleep(0)
        self.count += 1
        return finished(state, bytes(data[whole:]), len(data))

    @handler
    def how_many(self, message: Count) -> int:
        return self.count


# What pages may reach: names, and the messages of each.
ACTORS = {"hasher": (Hash, Count)}
ERRORS = (TooMuch,)
