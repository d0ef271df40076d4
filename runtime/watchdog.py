"""Names the actor, and the handler, that holds a thread for too long, with its stack.

A thread of its own looks at every scheduler several times within the limit: at the cell
in its slice (`Scheduler.in_hand`) and at the clock as that scheduler last read it, which
it does after every message.  So a message costs nothing more; a handler that holds the
thread in C without releasing the GIL is seen only if it still runs afterwards.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any

from .ground import type_name
from .modes import has_gil

if TYPE_CHECKING:
    from .core.cell import Cell
    from .core.scheduler import Scheduler
    from .streams import Stream

__all__ = ["Stall", "Watchdog", "what_runs"]

_log = logging.getLogger("shoal.runtime")

_LOOKS_WITHIN_LIMIT = 2  # a stall is named within one and a half limits
_STACK_FRAMES_MAX = 30


@dataclass(frozen=True, slots=True)
class Stall:
    """A handler that has held its thread beyond the limit, and still does."""

    path: str
    message_type: str  # "" outside of a handler (a hook), and where it is not known
    held_us: int  # so far
    thread: int  # `threading.get_ident()`
    stack: str  # innermost last


class Watchdog:
    """Looks until `stop`."""

    def __init__(self, schedulers: Callable[[], list[Scheduler]], limit_us: int, stalls: Stream[Stall]) -> None:
        self._schedulers = schedulers
        self._limit_us = limit_us
        self._stalls = stalls
        self._reported: dict[Scheduler, int] = {}  # since when the last one held it
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="shoal watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Blocks for no longer than one look."""
        self._is_over.set()
        if self._thread.ident is not None and self._thread.ident != threading.get_ident():
            self._thread.join()

    def _watch(self) -> None:
        interval_s = self._limit_us / 1e6 / _LOOKS_WITHIN_LIMIT
        while not self._is_over.wait(interval_s):
            try:
                self.look(time.perf_counter_ns())
            except Exception:  # what watches others must not end before them
                _log.exception("the watchdog failed")

    def look(self, now_ns: int) -> None:
        """Report who holds a thread at this moment, each only once."""
        schedulers = self._schedulers()
        for scheduler in schedulers:
            cell, message = scheduler.in_hand()
            since_ns = scheduler.held_since_ns()
            held_us = (now_ns - since_ns) // 1000
            if cell is None or held_us < self._limit_us or self._reported.get(scheduler) == since_ns:
                continue
            path, message_type, stack = what_runs(scheduler, cell, message)
            if scheduler.held_since_ns() != since_ns:  # it ended while we looked
                continue
            self._reported[scheduler] = since_ns
            stall = Stall(path, message_type, held_us, scheduler.thread, stack)
            _log.warning(
                "%s has held its thread for %d ms%s:\n%s",
                path,
                held_us // 1000,
                f" on {message_type}" if message_type else "",
                stack,
            )
            self._stalls.publish(stall)
        for gone in self._reported.keys() - set(schedulers):
            del self._reported[gone]


def what_runs(scheduler: Scheduler, cell: Cell | None, message: Any) -> tuple[str, str, str]:
    """Path, type of message and stack of what a scheduler's thread does now; "" for what is not known."""
    frame = sys._current_frames().get(scheduler.thread)  # noqa: SLF001, documented
    stack = "" if frame is None else "".join(traceback.format_stack(frame, limit=_STACK_FRAMES_MAX))
    if cell is None:
        return "", "", stack
    if not has_gil():  # a frame that runs may not be asked for its variables there, nor its cell for what it holds
        return cell.path(), "" if message is None else type(message).__name__, stack
    return cell.path(), _message_type(cell, frame), stack


def _message_type(cell: Cell, frame: FrameType | None) -> str:
    """Of the message in handling: from a suspended handler's cell, or from the second argument of `receive`."""
    if cell.message is not None:
        return type_name(cell.message)
    code: Any = getattr(cell.function, "__code__", None)
    while frame is not None and code is not None:
        if frame.f_code is code and code.co_argcount > 1:
            name = code.co_varnames[1]
            return type(frame.f_locals[name]).__name__ if name in frame.f_locals else ""
        frame = frame.f_back
    return ""
