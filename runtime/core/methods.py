# cython: binding=True
"""What actors do with almost every message, compiled: methods of `Actor`, and of `ActorSystem` (`spawn`).

A compiled base class would not do: Python keeps the attributes of its subclasses' instances in a dict of each.
"""

from __future__ import annotations

from typing import Any

from . import bound as _bound
from .cell import STOPPING
from .ref import ActorRef

__all__ = ["cancel_timer", "ref_of", "spawn", "spawn_method", "start_timer"]

_STOPPING = STOPPING
_NO_OPTIONS = (None,) * 6


def ref_of(self: Any) -> Any:
    """The ref of an actor.  TypeError if it is none that `spawn` made."""
    return _bound.ref_of(self)


def spawn(
    self: Any,
    actor_class: Any,
    *args: Any,
    name: Any = None,
    mailbox: Any = None,
    restart: Any = None,
    own_scheduler: Any = None,
    blocking: Any = None,
    weight: Any = None,
    **kwargs: Any,
) -> Any:
    """Start a child: `Actor.spawn` and `ActorSystem.spawn` say what the arguments are."""
    options = (name, mailbox, restart, own_scheduler, blocking, weight)
    if options == _NO_OPTIONS:
        ref = _spawn_plainly(self, actor_class, args, kwargs)
        if ref is not None:
            return ref
    return _spawn(_bound.ref_of(self), actor_class, args, kwargs, options)


def spawn_method(kind: type) -> Any:
    """`spawn` for a class to have."""
    return _bound.as_method(kind, spawn, _spawn_plainly)


def _spawn_plainly(self: Any, actor_class: Any, args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> Any:
    """The child, with every default; None where that is the host's to decide."""
    parent = _bound.ref_of(self)
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


def start_timer(
    self: Any, key: object, message: Any, *, delay_us: int, interval_us: Any = None, fixed_delay_us: Any = None
) -> None:
    """Send this actor a message later: `Actor.start_timer` says what the arguments are."""
    is_once = interval_us is None and fixed_delay_us is None
    ref = _bound.ref_of(self)
    if not (is_once and _start_once(ref, key, message, delay_us)):
        ref.scheduler.host.start_timer(
            ref.cell, key, message, delay_us=delay_us, interval_us=interval_us, fixed_delay_us=fixed_delay_us
        )


def _start_once(ref: ActorRef, key: object, message: Any, delay_us: int) -> bool:
    return ref._scheduler.start_timer(ref._cell, key, message, delay_us)  # noqa: SLF001, of the core


def cancel_timer(self: Any, key: object) -> bool:
    """Forget a timer: `Actor.cancel_timer` says what comes back."""
    return _cancel(_bound.ref_of(self), key)


def _cancel(ref: ActorRef, key: object) -> bool:
    return ref._scheduler.cancel_timer(ref._cell, key)  # noqa: SLF001
