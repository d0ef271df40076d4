"""What of a session lies on its shelf, and what is on its way there and back.

A part of the storage, whose actor it uses to start the two that wait for the disk
(shelving.py).  When the disk is full or fails, the session goes on from memory:
that is noted once, counted, shown in the report, and tried again after a while.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec

from shoal.runtime import Actor, ActorRef, MailboxSettings, Overflow, Reply
from shoal.transports.interface import Shelf

from ..config import BalancerConfig
from ..integrity import Digests
from ..model import ResourceKey
from ..report import DiskState
from . import shelving as s
from .messages import Noted, ReadStored

__all__ = ["OnShelf", "ShareableAsked"]

# What is read at a time, and a look for each rendition listed: hundreds at most, unless the disk hangs.  Then a look
# that is dropped is one without an answer, which nobody waits for long (SeekLate).
READER_MAILBOX = MailboxSettings(messages_max=4_096, overflow=Overflow.DROP_NEWEST)
# Bodies that wait to be written are held in memory for it, beside the store: on a slow disk, a dozen segments.
PENDING_BYTES_MAX = 64 * 1024 * 1024
PENDING_MAX = 512  # bodies; below what the writer's mailbox takes


class ShareableAsked(msgspec.Struct, frozen=True):
    """A peer waits for the whole of it."""

    key: ResourceKey
    reply: Reply


class OnShelf:
    def __init__(self, storage: Actor[Any], session: ActorRef[Any], shelf: Shelf, config: BalancerConfig) -> None:
        self._storage = storage
        self._session = session
        self._config = config
        limit_us = config.store_read_limit_us
        self._writer = storage.spawn(s.Shelving, storage.ref, shelf, limit_us, name="shelf-writer")
        self._reader = storage.spawn(
            s.Shelving, storage.ref, shelf, limit_us, name="shelf-reader", mailbox=READER_MAILBOX
        )
        self._digests: dict[ResourceKey, bytes] = {}  # of what lies there
        self._keys: dict[bytes, set[ResourceKey]] = {}  # the same, the other way round
        self._pending: dict[ResourceKey, bytes] = {}  # on its way there
        self._pending_bytes = self._pending_count = 0
        self._loading: dict[ResourceKey, list[ReadStored | ShareableAsked]] = {}
        self._worths: dict[bytes, int] = {}  # to be told
        self._is_marking = False
        self._retry_at_us: int | None = None  # while it takes nothing in
        self._state = DiskState()
        self._errors: Counter[str] = Counter()

    def __contains__(self, key: object) -> bool:
        """Whether it lies there, or is on its way; it may still turn out to be gone."""
        return key in self._digests or key in self._pending

    # -- onto it

    def keep(self, key: ResourceKey, data: bytes, worth: int) -> None:
        """Write it, unless the disk is known to take nothing now, or too much waits for it already."""
        self._let_go(key)  # of another version
        if self._retry_at_us is not None and self._storage.now_us < self._retry_at_us:
            self._state.skipped_count += 1
            return
        if self._pending_bytes + len(data) > PENDING_BYTES_MAX or self._pending_count >= PENDING_MAX:
            self._count("slow", "the disk under the store is slower than what comes; some of it is kept in memory only")
            return
        self._pending[key] = data
        self._pending_bytes += len(data)
        self._pending_count += 1
        self._writer.tell(s.Shelve(key, data, worth))

    def placed(self, placed: s.Placed) -> tuple[ResourceKey, ...]:
        """It lies there; what had to go for it, as far as it was ours."""
        shelved = placed.shelved
        state = self._state
        if state.state != "ok":
            self._note("the disk under the store takes what comes again")
        self._retry_at_us = None
        state.state, state.error = "ok", ""
        state.byte_count, state.body_count = shelved.byte_count, shelved.body_count
        state.written_bytes += len(placed.data)
        state.gone_count += len(shelved.gone)
        if self._end_pending(placed.key, placed.data):
            self._lies(placed.key, shelved.digest)
        return tuple(key for digest in shelved.gone for key in self._gone(digest))

    def mark(self, key: ResourceKey, worth: int) -> None:
        """Tell what it is worth, together with others while the disk is at the ones before."""
        digest = self._digests.get(key)
        if digest is None:
            return
        self._worths[digest] = worth
        if not self._is_marking:
            self.marked()

    def marked(self) -> None:
        self._is_marking = bool(self._worths)
        if self._worths:
            worths, self._worths = self._worths, {}
            self._writer.tell(s.Mark(worths))

    def let_go(self, key: ResourceKey) -> list[ReadStored | ShareableAsked]:
        """What lies there is not what `key` is to be; who waited for it.  Its body stays, under its own hash."""
        self._let_go(key)
        return self._loading.pop(key, [])

    def body(self, key: ResourceKey) -> tuple[bytes | None, bytes | None]:
        """The SHA-256 of what lies there, and the bytes that are on their way there."""
        return self._digests.get(key), self._pending.get(key)

    # -- from it

    def look(self, wanted: Mapping[ResourceKey, Digests]) -> None:
        self._reader.tell(s.Look(wanted))

    def found(self, found: Mapping[ResourceKey, Digests]) -> None:
        self._state.found_count += len(found)
        for key, digests in found.items():
            if key not in self:
                self._lies(key, digests.sha256)

    def load(self, key: ResourceKey, asked: ReadStored | ShareableAsked) -> bool:
        """Read it, for whoever asked; False if it is not there."""
        digest = self._digests.get(key)
        if digest is None:
            data = self._pending.get(key)
            if data is not None:
                self._storage.ref.tell(s.Unshelved(key, b"", data))
            else:
                return False
        waiting = self._loading.setdefault(key, [])
        waiting.append(asked)
        if digest is not None and len(waiting) == 1:
            self._reader.tell(s.Unshelve(key, digest))
        return True

    def unshelved(self, answer: s.Unshelved) -> tuple[list[ReadStored | ShareableAsked], tuple[ResourceKey, ...]]:
        """Who waited for it, and what lies there no longer."""
        if answer.data is not None and answer.digest:
            self._state.read_bytes += len(answer.data)
        gone = () if answer.data is not None else self._gone(answer.digest)
        return self._loading.pop(answer.key, []), gone

    # -- what goes wrong

    def failed(self, failure: s.ShelfFailed) -> tuple[list[ReadStored | ShareableAsked], tuple[ResourceKey, ...]]:
        """Who waited for it in vain, and what lies there no longer, or never came to."""
        match failure.asked:
            case s.Shelve(key, data):
                self._stop_writing(failure)
                return [], (key,) if self._end_pending(key, data) else ()
            case s.Unshelve(key, digest):
                self._count(failure.reason, failure.text)
                return self._loading.pop(key, []), self._gone(digest)
            case s.Look():
                self._count(failure.reason, failure.text)
            case s.Mark():
                self._count(failure.reason, failure.text)
                self.marked()
        return [], ()

    def _stop_writing(self, failure: s.ShelfFailed) -> None:
        """Until the disk was given time: a full one is not made less so by being asked for each segment."""
        self._state.state = "full" if failure.reason == "full" else "failing"
        self._retry_at_us = self._storage.now_us + self._config.store_retry_us
        self._count(failure.reason, f"{failure.text}; the session goes on from memory")

    def _count(self, reason: str, text: str) -> None:
        """Told in the log when it is news, and counted always."""
        if not self._errors[reason] or self._state.error != text:
            self._note(text)
        self._state.error = text
        self._errors[reason] += 1

    def _note(self, text: str) -> None:
        self._session.tell(Noted(text))

    def forget(self, rendition: int) -> list[ReadStored | ShareableAsked]:
        """Nothing there is of this rendition any more; who waited for what was."""
        for key in [key for key in (*self._digests, *self._pending) if key.rendition == rendition]:
            self._let_go(key)
        loading = [key for key in self._loading if key.rendition == rendition]
        return [asked for key in loading for asked in self._loading.pop(key)]

    def _end_pending(self, key: ResourceKey, data: bytes) -> bool:
        """Whether these bytes are still what `key` is."""
        self._pending_bytes -= len(data)
        self._pending_count -= 1
        if self._pending.get(key) is not data:
            return False
        del self._pending[key]
        return True

    def _lies(self, key: ResourceKey, digest: bytes) -> None:
        self._digests[key] = digest
        self._keys.setdefault(digest, set()).add(key)

    def _let_go(self, key: ResourceKey) -> None:
        self._pending.pop(key, None)  # its bytes are counted until they are written
        digest = self._digests.pop(key, None)
        if digest is not None:
            self._keys[digest].discard(key)
            if not self._keys[digest]:
                del self._keys[digest]

    def _gone(self, digest: bytes) -> tuple[ResourceKey, ...]:
        """It lies there no longer; what it was to us."""
        keys = tuple(self._keys.pop(digest, ()))
        for key in keys:
            del self._digests[key]
        return keys

    def state(self) -> DiskState:
        return msgspec.structs.replace(self._state, errors=dict(self._errors))
