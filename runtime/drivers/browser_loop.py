"""Driver for the browser's loop, through Pyodide: one JavaScript task for each slice of work.

Pyodide's own loop makes a JavaScript task of every callback, and busy Python then holds up
painting, input and timers for seconds.  Here all callbacks of the loop, those of actors and
of ordinary asyncio code alike, wait in one queue, and one JavaScript task runs them for
`SLICE_US`; then the page has its turn.

    call_soon ──> queue ──> slice (4 ms) ──> page: input, painting, timers, fetch ──> slice ...
    call_later ─> the page's setTimeout, as before: exact to its clamp

Whatever of the page's comes due during a slice goes before the next one, so it waits for a
slice and the callback that ends it at most.  That holds by how slices follow each other
(`_POSTER`): a browser takes its tasks in the order in which they were queued, timers when they
are seen to be due, and a slice that was queued before the end of the last one would go ahead
of every timer that came due in it.

`slice_calls(loop)` does that to one loop object, until the function it returns is called;
`BrowserDriver` does it while its system runs.  Nothing of Pyodide's is replaced for others: its
handlers for exits, interrupts and errors are asked as before, and `run_sync` works in callbacks
where the browser can switch stacks.  The same on a page's main thread and in a module worker.

Not here: threads.  `ActorSystem(mode="threaded")` raises ThreadsUnavailable, "auto" takes one
loop, `blocking` changes nothing, and there is no watchdog.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Any

from .asyncio_loop import AsyncioDriver

__all__ = ["SLICE_US", "BrowserDriver", "is_browser_loop", "slice_calls"]

# Of 16.7 ms between two frames.  With 4 ms the page kept its frame rate, 8 ms cost up to a sixth, 32 ms a quarter.
SLICE_US = 4_000

# A message to oneself is the soonest task that lets painting and input go first; setTimeout waits 4 ms.
# `callPromising` lets the callbacks switch stacks, where there is such a thing.
_POSTER = """(slice) => {
  const run = typeof WebAssembly.Suspending === "function" ? () => { slice.callPromising(); } : () => { slice(); };
  if (typeof process === "object" && process.versions && process.versions.node) return () => { setImmediate(run); };
  const channel = new MessageChannel();
  // `rounds`: how many messages more it goes behind, and so behind what has come due meanwhile.
  channel.port1.onmessage = ({ data: rounds }) => { rounds > 0 ? channel.port2.postMessage(rounds - 1) : run(); };
  return (rounds) => { channel.port2.postMessage(rounds); };
}"""


def is_browser_loop(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether this is Pyodide's loop, which the browser drives."""
    return type(loop).__module__ == "pyodide.webloop"


def slice_calls(loop: asyncio.AbstractEventLoop, slice_us: int = SLICE_US) -> Callable[[], None]:
    """Have the loop's callbacks run in slices, until as many of the returned functions were called as there are.

    The first one's `slice_us` counts.  What is queued at the end still runs.
    """
    if slice_us <= 0:
        raise ValueError(f"slice_us is {slice_us}; use a number of microseconds above 0, such as {SLICE_US}")
    attributes = loop.__dict__
    slices = attributes.get("_shoal_slices")
    if slices is None:
        slices = attributes["_shoal_slices"] = _Slices(loop, slice_us)
        attributes["call_soon"] = attributes["call_soon_threadsafe"] = slices.call_soon
        attributes["call_at"] = slices.call_at
    slices.users += 1
    is_over = False

    def stop() -> None:
        nonlocal is_over
        if is_over:
            return
        is_over = True
        slices.users -= 1
        if slices.users == 0:
            for name in ("_shoal_slices", "call_soon", "call_soon_threadsafe", "call_at"):
                del attributes[name]
            slices.close_when_empty()

    return stop


class _Slices:
    """One loop's queue of callbacks."""

    __slots__ = ("_is_closing", "_is_posted", "_is_running", "_loop", "_post", "_proxy", "_ready", "_slice_ns", "users")

    def __init__(self, loop: Any, slice_us: int) -> None:
        from pyodide.code import run_js  # pyright: ignore[reportMissingImports]
        from pyodide.ffi import create_proxy  # pyright: ignore[reportMissingImports]

        self.users = 0
        self._loop = loop
        self._slice_ns = slice_us * 1000
        self._ready: deque[asyncio.Handle] = deque()
        self._is_posted = False
        self._is_running = False  # also while a callback is on another stack, when others may run
        self._is_closing = False
        self._proxy: Any = create_proxy(self._run)
        self._post: Any = run_js(_POSTER)(self._proxy)

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self._loop, context=context)
        self._ready.append(handle)
        if not self._is_posted:
            self._is_posted = True
            self._post(1 if self._is_running else 0)  # after a slice, what came due meanwhile goes first
        return handle

    def call_at(self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Any:
        # Pyodide's own refuses a time that has just passed, where asyncio calls back soon.
        return self._loop.call_later(max(0.0, when - self._loop.time()), callback, *args, context=context)

    def close_when_empty(self) -> None:
        """Let go of the JavaScript side as soon as nothing needs it."""
        self._is_closing = True
        if not self._is_posted:
            self._is_posted = True
            self._post(0)  # not here: the caller may be in a slice

    def _run(self) -> None:
        ready = self._ready
        self._is_posted = False
        if not ready:
            if self._is_closing:
                self._proxy.destroy()  # nobody can reach `call_soon` any more
            return
        # Posted at the start: a callback that switches stacks would else hold up the others until it comes back.  One
        # alone has no others, and who comes meanwhile posts for itself: where one callback comes at a time, as with the
        # messages of a peer, that is one task of the browser's for each, and not three.
        if len(ready) > 1 or self._is_closing:
            self._is_posted = True
            self._post(1)
        self._is_running = True
        asyncio._set_running_loop(self._loop)  # noqa: SLF001, as Pyodide's loop does; others may have run meanwhile
        now_ns = time.perf_counter_ns()
        end_ns = now_ns + self._slice_ns
        while ready:
            handle = ready.popleft()
            began_ns = now_ns
            if not handle.cancelled():
                self._call(handle)
            now_ns = time.perf_counter_ns()
            if 2 * now_ns - began_ns >= end_ns:
                break  # another callback like this one would pass the end
        self._is_running = False

    def _call(self, handle: asyncio.Handle) -> None:
        """As Pyodide's loop runs a handle."""
        try:
            handle._run()  # noqa: SLF001, what every loop calls
        except SystemExit as error:
            if self._loop._system_exit_handler is None:  # noqa: SLF001, Pyodide's hook
                raise
            self._loop._system_exit_handler(error.code)  # noqa: SLF001, the same
        except KeyboardInterrupt:
            if self._loop._keyboard_interrupt_handler is None:  # noqa: SLF001, Pyodide's hook
                raise
            self._loop._keyboard_interrupt_handler()  # noqa: SLF001, the same


class BrowserDriver(AsyncioDriver):
    """Runs one system on Pyodide's running loop."""

    __slots__ = ("_stop_slices",)

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None, slice_us: int = SLICE_US) -> None:
        super().__init__(loop)
        self.is_real_time = True  # `time` is `time.monotonic`, as asyncio's own
        self._stop_slices = slice_calls(self.loop, slice_us)

    def close(self) -> None:
        super().close()
        self._stop_slices()
