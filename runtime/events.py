"""Events by type, for whoever subscribes: `system.events`.

    system.events.subscribe(SegmentPlayed, ref)         # told to an actor, as a message
    system.events.subscribe(SegmentPlayed, callback)    # called at once, in the publisher's stack
    system.events.publish(SegmentPlayed("a.ts"))

An event goes to those who subscribed to its class or to one it descends from,
in the order of subscription.  Nothing is kept for those who come later, and
nobody is waited for: what an actor's full mailbox refuses is dropped and
counted.  An actor's subscriptions end with it.

The runtime publishes `Failure` and `DeadLetter` here too.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from .errors import MailboxFull
from .ref import ActorRef

__all__ = ["EventSubscription", "Events"]

E = TypeVar("E")

_log = logging.getLogger("shoal.runtime")

_KNOWN_MAX = 1024  # event classes whose subscribers are remembered


class EventSubscription:
    """Ends with `close()`, with the `with` block, or with the actor that is told."""

    __slots__ = ("_events", "dropped", "event_type", "to")

    def __init__(self, events: Events, event_type: type[Any], to: Any) -> None:
        self._events = events
        self.event_type = event_type
        self.to = to
        self.dropped = 0  # events that a full mailbox refused

    def close(self) -> None:
        """No event comes after this.  Does nothing the second time."""
        self._events._drop(self)  # noqa: SLF001, the two are one thing

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


class Events:
    """Publish and subscribe by type, within one system."""

    __slots__ = ("_known", "_lock", "_subscriptions", "dropped", "of_actors")

    def __init__(self) -> None:
        self.dropped = 0  # by all subscriptions so far
        self._lock = threading.Lock()  # of several threads that subscribe at once, none may undo what another did
        self._subscriptions: dict[EventSubscription, None] = {}  # in their order
        self.of_actors: dict[ActorRef[Any], list[EventSubscription]] = {}  # those among them that tell an actor
        self._known: dict[type[Any], tuple[EventSubscription, ...]] = {}

    def subscribe(self, event_type: type[E], to: ActorRef[E] | Callable[[E], object]) -> EventSubscription:
        """Have events of a type told to an actor, or a function called with them, from now on.

        An actor that has subscribed to that type already keeps the subscription
        it has, so that `on_start` may subscribe whenever it runs.  One that has ended gets nothing.
        """
        subscription = EventSubscription(self, event_type, to)
        with self._lock:
            if isinstance(to, ActorRef):
                if not to.is_alive:
                    return subscription
                its_own = self.of_actors.setdefault(to, [])
                for other in its_own:
                    if other.event_type is event_type:
                        return other
                its_own.append(subscription)
            self._subscriptions[subscription] = None
            self._known = {}
        return subscription

    def forget(self, ref: ActorRef[Any]) -> None:
        """The actor has ended, and its subscriptions with it."""
        if ref not in self.of_actors:
            return
        with self._lock:
            for subscription in self.of_actors.pop(ref, ()):
                self._subscriptions.pop(subscription, None)
            self._known = {}

    def publish(self, event: object) -> int:
        """Give an event to all who subscribed to its type; how many got it.  Without subscribers, a dict's look-up."""
        found = self._known.get(type(event))
        if found is None:
            found = self._find(type(event))
        count = 0
        for subscription in found:
            to = subscription.to
            if not isinstance(to, ActorRef):
                count += _call(to, event)
            elif not to.is_alive:
                subscription.close()
            else:
                try:
                    to.tell(event)
                    count += 1
                except MailboxFull:
                    subscription.dropped += 1
                    self.dropped += 1
        return count

    @property
    def has_subscribers(self) -> bool:
        return bool(self._subscriptions)

    def _find(self, event_type: type[Any]) -> tuple[EventSubscription, ...]:
        known = self._known  # taken before the subscriptions: what another thread changes now has a new one
        if len(known) >= _KNOWN_MAX:
            known.clear()
        with self._lock:
            subscriptions = tuple(self._subscriptions)
        found = tuple(s for s in subscriptions if issubclass(event_type, s.event_type))
        known[event_type] = found
        return found

    def _drop(self, subscription: EventSubscription) -> None:
        with self._lock:
            if subscription not in self._subscriptions:
                return
            del self._subscriptions[subscription]
            if isinstance(subscription.to, ActorRef):
                its_own = self.of_actors[subscription.to]
                its_own.remove(subscription)
                if not its_own:
                    del self.of_actors[subscription.to]
            self._known = {}


def _call(callback: Callable[[Any], object], event: object) -> int:
    try:
        callback(event)
    except Exception:  # an observer may not break what it observes
        _log.exception("a subscriber failed on %r", event)
    return 1
