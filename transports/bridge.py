"""A bridge between JavaScript and a system's actors: what carriers of both platforms share.

    bridge = Bridge(system, actors={"account": (Deposit, Withdraw)}, errors=(Overdrawn,))
    chart = bridge.actor("chart", (Draw,), answers=int)      JavaScript's actor, as a ref

JavaScript tells and asks "account", which is whoever has that name in the system when the message comes; no other
actor and no other type of message can be reached.  `chart` is told and asked as any actor; what it is sent goes to
the function or object that JavaScript registered under that name.  It ends with the bridge.

Errors keep their type: what an actor gave to `reply.fail`, or JavaScript threw, is raised on the other side under its
own name if it is one of `errors`.  Others are HandlerFailed; of those of Python only the name of the class is told,
since their text may hold what is nobody's business.

A carrier (`transports/native/bridge.py`: WebSocket; `transports/browser/bridge.py`: a page's own JavaScript, and
postMessage) calls `attach`, `receive` and `lost`.  A bridge belongs to the thread of its system's `async with` block.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from shoal.runtime import (
    Actor,
    ActorError,
    ActorRef,
    ActorStopped,
    ActorSystem,
    AskDropped,
    AskTimedOut,
    HandlerFailed,
    MailboxFull,
    NoRoutee,
    NotHandlingAsk,
    Reply,
    Restart,
    UnhandledMessage,
)
from shoal.transports.errors import (
    BadMessage,
    ChannelClosed,
    MessageTooLarge,
    NotRegistered,
    Overloaded,
    TransportError,
)
from shoal.transports.sansio import bridge_actions as core
from shoal.transports.sansio.bridge import BridgeCore
from shoal.transports.sansio.bridge_actions import BridgeStatistics, Problem
from shoal.transports.sansio.bridge_frames import BridgeLimits

__all__ = ["Bridge", "Carrier", "JavaScriptError"]

# Errors whose words speak of actors alone, and cross as they are.
_OPEN_OF_ACTORS = (AskTimedOut, AskDropped, ActorStopped, MailboxFull, NoRoutee, UnhandledMessage)
_OPEN_OF_BRIDGES = (BadMessage, MessageTooLarge, NotRegistered, Overloaded)
_OF_BRIDGES: dict[str, type[Exception]] = {kind.__name__: kind for kind in (AskTimedOut, *_OPEN_OF_BRIDGES)}

_LOOK_US = 100_000  # while asks are open: JavaScript works no longer than this for nobody, and a look costs some us


class JavaScriptError(Exception):
    """What JavaScript threw, as the `__cause__` of HandlerFailed: `name`, as in TypeError, and its message."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name


class Carrier(Protocol):
    """What takes frames across.  Neither method waits or raises."""

    def send(self, text: str, parts: Sequence[bytes]) -> None: ...

    def close(self, why: str) -> None: ...


class Bridge:
    """One side, in Python."""

    def __init__(
        self,
        system: ActorSystem,
        *,
        actors: Mapping[str, Iterable[type[msgspec.Struct]]],
        errors: Sequence[type[Exception]] = (),
        limits: BridgeLimits | None = None,
        token: str | None = None,
        on_open: Callable[[Bridge], None] | None = None,
    ) -> None:
        """`errors` are made of one text.  `on_open` is called when JavaScript has said hello, with `token` if any.

        TypeError, ValueError for messages that no plain object could be told for.
        """
        self._system = system
        self._core = BridgeCore(limits, token=token)
        for name, types in actors.items():
            self._core.expose(name, types)
        self._errors = {kind.__name__: kind for kind in errors}
        self._on_open = on_open
        self._carrier: Carrier | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_us: int | None = None
        self._replies: dict[int, Reply] = {}
        self._questions: dict[int, asyncio.Task[None]] = {}
        self._remote: list[ActorRef[Any]] = []
        self._closed = asyncio.Event()

    def actor(self, name: str, messages: Iterable[type[msgspec.Struct]], *, answers: Any = None) -> ActorRef[Any]:
        """A ref to what JavaScript registered as `name`, for these messages.

        `answers` is the type its answers must have; by default nothing but None.  Asked, it raises what
        an actor would, and Overloaded, BadMessage, NotRegistered, ChannelClosed.  It stops when the bridge is closed,
        at once if it is.
        """
        self._core.reach(name, messages, answers)
        ref = self._system.spawn(_Remote, self, name, restart=Restart.TEMPORARY, own_scheduler=False)
        if self._closed.is_set():
            ref.stop()
        self._remote.append(ref)
        return ref

    @property
    def is_open(self) -> bool:
        """Whether JavaScript has said hello, and it is not over."""
        return self._core.is_open

    async def closed(self) -> None:
        """Returns when it is over."""
        await self._closed.wait()

    def close(self, why: str = "done") -> None:
        """Say goodbye and end; asks that wait fail with ChannelClosed.  Does nothing the second time."""
        self._perform(self._core.close(why))

    def statistics(self) -> BridgeStatistics:
        return self._core.statistics()

    # for carriers

    def attach(self, carrier: Carrier) -> None:
        """Begin.  Once."""
        self._loop = asyncio.get_running_loop()
        self._carrier = carrier
        self._perform(self._core.begin(self._system.now_us))

    def receive(self, text: str, parts: Sequence[bytes]) -> None:
        """Take a frame of the other side's.  Raises nothing, whatever it is, but what `on_open` raises."""
        self._perform(self._core.receive(text, parts, self._system.now_us))

    def drop(self, reason: str) -> None:
        """Count what the carrier did not let through."""
        self._core.drop(reason)

    def lost(self, why: str) -> None:
        """The carrier is gone."""
        self._perform(self._core.close(why, is_lost=True))

    # from here on, actions

    def _perform(self, actions: Sequence[core.Action]) -> None:
        for action in actions:
            match action:
                case core.Send(wire):
                    if self._carrier is not None:
                        self._carrier.send(wire.text, wire.parts)
                case core.Deliver():
                    self._deliver(action)
                case core.Answered(ask, value):
                    self._settle(ask, value, None)
                case core.Failed(ask, problem):
                    self._settle(ask, None, problem)
                case core.Abandoned(ask):
                    task = self._questions.pop(ask, None)
                    if task is not None:
                        task.cancel()
                case core.Opened():
                    if self._on_open is not None:
                        self._on_open(self)
                case core.Closed(why):
                    self._end(why)
        self._set_timer()

    def _deliver(self, action: core.Deliver) -> None:
        ref = self._system.find(action.to)
        if action.ask is None:
            try:
                if ref is None:
                    self._core.drop("no_such_actor")
                else:
                    ref.tell(action.message)
            except MailboxFull:
                self._core.drop("mailbox_full")
            return
        try:
            if ref is None:
                raise ActorStopped(f"no actor {action.to} lives now; ask later")
            reply = ref.ask(action.message, timeout_s=action.timeout_us / 1e6)
        except ActorError as error:
            self._perform(self._core.fail(action.ask, self._as_problem(action.to, error)))
            return
        task = asyncio.ensure_future(self._answer(action.to, action.ask, reply))
        self._questions[action.ask] = task

    async def _answer(self, to: str, ask: int, reply: Reply) -> None:
        try:
            value = await reply
        except Exception as error:  # whatever it is: it was meant for who asked
            actions = self._core.fail(ask, self._as_problem(to, error))
        else:
            actions = self._core.answer(ask, value)
        self._questions.pop(ask, None)
        self._perform(actions)

    def _as_problem(self, to: str, error: BaseException) -> Problem:
        if isinstance(error, HandlerFailed) and error.__cause__ is not None:
            error = error.__cause__
        name = type(error).__name__
        if self._errors.get(name) is type(error) or isinstance(error, (*_OPEN_OF_ACTORS, *_OPEN_OF_BRIDGES)):
            return Problem(name, str(error))
        return Problem("HandlerFailed", f"{to} failed with {name}; what it said stays there")

    def pass_on(self, actor: _Remote, name: str, message: Any) -> None:
        """Send what JavaScript's actor was sent."""
        try:
            reply = actor.take_reply()
        except NotHandlingAsk:
            try:
                self._perform(self._core.tell(name, message))
            except BadMessage:
                self._core.drop("bad_message")
                actor.unhandled(message)
            except TransportError:
                actor.unhandled(message)  # counted there
            return
        if len(self._replies) >= self._core.limits.asks_max:
            self._take_back()
        try:
            ask, actions = self._core.ask(name, message, self._system.now_us)
        except TransportError as error:
            reply.fail(error)
            return
        self._replies[ask] = reply
        self._perform(actions)

    def _take_back(self) -> None:
        """Give up the asks that nobody waits for any more; a Reply does not say when that begins."""
        for ask in [ask for ask, reply in self._replies.items() if not reply.is_waiting]:
            if self._replies.pop(ask, None) is not None:
                self._perform(self._core.give_up(ask))

    def _settle(self, ask: int, value: Any, problem: Problem | None) -> None:
        reply = self._replies.pop(ask)
        if problem is None:
            reply.set(value)
        else:
            reply.fail(self._as_error(problem))

    def _as_error(self, problem: Problem) -> Exception:
        known = self._errors.get(problem.name) or _OF_BRIDGES.get(problem.name)
        if known is not None:
            return known(problem.message)
        if problem.name == "BridgeClosed":
            return ChannelClosed(problem.message, detail=problem.message)
        error = HandlerFailed(f"JavaScript threw {problem.name}: {problem.message}")
        error.__cause__ = JavaScriptError(problem.name, problem.message)
        return error

    def _set_timer(self) -> None:
        deadline_us = self._core.next_deadline_us
        if deadline_us is not None and self._replies:
            deadline_us = min(deadline_us, self._system.now_us + _LOOK_US)
        if self._timer is not None and self._timer_us is not None:
            if deadline_us is not None and self._timer_us <= deadline_us:
                return  # it looks again then: most asks are answered long before
            self._timer.cancel()
            self._timer = None
        if deadline_us is not None and self._loop is not None:
            self._timer_us = deadline_us
            self._timer = self._loop.call_later(max(0, deadline_us - self._system.now_us) / 1e6, self._look)

    def _look(self) -> None:
        self._timer = None
        self._take_back()
        self._perform(self._core.expire(self._system.now_us))

    def _end(self, why: str) -> None:
        carrier, self._carrier = self._carrier, None
        if carrier is not None:
            carrier.close(why)
        for ref in self._remote:
            ref.stop()
        self._closed.set()


class _Remote(Actor[Any]):
    """Stands for an actor in JavaScript."""

    def __init__(self, bridge: Bridge, name: str) -> None:
        self._bridge = bridge
        self._name = name

    def receive(self, message: Any) -> None:
        self._bridge.pass_on(self, self._name, message)
