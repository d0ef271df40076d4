# cython: binding=True
"""`spawn`, which systems and actors have as a method: the same compiled function is bound to both."""

from __future__ import annotations

from typing import Any

from .cell import STOPPING
from .ref import ActorRef

__all__ = ["spawn"]

_STOPPING = STOPPING


def spawn(
    self: Any,
    actor_class: Any,
    *args: Any,
    name: Any = None,
    mailbox: Any = None,
    restart: Any = None,
    own_scheduler: Any = None,
    blocking: Any = None,
    **kwargs: Any,
) -> Any:
    """Start a child: `Actor.spawn` and `ActorSystem.spawn` say what the arguments are."""
    if name is None and mailbox is None and restart is None and own_scheduler is None and blocking is None:
        ref = _spawn_plainly(self._ref, actor_class, args, kwargs)
        if ref is not None:
            return ref
    return _spawn(self._ref, actor_class, args, kwargs, (name, mailbox, restart, own_scheduler, blocking))


def _spawn_plainly(parent: ActorRef, actor_class: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    spawner = parent._scheduler.spawner  # noqa: SLF001, of the core
    cell = parent._cell  # noqa: SLF001
    if spawner.is_open and cell.state < _STOPPING:
        return spawner.spawn(cell, actor_class, args, kwargs)
    return None


def _spawn(
    parent: ActorRef, actor_class: Any, args: tuple[Any, ...], kwargs: dict[str, Any], options: tuple[Any, ...]
) -> Any:
    """What is out of the ordinary is the host's."""
    return parent._scheduler.host.spawn_child(parent._cell, actor_class, args, kwargs, options)  # noqa: SLF001
