"""What a handler has in hand, and what it hands back.

In compiled code `_hands.pxd` stands in for `address` and `is_awaitable`.
"""

from __future__ import annotations

from types import AsyncGeneratorType
from typing import Any

__all__ = ["address", "complaint", "is_awaitable"]


def address(thing: object) -> int:
    """Tells a living object from all others; keeps no reference to it, which would cost as much as a call."""
    return id(thing)


def is_awaitable(thing: Any) -> bool:
    """Whether it is a Reply, a Future, a Task or the like, or an async generator, of which nothing would ever run."""
    return hasattr(type(thing), "__await__") or type(thing) is AsyncGeneratorType


def complaint(path: str, thing: Any) -> str:
    """What to do instead."""
    if type(thing) is AsyncGeneratorType:
        what, instead = "is an async generator, of which nothing runs", "use `async def` without `yield`"
    else:
        what, instead = (
            f"returned a {type(thing).__name__}, which is no answer",
            "await it in an `async def`, or `forward`",
        )
    return f"a handler of {path} {what}; {instead}"
