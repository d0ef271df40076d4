"""How many threads a system takes, and why: a pure decision.

    mode          top-level actors                      on platforms without threads
    cooperative   all on the one loop                   the same
    threaded      a thread and a loop for each          ThreadsUnavailable
    auto          without a GIL: as threaded;           all on the one loop
                  with one: threads for those marked
                  `blocking`, the one loop for others
    simulated     all on a loop of virtual time, on a     the same
                  schedule that a seed decides

A subtree of actors shares its root's scheduler, and so its thread, unless an actor in
it is spawned with `own_scheduler=True` (or `False`, at the top, to stay on the loop of
the `async with` block).  `blocking=True`, on the class or at `spawn`, says that handlers
block or release the GIL (hashing, disk): it asks for an own scheduler too, and such a
thread takes no turns with the others (`turns.py`).

Under a GIL more threads give no more computing; that is why `auto` takes them only for
what would hold the loop.  On one loop all this is accepted, and changes nothing.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from .errors import ThreadsUnavailable

__all__ = ["MODES", "Plan", "choose", "has_gil", "has_threads"]

MODES = ("cooperative", "threaded", "auto", "simulated")


@dataclass(frozen=True, slots=True)
class Plan:
    """What was taken, and why; `system.snapshot()` shows it."""

    mode: str  # asked for
    uses_threads: bool  # actors may have threads of their own
    is_every_top_own: bool  # and top-level actors have, unless told otherwise
    reason: str

    def wants_thread(self, *, is_top: bool, own_scheduler: bool | None, blocking: bool) -> bool:
        """Whether an actor that is being spawned gets a scheduler, and a thread, of its own."""
        if not self.uses_threads:
            return False
        if own_scheduler is not None:
            return own_scheduler
        return blocking or (is_top and self.is_every_top_own)


def choose(mode: str, *, gil: bool, threads: bool) -> Plan:
    """The plan for a mode on a platform.  ThreadsUnavailable, or ValueError for a mode that is none."""
    if mode not in MODES:
        raise ValueError(f"mode is {mode!r}; use one of {', '.join(MODES)}")
    if mode == "cooperative":
        return Plan(mode, uses_threads=False, is_every_top_own=False, reason="one loop, as asked")
    if mode == "simulated":
        return Plan(mode, uses_threads=False, is_every_top_own=False, reason="virtual time and a seed, as asked")
    if mode == "threaded":
        if not threads:
            raise ThreadsUnavailable(
                "mode is 'threaded', and this platform has no threads; use 'auto', or 'cooperative'"
            )
        return Plan(mode, uses_threads=True, is_every_top_own=True, reason="a thread for each scheduler, as asked")
    if not threads:
        return Plan(mode, uses_threads=False, is_every_top_own=False, reason="one loop: there are no threads here")
    if gil:
        return Plan(
            mode,
            uses_threads=True,
            is_every_top_own=False,
            reason="one loop, and threads for what is marked blocking: under a GIL threads do not compute side by side",
        )
    return Plan(mode, uses_threads=True, is_every_top_own=True, reason="a thread for each scheduler: there is no GIL")


def has_gil() -> bool:
    """Whether threads of this interpreter take turns."""
    ask = getattr(sys, "_is_gil_enabled", None)
    return ask is None or bool(ask())


def has_threads() -> bool:
    """False in the browser, where starting a thread fails."""
    return sys.platform not in ("emscripten", "wasi")
