"""Handlers by the type of message, as an alternative to one `receive`.

    class Account(Actor[Deposit | Withdraw]):
        @handler
        def deposit(self, message: Deposit) -> None: ...

        @handler(Withdraw)
        async def take(self, message): ...

A message goes to the handler of its class, or of the nearest class it descends
from, so a handler of `object` takes the rest.  Without one it is a dead letter
("unhandled"), and its asker gets UnhandledMessage.  Handlers may be plain,
`async def` or generators; a subclass inherits them, and overrides them by name.

The table of a class is made when the class is, and costs nothing to others.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable
from typing import Any, TypeVar, Union, overload

__all__ = ["MessageTable", "handler", "handlers_of", "refuse_async_generators"]

S = TypeVar("S")
T = TypeVar("T")
U = TypeVar("U")
R = TypeVar("R")

_MARK = "shoal_handles"
_CALLED = ("receive", "on_start", "on_stop", "on_restart")  # besides those that are marked
_KNOWN_MAX = 1024  # message classes remembered by a table; programs that make classes as they run must not fill memory


@overload
def handler(  # type: ignore[overload-overlap]  # a class is a function too; as an argument it is meant as a class
    first: type[T], /
) -> Callable[[Callable[[S, T], R]], Callable[[S, T], R]]: ...
@overload
def handler(first: type[T], second: type[U], /) -> Callable[[Callable[[S, T | U], R]], Callable[[S, T | U], R]]: ...
@overload
def handler(
    first: type[Any], second: type[Any], third: type[Any], /, *others: type[Any]
) -> Callable[[Callable[[S, Any], R]], Callable[[S, Any], R]]: ...
@overload
def handler(method: Callable[[S, T], R], /) -> Callable[[S, T], R]: ...
def handler(*arguments: Any) -> Any:
    """Mark a method as the handler of messages of some types: those given, or its message's annotation.

    TypeError if it is neither a method nor types that are given.
    """
    if not arguments:
        raise TypeError("handler() names no type; use @handler, or @handler(MessageType)")
    if len(arguments) == 1 and inspect.isfunction(arguments[0]):
        setattr(arguments[0], _MARK, ())
        return arguments[0]
    wrong = [argument for argument in arguments if not isinstance(argument, type)]
    if wrong:
        raise TypeError(f"handler() got {wrong[0]!r}, which is no class; name classes of messages")

    def mark(method: Callable[..., Any]) -> Callable[..., Any]:
        setattr(method, _MARK, arguments)
        return method

    return mark


def handlers_of(actor_class: type[Any]) -> dict[str, tuple[Any, ...]]:
    """Names of the class's handlers and what they are marked with, its bases' first."""
    found: dict[str, tuple[Any, ...]] = {}
    for base in reversed(actor_class.__mro__):
        for name, value in vars(base).items():
            marked = _mark_of(value)
            if marked is not None:
                found[name] = marked
    return found


def _mark_of(value: Any) -> tuple[Any, ...] | None:
    """What `handler` left there; a mock, for one, has any attribute, but no such tuple."""
    marked = getattr(value, _MARK, None)
    return marked if type(marked) is tuple else None


def refuse_async_generators(actor_class: type[Any]) -> None:
    """TypeError for a handler or hook of which nothing would ever run."""
    for name, value in vars(actor_class).items():
        if inspect.isasyncgenfunction(value) and (name in _CALLED or _mark_of(value) is not None):
            raise TypeError(
                f"{actor_class.__name__}.{name} is an async generator, of which nothing would run; "
                "`async def` without `yield`, or a plain generator"
            )


class MessageTable:
    """Message class to handler, for one class of actors."""

    __slots__ = ("_actor_class", "_declared", "_known")

    def __init__(self, actor_class: type[Any]) -> None:
        """TypeError if a handler's message type cannot be told, or two handle the same."""
        self._actor_class = actor_class
        self._known: dict[type[Any], Callable[[Any, Any], Any] | None] = {}
        self._declared: dict[type[Any], str] | None = None
        try:
            self._declared = self._declare()
        except (
            NameError
        ):  # of an annotation whose class comes later: it is looked for again when the first message comes
            self._declared = None

    def find(self, message_class: type[Any]) -> Callable[[Any, Any], Any] | None:
        """The handler of such messages.  A dict's look-up, after the first."""
        try:
            return self._known[message_class]
        except KeyError:
            pass
        if self._declared is None:
            self._declared = self._declare_late()
        found = next((self._declared[base] for base in message_class.__mro__ if base in self._declared), None)
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        function = None if found is None else getattr(self._actor_class, found)
        self._known[message_class] = function
        return function

    def _declare(self) -> dict[type[Any], str]:
        declared: dict[type[Any], str] = {}
        for name, marked in handlers_of(self._actor_class).items():
            for message_class in marked or self._annotated(name):
                other = declared.setdefault(message_class, name)
                if other != name:
                    both = f"{self._actor_class.__name__}: {other} and {name} both handle"
                    raise TypeError(f"{both} {message_class.__name__}; keep one")
        return declared

    def _declare_late(self) -> dict[type[Any], str]:
        try:
            return self._declare()
        except NameError as error:
            raise TypeError(
                f"{self._actor_class.__name__}: an annotation of a handler cannot be resolved ({error}); "
                "name the class: @handler(MessageType)"
            ) from error

    def _annotated(self, name: str) -> list[type[Any]]:
        function = next(
            vars(base)[name] for base in self._actor_class.__mro__ if _mark_of(vars(base).get(name)) is not None
        )
        parameters = list(inspect.signature(function).parameters)
        hints = typing.get_type_hints(function)
        if len(parameters) != 2 or parameters[1] not in hints:  # self and the message
            raise TypeError(
                f"{self._actor_class.__name__}.{name}: its message has no annotation; "
                "write one, or @handler(MessageType)"
            )
        return [self._class_of(name, part) for part in _parts(hints[parameters[1]])]

    def _class_of(self, name: str, part: Any) -> type[Any]:
        if part is Any:
            return object
        kind = typing.get_origin(part) or part
        if not isinstance(kind, type):
            raise TypeError(f"{self._actor_class.__name__}.{name}: {part!r} is no class of messages; name classes")
        return kind


def _parts(annotation: Any) -> list[Any]:
    if typing.get_origin(annotation) in (Union, types.UnionType):
        return [part for one in typing.get_args(annotation) for part in _parts(one)]
    return [annotation]
