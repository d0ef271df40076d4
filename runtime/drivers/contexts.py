"""Contexts as compiled code can use them: there `_contexts.pxd` stands in for this module."""

from __future__ import annotations

from collections.abc import Coroutine
from contextvars import Context
from typing import Any

__all__ = ["enter", "leave", "send"]


def send(context: Context, coroutine: Coroutine[Any, None, Any], end: list[Any]) -> Any:
    """Let the coroutine go on; what it yields.  `end`, with what it returned in it, when it returned."""
    try:
        return context.run(coroutine.send, None)
    except StopIteration as stop:
        end[0] = stop.value
        return end


def leave(context: Context) -> bool:  # noqa: ARG001, what compiled code takes
    """Make the context that this one was entered from the current one; False where it is not the current one.

    Python has no way to do so but to return from `Context.run`.
    """
    return False


def enter(context: Context) -> None:
    """Undo `leave`."""
