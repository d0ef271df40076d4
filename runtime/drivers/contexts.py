"""One step of a coroutine in a context of its own; in compiled code `_contexts.pxd` stands in for this module."""

from __future__ import annotations

from collections.abc import Coroutine
from contextvars import Context
from typing import Any

__all__ = ["send"]


def send(context: Context, coroutine: Coroutine[Any, None, Any], end: list[Any]) -> Any:
    """Let the coroutine go on; what it yields.  `end`, with what it returned in it, when it returned."""
    try:
        return context.run(coroutine.send, None)
    except StopIteration as stop:
        end[0] = stop.value
        return end
