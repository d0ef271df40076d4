"""What a driver is: the runtime's whole view of an event loop."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from shoal.runtime.core.host import Fiber
    from shoal.runtime.statistics import LoopDelay

__all__ = ["Driver", "TaskHandle"]


class TaskHandle(Protocol):
    """A task that belongs to an actor."""

    def cancel(self) -> object: ...


class Driver(Protocol):
    """One event loop, or what stands in for it.  Everything happens on its thread."""

    loop: Any  # what a task that awaits a Reply sees as the Reply's loop; None without asyncio

    def start(self, turn: Callable[[], None]) -> None:
        """`turn` may be called from now on."""
        ...

    def now_us(self) -> int:
        """Monotonic."""
        ...

    def wake(self) -> None:
        """Call `turn` soon, once, however often this was called meanwhile."""
        ...

    def wake_at(self, deadline_us: int) -> None:
        """Call `turn` at that time and not for an earlier deadline; -1: for none."""
        ...

    def fiber(self, resume: Callable[[], None]) -> Fiber:
        """Something that runs coroutines, and calls `resume` when a waiting one can go on."""
        ...

    def start_task(
        self, coroutine: Coroutine[Any, Any, object], name: str, on_end: Callable[[BaseException | None], None]
    ) -> TaskHandle:
        """Run a coroutine beside the actors.  `on_end` gets its error; None too if it was cancelled."""
        ...

    def call_soon(self, callback: Callable[[Any], object], argument: object, context: Context | None) -> None:
        """Call back from the loop; the one thing that may outlast `close`, by one round of the loop."""
        ...

    def interrupt(self) -> None:
        """Cancel the task that started the system; its block then ends with the error that caused this."""
        ...

    def was_interrupted(self, error: BaseException | None) -> bool:
        """Whether `error`, which ended the block, is only what `interrupt` brought about."""
        ...

    def sample_delay(self, into: LoopDelay, interval_us: int) -> None:
        """Record how late a periodic callback comes, until `close`."""
        ...

    def close(self) -> None:
        """`turn` is not called again; nothing stays behind in the loop."""
        ...
