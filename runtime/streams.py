"""Events for whoever subscribes; nothing is kept, and nobody is waited for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

__all__ = ["Stream", "Subscription"]

Event = TypeVar("Event")

_log = logging.getLogger("shoal.runtime")


class Subscription(Generic[Event]):
    """Ends with `close()`, or with the `with` block."""

    __slots__ = ("_callback", "_stream")

    def __init__(self, stream: Stream[Event], callback: Callable[[Event], None]) -> None:
        self._stream = stream
        self._callback = callback

    def close(self) -> None:
        """No event comes after this.  Does nothing the second time."""
        self._stream._drop(self)  # noqa: SLF001, the two are one thing

    def __enter__(self) -> Subscription[Event]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _deliver(self, event: Event) -> None:
        try:
            self._callback(event)
        except Exception:  # an observer may not break what it observes
            _log.exception("a subscriber failed on %r", event)


class Stream(Generic[Event]):
    """Calls its subscribers with each event, in the order of their subscription, at the time of the event.

    A subscriber is called in the middle of somebody else's work: it should note
    the event, or `tell` an actor, and return.
    """

    __slots__ = ("_lock", "_subscriptions")

    def __init__(self) -> None:
        self._lock = threading.Lock()  # of several threads that subscribe at once, none may undo what another did
        self._subscriptions: tuple[Subscription[Event], ...] = ()

    def subscribe(self, callback: Callable[[Event], None]) -> Subscription[Event]:
        """Have `callback` called with each event from now on."""
        subscription = Subscription(self, callback)
        with self._lock:
            self._subscriptions = (*self._subscriptions, subscription)
        return subscription

    def publish(self, event: Event) -> None:
        for subscription in self._subscriptions:
            subscription._deliver(event)  # noqa: SLF001

    @property
    def has_subscribers(self) -> bool:
        return bool(self._subscriptions)

    def _drop(self, subscription: Subscription[Event]) -> None:
        with self._lock:
            self._subscriptions = tuple(s for s in self._subscriptions if s is not subscription)
