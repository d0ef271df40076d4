"""A subtree of actors on a thread of its own, and what stands for it among its parent's children.

    parent's thread                            the subtree's thread
    Branch, a hidden child of the parent       BranchLife: scheduler, loop, and under its root the actor

    spawn     the thread begins and makes the actor; the parent's waits for that, so that
              what `__init__` raises is raised at the call
    stop      `Branch.on_stop` asks for it and awaits the thread's end: the order of stopping, and its
              deadline, are those of any child
    end       the actor has ended by itself: the thread ends, then the Branch does; if the actor failed more
              often than allowed, the parent fails with ChildFailed

The actor is supervised on its own thread, by itself (one for one), with its parent's `Supervision`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .actor import Actor
from .core.inbox import Inbox
from .drivers.thread import ThreadDriver
from .errors import ChildFailed
from .life import Life
from .messages import StopReason

if TYPE_CHECKING:
    from .core.cell import Cell
    from .crew import Crew
    from .ref import ActorRef
    from .turns import Turns

__all__ = ["Branch", "BranchLife", "Subtree"]

_log = logging.getLogger("shoal.runtime")

_END_OF_ROOT_US = 1_000_000  # nothing is below it any more
_LONGER_THAN_ANY_STOP_US = 10**12  # the parent's deadline decides, not the subtree's


class BranchLife(Life):
    """The life-cycle of one subtree."""

    subtree: Subtree

    def branch_off(self, boss: Life, parent: Cell) -> None:
        """Share what belongs to the whole system; before the thread begins."""
        self.registry = boss.registry
        self.dead_letters = boss.dead_letters
        self.failures = boss.failures
        self.events = boss.events
        self.instrument = boss.instrument
        self.scheduler.metrics = boss.scheduler.metrics
        self.root.name = "" if parent.parent is None else parent.path()
        self.root.handle = parent.handle
        self.spawner.serial = boss.spawner.serial  # the next number is that of the actor, and of what stands for it
        self._supervision = boss.supervision_below(parent)

    def left(self, cell: Cell, parent: Cell) -> None:
        super().left(cell, parent)
        if parent is self.root:
            self.subtree.top_ended(cell)


class Branch(Actor[Any]):
    """Stands for a subtree among its parent's children; nobody has its ref."""

    def __init__(self, subtree: Subtree) -> None:
        self._subtree = subtree

    def on_start(self) -> None:
        if self._subtree.is_over:
            self.stop()

    async def on_stop(self, reason: StopReason) -> None:
        await self._subtree.stop(reason)


class Subtree:
    """The thread, from its start to its end."""

    def __init__(
        self, crew: Crew, boss: Life, parent: Cell, life: BranchLife, *, turns: Turns | None, weight: int
    ) -> None:
        self.life = life
        self.is_over = False  # known to the parent's thread
        self.stand_in: ActorRef[Any] | None = None
        self._crew = crew
        self._boss = boss
        self._parent = parent
        self.takes_turns = turns is not None
        self._turns = turns
        self._weight = weight  # of its turns
        self._ref: ActorRef[Any] | None = None
        self._error: BaseException | None = None
        self._escalated: BaseException | None = None
        self._is_started = threading.Event()
        self._over: asyncio.Future[None] | None = None  # the subtree's loop's
        self._over_here: asyncio.Future[None] | None = None  # the parent's loop's
        self._thread: threading.Thread | None = None
        life.subtree = self

    # the parent's thread

    def start(self, make: Callable[[], ActorRef[Any]], name: str) -> ActorRef[Any]:
        """Begin, and have `make` called on the new thread.  Raises what it raises."""
        # A daemon: a handler that blocks for ever must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, args=(make,), name=f"shoal {name}", daemon=True)
        self._thread.start()
        self._is_started.wait()
        if self._error is not None:
            self._thread.join()
            raise self._error
        assert self._ref is not None, "the thread sets the ref or the error before it says it has started"
        return self._ref

    async def stop(self, reason: StopReason) -> None:
        """End the subtree and wait for it; cancelled or closed while it waits, cut it off."""
        if self.is_over:
            return
        life = self.life
        self._over_here = asyncio.get_running_loop().create_future()
        if reason is StopReason.SYSTEM:
            inbox = life.scheduler.inbox
            assert inbox is not None, "the thread has started"
            inbox.call(lambda: _ignore(life.begin_stop_all(_LONGER_THAN_ANY_STOP_US)))
        elif self._ref is not None:
            life.stop(self._ref.cell, reason)
        try:
            await self._over_here
        except BaseException:
            self.cut_off()
            raise

    def cut_off(self) -> None:
        """Have everything there end at once, waiting for nobody.  From any thread."""
        inbox = self.life.scheduler.inbox
        if inbox is not None:
            inbox.call(self.life.cut_off_late)

    def join(self, timeout_s: float) -> bool:
        """Wait, blocking, for the thread's end.  False if it does not come in time."""
        assert self._thread is not None, "only what has started is joined"
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def thread_name(self) -> str:
        return "" if self._thread is None else self._thread.name

    def _has_ended(self) -> None:
        assert self._thread is not None, "it has started"
        self._thread.join()  # its very last step was to have this called
        self.is_over = True
        if self._over_here is not None:
            if not self._over_here.done():
                self._over_here.set_result(None)
        elif self.stand_in is not None:
            self._boss.stop(self.stand_in.cell, StopReason.STOPPED)
        if self._escalated is not None and self._parent.actor is not None:
            self._boss.child_failed(self._parent, self._escalated)

    # the subtree's thread

    def _run(self, make: Callable[[], ActorRef[Any]]) -> None:
        try:
            with asyncio.Runner(loop_factory=self._crew.loop_factory) as runner:
                runner.run(self._live(make))
        except BaseException as error:  # a thread's last words
            _log.exception("the thread of %s failed", self.life.root.path())
            self._error = self._error or error
        finally:
            self._crew.leave(self)
            self._is_started.set()
            boss = self._boss.scheduler.inbox
            if boss is not None and self._ref is not None:
                boss.call(self._has_ended)

    async def _live(self, make: Callable[[], ActorRef[Any]]) -> None:
        life = self.life
        self._over = asyncio.get_running_loop().create_future()
        driver = ThreadDriver(
            self._turns, life.scheduler, life.budget_us, lambda: self._crew.end_program(life), weight=self._weight
        )
        life.scheduler.thread = threading.get_ident()
        life.scheduler.inbox = Inbox(life.scheduler, driver.bell, self._crew)
        life.start(driver)
        self._crew.enter(self)
        try:
            self._ref = make()
        except BaseException as error:  # for the caller of `spawn`
            self._error = error
            self._over.cancel()
        self._is_started.set()
        try:
            await self._over
        except asyncio.CancelledError:
            pass
        await life.begin_stop_all(_END_OF_ROOT_US)
        life.close()
        await asyncio.sleep(0)  # for callbacks of replies that no turn will wake

    def top_ended(self, cell: Cell) -> None:
        """The actor has ended for good; its record, if it has one, is still there."""
        if cell.extras is not None and cell.extras.is_escalating:
            failure = ChildFailed(f"{cell.path()} failed more often than its parent allows its children")
            failure.__cause__ = cell.extras.error
            self._escalated = failure
        if self._over is not None and not self._over.done():
            self._over.set_result(None)


def _ignore(_: object) -> None:
    """What is awaited elsewhere."""
