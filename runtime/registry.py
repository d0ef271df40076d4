"""Names of living actors.

A name is the path without its first slash: "session", "session/peer-3".  Only
actors that were given a name are here; death takes a name out before anybody
hears of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import NameTaken

if TYPE_CHECKING:
    from .ref import ActorRef

__all__ = ["Registry"]


class Registry:
    """Paths to refs.  Its size is that of the living actors that have a name."""

    __slots__ = ("_refs",)

    def __init__(self) -> None:
        self._refs: dict[str, ActorRef[Any]] = {}

    def add(self, path: str, ref: ActorRef[Any]) -> None:
        """NameTaken if somebody living has it."""
        if path in self._refs:
            raise NameTaken(f"an actor at {path} is alive; choose another name, or wait for its Terminated")
        self._refs[path] = ref

    def remove(self, path: str) -> None:
        self._refs.pop(path, None)

    def find(self, name: str) -> ActorRef[Any] | None:
        """The living actor of that name, with or without the first slash; else None."""
        return self._refs.get(name if name.startswith("/") else "/" + name)
