"""Who reads what, how far each has come, and who may not go on.

A reader has bytes already when others for the same resource turn out wrong, or
the stream begins anew, or the store lets the resource go.  What it gets next must
belong to what it has: so a reader that was given wrong bytes is broken for good,
and its response ends short, whatever comes after.

Nothing is decided here.  A reader has one question open at a time.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from shoal.runtime import Reply

from ..assembly import Assembly
from ..errors import UnknownResource, WrongBytes
from ..model import ByteRange, ResourceKey
from .messages import Piece

__all__ = ["Reader", "Readers", "went", "wrong_after"]


class Reader(msgspec.Struct):
    """One reading of one resource; `offset` is how much it has, or asks from."""

    offset: int = 0
    reply: Reply | None = None  # of the question that waits for bytes
    broken: Exception | None = None

    @property
    def is_waiting(self) -> bool:
        return self.reply is not None and self.reply.is_waiting

    def fail(self, error: Exception) -> None:
        """Fail the open question, if there is one."""
        reply, self.reply = self.reply, None
        if reply is not None:
            reply.fail(error)

    def breaks(self, error: Exception) -> None:
        """It may not go on: fail its question, and all later ones."""
        self.broken = error
        self.fail(error)


class Readers:
    def __init__(self) -> None:
        self._readers: dict[ResourceKey, dict[int, Reader]] = {}

    def __contains__(self, key: object) -> bool:
        return key in self._readers

    def open(self, key: ResourceKey, number: int) -> None:
        self._readers.setdefault(key, {})[number] = Reader()

    def find(self, key: ResourceKey, number: int) -> Reader | None:
        return self._readers.get(key, {}).get(number)

    def close(self, key: ResourceKey, number: int) -> bool:
        """True if that was the last reader of `key`; False if there are others, or it was none."""
        readers = self._readers.get(key, {})
        if readers.pop(number, None) is None or readers:
            return False
        del self._readers[key]
        return True

    def of(self, key: ResourceKey) -> Iterator[Reader]:
        return iter(self._readers.get(key, {}).values())

    def give(self, key: ResourceKey, assembly: Assembly, piece_bytes_max: int) -> None:
        """Answer whoever waits for `key` with what may be read now."""
        readable = assembly.readable_bytes
        for reader in self.of(key):
            if reader.is_waiting and (readable > reader.offset or assembly.completed):
                data = assembly.read(reader.offset, piece_bytes_max)
                reader.offset += len(data)
                is_last = assembly.completed and reader.offset >= assembly.end_bytes
                reply, reader.reply = reader.reply, None
                assert reply is not None, "it is waiting"
                reply.set(Piece(data=data, total_bytes=assembly.total_bytes, is_last=is_last))

    def fail(self, key: ResourceKey, error: Exception) -> None:
        """Fail those who wait for `key`."""
        for reader in self.of(key):
            reader.fail(error)

    def break_off(self, key: ResourceKey, error: Exception, *, beyond: int = -1) -> None:
        """Let nobody go on who has bytes of `key` beyond that."""
        for reader in self.of(key):
            if reader.offset > beyond:
                reader.breaks(error)

    def take_questions(self, key: ResourceKey) -> Iterator[tuple[int, int, Reply]]:
        """Who waits for bytes of `key`, and from which on; somebody else answers them from now on."""
        for number, reader in self._readers.get(key, {}).items():
            reply, reader.reply = reader.reply, None
            if reply is not None and reply.is_waiting:
                yield number, reader.offset, reply


def went(key: ResourceKey) -> UnknownResource:
    """Why a reader may not go on with what nothing ties to what it has."""
    return UnknownResource(
        f"{key.kind} {key.number} went while it was read, and no hash tells what fits to it; ask again", key=key
    )


def wrong_after(key: ResourceKey, keep_bytes: int) -> WrongBytes:
    """Why a reader may not go on that was given wrong bytes."""
    return WrongBytes(
        f"bytes of {key.kind} {key.number} from {keep_bytes} on were wrong after they had gone out; ask again",
        key=key,
        source="",
        wrong=ByteRange(keep_bytes, 0),
    )
