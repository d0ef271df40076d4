"""Keeps whole resources, within its limits; the only actor that holds bytes for long.

In memory, and on a shelf besides if the session has one (`on_shelf.py`): a resource
that memory lets go is still held while it lies there, and comes back into memory
when it is read.  What others have put there counts as held as soon as its hash is known.
"""

from __future__ import annotations

from typing import Any

from shoal.runtime import Actor, ActorRef
from shoal.transports.interface import Shelf

from ..config import BalancerConfig
from ..errors import UnknownResource
from ..model import Kind, ResourceKey
from ..report import StoreState
from ..store import Refusal, Store
from . import shelving as s
from .messages import (
    Discard,
    Dropped,
    GetShareable,
    GiveWhole,
    HashHeld,
    HeldHashed,
    NotStored,
    NotWhole,
    Passed,
    Piece,
    Pin,
    Put,
    ReadStored,
    Recheck,
    ReportStore,
    Seek,
    Sought,
    Unpin,
    Vouched,
    Wrong,
)
from .on_shelf import OnShelf, ShareableAsked

__all__ = ["Storage"]


class Storage(Actor[Any]):
    def __init__(
        self,
        session: ActorRef[Any],
        hashing: ActorRef[Any],
        store: Store,
        config: BalancerConfig,
        shelf: Shelf | None,
    ) -> None:
        self._session = session
        self._hashing = hashing
        self._store = store
        self._shareable: set[ResourceKey] = set()
        self._pinned: set[ResourceKey] = set()  # being read; in the store or still to come
        self._config = config
        self._given = shelf
        self._shelf: OnShelf | None = None

    def on_start(self) -> None:
        if self._given is not None:
            self._shelf = OnShelf(self, self._session, self._given, self._config)

    def receive(self, message: Any) -> None:
        if type(message) is GiveWhole:  # as in Session.receive
            self._give_whole(message)
            return
        match message:
            case ReadStored():
                self._read(message)
            case Put():
                self._put(message)
            case GetShareable(key):
                self._share(key)
            case Pin(key):
                self._pinned.add(key)
                self._store.pin(key)
                if key.kind is Kind.MEDIA:
                    self._store.moved_playhead(key.rendition, key.number)
            case Unpin(key):
                self._unpin(key)
            case Discard(rendition):
                self._discard(rendition)
            case Passed(keys):
                passed = tuple(key for key in keys if key not in self._pinned and self._store.discard(key))
                self._drop(passed)
            case Recheck():
                self._recheck(message)
            case Vouched(key):
                if key in self._store or self._is_on_shelf(key):
                    self._shareable.add(key)
            case Wrong(key):
                self._let_go(key)
            case Seek(wanted) if self._shelf is not None:
                self._shelf.look(wanted)
            case ReportStore(report, reporter):
                report.store = self._state()
                reporter.tell(report)
            case _:
                assert self._shelf is not None, f"the storage was sent {type(message).__name__}"
                self._on_shelf(message, self._shelf)

    def _put(self, message: Put) -> None:
        key, data = message.key, message.data
        self._store.held_elsewhere(message.copies)
        # What decrypts a stream is not left on a disk, and what is whole in a second not written to it.
        if self._shelf is not None and key.kind not in {Kind.KEY, Kind.PART}:
            self._shelf.keep(key, data, self._store.worth(key))
        if self._remember(key, data) and message.shareable:
            self._shareable.add(key)

    def _remember(self, key: ResourceKey, data: bytes) -> bool:
        """Into memory; what that lets go and no shelf has is dropped.  Whether it is held now."""
        is_new = key not in self._store
        result = self._store.put(key, data)
        if is_new and key in self._pinned:
            self._store.pin(key)
        self._drop((key,) if isinstance(result, Refusal) else result)
        return not isinstance(result, Refusal) or self._is_on_shelf(key)

    def _drop(self, keys: tuple[ResourceKey, ...]) -> None:
        """These are in memory no longer."""
        lost = tuple(key for key in keys if not self._is_on_shelf(key) and key not in self._store)
        self._shareable.difference_update(lost)
        if lost:
            self._session.tell(Dropped(keys=lost))

    def _is_on_shelf(self, key: ResourceKey) -> bool:
        return self._shelf is not None and key in self._shelf

    def _unpin(self, key: ResourceKey) -> None:
        self._pinned.discard(key)
        if key in self._store:
            self._store.unpin(key)
        if self._shelf is not None:
            self._shelf.mark(key, self._store.worth(key))

    def _discard(self, rendition: int) -> None:
        held = self._store.keys()
        for key in (key for key in held if key.rendition == rendition):
            self._store.discard(key)
        self._shareable = {key for key in self._shareable if key.rendition != rendition}
        if self._shelf is not None:
            for asked in self._shelf.forget(rendition):
                self._miss(asked)

    # -- hashes that came late

    def _recheck(self, asked: Recheck) -> None:
        check, data = asked.check, self._store.peek(asked.check.key)
        digest: bytes | None = None
        if self._shelf is not None:
            digest, coming = self._shelf.body(check.key)
            data = coming if data is None else data
        if digest is not None or data is None:  # a shelf knows its bodies by their hashes
            self._session.tell(HeldHashed(check, digest))
        else:
            self._hashing.tell(HashHeld(check, data))

    def _let_go(self, key: ResourceKey) -> None:
        self._store.discard(key)
        waiting = [] if self._shelf is None else self._shelf.let_go(key)
        self._drop((key,))
        for asked in waiting:
            self._miss(asked)

    # -- reading

    def _give_whole(self, message: GiveWhole) -> None:
        key = message.key
        if key.kind is Kind.MEDIA:
            self._store.moved_playhead(key.rendition, key.number)
        data = self._store.get(key)
        if data is None:
            self._session.tell(NotWhole(key, message.reader, message.reply))
        else:
            message.reply.set(Piece(data=data, total_bytes=len(data), is_last=True))

    def _read(self, asked: ReadStored) -> None:
        data = self._store.get(asked.key)
        if data is not None:
            self._give(asked, data)
        elif self._shelf is None or not self._shelf.load(asked.key, asked):
            self._miss(asked)

    def _share(self, key: ResourceKey) -> None:
        asked = ShareableAsked(key, self.take_reply())
        data = self._store.get(key) if key in self._shareable else None
        if data is not None:
            self._give(asked, data)
        elif key not in self._shareable or self._shelf is None or not self._shelf.load(key, asked):
            self._miss(asked)

    def _give(self, asked: ReadStored | ShareableAsked, data: bytes) -> None:
        if isinstance(asked, ShareableAsked):
            asked.reply.set(data)
            return
        piece = data[asked.offset : asked.offset + asked.bytes_max]
        is_last = asked.offset + len(piece) >= len(data)
        asked.reply.set(Piece(data=piece, total_bytes=len(data), is_last=is_last))

    def _miss(self, asked: ReadStored | ShareableAsked) -> None:
        if isinstance(asked, ShareableAsked):
            key = asked.key
            asked.reply.fail(UnknownResource(f"{key} is not in the store, or may not be uploaded", key=key))
        else:
            self._session.tell(NotStored(asked))

    # -- what the shelf answers

    def _on_shelf(self, message: Any, shelf: OnShelf) -> None:
        match message:
            case s.Placed():
                self._drop(shelf.placed(message))
            case s.Unshelved(key, _, data):
                waiting, gone = shelf.unshelved(message)
                if data is None:
                    self._drop(gone)
                elif waiting:  # else it was discarded meanwhile
                    self._remember(key, data)
                for asked in waiting:
                    if data is None:
                        self._miss(asked)
                    else:
                        self._give(asked, data)
            case s.Looked(sought, found):
                shelf.found(found)
                self._shareable.update(key for key in found if key.kind is Kind.MEDIA)  # their hashes are known
                counts = {key: digests.byte_count for key, digests in found.items()}
                self._session.tell(Sought(sought, counts))
            case s.Marked():
                shelf.marked()
            case s.ShelfFailed():
                waiting, gone = shelf.failed(message)
                self._drop(gone)
                if isinstance(message.asked, s.Look):
                    self._session.tell(Sought(tuple(message.asked.wanted), {}))
                for asked in waiting:
                    self._miss(asked)
            case _:
                raise TypeError(f"the storage was sent {type(message).__name__}")

    def _state(self) -> StoreState:
        store = self._store
        return StoreState(
            byte_count=store.byte_count,
            bytes_max=store.bytes_max,
            resource_count=len(store),
            evicted_count=store.evicted_count,
            refused_count=store.refused_count,
            disk=None if self._shelf is None else self._shelf.state(),
        )
