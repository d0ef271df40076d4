"""Latches: locks that are held for a few steps, in which nothing waits and no Python runs.

In compiled code `_latches.pxd` stands in for this module.
"""

from __future__ import annotations

import threading
from typing import Any

__all__ = ["lock", "new_latch", "unlock"]


def new_latch() -> Any:
    """A latch that nobody holds."""
    return threading.Lock()


def lock(latch: Any) -> None:
    """Wait for it, and hold it; not twice."""
    latch.acquire()


def unlock(latch: Any) -> None:
    """Let it go."""
    latch.release()
