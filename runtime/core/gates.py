"""Gates that threads wait at, let through by one another; in compiled code `_gates.pxd` stands in for this module.

A gate is closed when it is made.  `open_gate` lets one thread through, the one that
waits or the next to come; opening it again before that is an error.
"""

from __future__ import annotations

import threading
from typing import Any

__all__ = ["new_gate", "open_gate", "swap"]


def new_gate() -> Any:
    """A closed gate, for one thread to wait at."""
    gate = threading.Lock()
    gate.acquire()
    return gate


def open_gate(gate: Any) -> None:
    """Let one thread through; from any thread."""
    gate.release()


def swap(opened: Any, gate: Any, timeout_us: int) -> bool:
    """Open the one, if it is not None, and wait at the other.  False, if its time was up.

    In compiled code the GIL is given back first: whoever is let through finds it free.
    """
    if opened is not None:
        opened.release()
    return bool(gate.acquire(timeout=timeout_us / 1e6))
