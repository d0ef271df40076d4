"""How an awaitable says that it has its value: by `StopIteration`.

Compiled code would make an exception, and a traceback with a frame for it, of
which nobody sees anything: a tenth of the price of an ask.  There `_stops.pxd`
stands in for this module.
"""

from __future__ import annotations

from typing import Any

__all__ = ["stop_with"]


def stop_with(value: Any) -> None:
    """End a `__next__` with a value; a bare `raise StopIteration` must follow, which compiled code needs."""
    raise StopIteration(value)
