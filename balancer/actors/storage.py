"""Keeps whole resources, within its limit; the only actor that holds bytes for long."""

from __future__ import annotations

from typing import Any

from shoal.runtime import Actor, ActorRef

from ..errors import UnknownResource
from ..model import Kind, ResourceKey
from ..store import Refusal, Store
from .messages import Discard, Dropped, GetShareable, NotStored, Piece, Pin, Put, ReadStored, Unpin

__all__ = ["Storage"]


class Storage(Actor[Any]):
    def __init__(self, session: ActorRef[Any], store: Store) -> None:
        self._session = session
        self._store = store
        self._shareable: set[ResourceKey] = set()
        self._pinned: set[ResourceKey] = set()  # being read; in the store or still to come

    def receive(self, message: Put | ReadStored | GetShareable | Pin | Unpin | Discard) -> None:
        match message:
            case Put(key, data, shareable):
                self._put(key, data, shareable=shareable)
            case ReadStored():
                self._read(message)
            case GetShareable(key):
                found = self._store.get(key) if key in self._shareable else None
                reply = self.take_reply()
                if found is None:
                    reply.fail(UnknownResource(f"{key} is not in the store, or may not be uploaded", key=key))
                else:
                    reply.set(found)
            case Pin(key):
                self._pinned.add(key)
                self._store.pin(key)
                if key.kind is Kind.MEDIA:
                    self._store.moved_playhead(key.rendition, key.number)
            case Unpin(key):
                self._pinned.discard(key)
                if key in self._store:
                    self._store.unpin(key)
            case Discard(rendition):
                held = self._store.keys()
                for key in (key for key in held if key.rendition == rendition):
                    self._store.discard(key)
                    self._shareable.discard(key)

    def _put(self, key: ResourceKey, data: bytes, *, shareable: bool) -> None:
        is_new = key not in self._store
        result = self._store.put(key, data)
        if is_new and key in self._pinned:
            self._store.pin(key)
        evicted = (key,) if isinstance(result, Refusal) else result
        self._shareable.difference_update(evicted)
        if shareable and not isinstance(result, Refusal):
            self._shareable.add(key)
        if evicted:
            self._session.tell(Dropped(keys=evicted))

    def _read(self, message: ReadStored) -> None:
        data = self._store.get(message.key)
        if data is None:
            self._session.tell(NotStored(message))
            return
        piece = data[message.offset : message.offset + message.bytes_max]
        message.reply.set(
            Piece(data=piece, total_bytes=len(data), is_last=message.offset + len(piece) >= len(data)),
        )
