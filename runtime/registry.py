"""Names of living actors.

A name is the path without its first slash: "session", "session/peer-3".  Only
actors that were given a name are here; death takes a name out before anybody
hears of it.

One registry serves all threads of a system.  Its lock is never held while a
watcher is called, who may do as he likes: of two changes on two threads at once
he may hear in either order.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .errors import NameTaken
from .messages import NameChanged
from .streams import Stream, Subscription

if TYPE_CHECKING:
    from .ref import ActorRef

__all__ = ["Registry"]


class Registry:
    """Paths to refs.  Its size is that of the living actors that have a name."""

    __slots__ = ("_lock", "_refs", "_watchers")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._refs: dict[str, ActorRef[Any]] = {}
        self._watchers: dict[str, Stream[NameChanged]] = {}  # only names that somebody watches

    def add(self, path: str, ref: ActorRef[Any]) -> None:
        """NameTaken if somebody living has it."""
        with self._lock:
            if path in self._refs:
                raise NameTaken(f"an actor at {path} is alive; choose another name, or wait for its Terminated")
            self._refs[path] = ref
            watchers = self._watchers.get(path)
        if watchers is not None:
            watchers.publish(NameChanged(path[1:], ref))

    def remove(self, path: str) -> None:
        with self._lock:
            ref = self._refs.pop(path, None)
            watchers = self._watchers.get(path)
        if ref is not None and watchers is not None:
            watchers.publish(NameChanged(path[1:], None))

    def watch(self, name: str, callback: Callable[[NameChanged], None]) -> Subscription[NameChanged]:
        """Have `callback` called at once with who has the name, if anybody, and whenever that changes."""
        path = _path(name)
        with self._lock:
            for other in [other for other, stream in self._watchers.items() if not stream.has_subscribers]:
                del self._watchers[other]
            subscription = self._watchers.setdefault(path, Stream()).subscribe(callback)
            ref = self._refs.get(path)
        if ref is not None:
            callback(NameChanged(path[1:], ref))
        return subscription

    def find(self, name: str) -> ActorRef[Any] | None:
        """The living actor of that name, with or without the first slash; else None."""
        return self._refs.get(_path(name))


def _path(name: str) -> str:
    return name if name.startswith("/") else "/" + name
