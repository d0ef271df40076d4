"""All the schedulers of one system that uses threads: who they are, and their sums.

Called from any thread.  The counts of a running scheduler are read while it runs, so
that sums are exact when all is at rest, and of slightly different moments before.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .branch import Branch, BranchLife, Subtree
from .core.cell import STOPPING, Cell
from .core.inbox import Inbox
from .core.reply import FAILED, Reply
from .errors import ActorStopped, HandlerBlocked, SystemNotRunning, WrongThread
from .ground import error_of, mailbox_full
from .messages import Failure, MailboxSettings
from .outsider import Outsider
from .statistics import ActorSnapshot, Counters, SchedulerSnapshot
from .supervision import Directive, Restart
from .watchdog import what_runs

if TYPE_CHECKING:
    from .actor import Actor
    from .core.scheduler import Scheduler
    from .drivers.thread import ThreadDriver
    from .life import Life
    from .modes import Plan
    from .ref import ActorRef
    from .turns import Turns

__all__ = ["Crew"]

_log = logging.getLogger("shoal.runtime")

_LOOK_S = 0.25  # a snapshot waits no longer for the actors of a thread whose handler does not return
_GRACE_S = 0.5  # for threads that were cut off; the loop of the `async with` block waits that long, at the very end


class Crew:
    """One system's schedulers."""

    def __init__(
        self,
        plan: Plan,
        home: Life,
        options: dict[str, Any],
        *,
        turns: Turns | None,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None,
    ) -> None:
        self.plan = plan
        self.turns = turns
        self.loop_factory = loop_factory
        self._home = home
        self._options = options  # of every life
        # Reentrant: the sums ask for the schedulers under it.
        self._lock = threading.RLock()
        self._subtrees: dict[Subtree, None] = {}
        self.by_thread: dict[int, Scheduler] = {}
        self._home_thread = ""
        self._past = Counters(0, 0, 0, 0, 0, 0, 0)  # of subtrees that have ended
        self._buried: dict[str, int] = {}  # messages that reached no scheduler, by reason
        self._refused = 0

    # beginning and ending

    def start(self, driver: ThreadDriver) -> None:
        """The system begins, on the running thread."""
        scheduler = self._home.scheduler
        scheduler.thread = threading.get_ident()
        self._home_thread = threading.current_thread().name
        scheduler.inbox = Inbox(scheduler, driver.bell, self)
        self.by_thread[scheduler.thread] = scheduler
        if self.loop_factory is None:
            kind = type(driver.loop)
            is_known = kind.__module__.split(".")[0] in ("asyncio", "uvloop")
            self.loop_factory = kind if is_known else asyncio.new_event_loop  # not one of virtual time

    def spawn(
        self,
        boss: Life,
        parent: Cell,
        actor_class: type[Actor[Any]],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        name: str | None,
        mailbox: MailboxSettings | None,
        restart: Restart,
        takes_turns: bool,
        weight: int,
    ) -> ActorRef[Any]:
        """Start an actor on a thread of its own; about 200 us, for which the caller's thread waits."""
        self.check_thread(boss)
        if parent.state >= STOPPING:
            raise ActorStopped(f"{parent.path()} is stopping or has stopped, and can have no new children")
        if parent.actor is None and parent is not self._home.root:
            raise SystemNotRunning("only actors and systems have children")
        life = BranchLife(self._home.system, **self._options)
        life.crew = self
        life.branch_off(boss, parent)
        subtree = Subtree(self, boss, parent, life, turns=self.turns if takes_turns else None, weight=weight)
        ref = subtree.start(
            lambda: life.spawn(
                life.root, actor_class, args, kwargs, name=name, mailbox=mailbox, restart=restart, weight=weight
            ),
            name or actor_class.__name__,
        )
        stand_in: ActorRef[Any] = boss.spawn(
            parent, Branch, (subtree,), {}, name=None, mailbox=None, restart=Restart.TEMPORARY
        )
        subtree.stand_in = stand_in
        boss.stand_ins[stand_in.cell] = None
        return ref

    def check_thread(self, life: Life) -> None:
        """WrongThread unless this is the thread of `life`."""
        if life.scheduler.inbox is not None and life.scheduler.thread != threading.get_ident():
            raise WrongThread(
                "a system, or an actor, spawns and stops all on its own thread only; from a handler use `self.spawn`, "
                "from elsewhere tell an actor to do it"
            )

    def enter(self, subtree: Subtree) -> None:
        """Called on the subtree's thread, at its beginning."""
        with self._lock:
            self._subtrees[subtree] = None
            self.by_thread[threading.get_ident()] = subtree.life.scheduler

    def leave(self, subtree: Subtree) -> None:
        """Called on the subtree's thread, at its very end."""
        with self._lock:
            self.by_thread.pop(threading.get_ident(), None)
            if subtree in self._subtrees:
                del self._subtrees[subtree]
                self._past = _sum(self._past, subtree.life.own_counters())

    def end(self) -> None:
        """After the system's stop: cut off what is still there, and leave behind, with a report, what blocks."""
        with self._lock:
            left = list(self._subtrees)
        for subtree in left:
            subtree.cut_off()
        deadline_s = time.monotonic() + _GRACE_S
        for subtree in left:
            if not subtree.join(max(deadline_s - time.monotonic(), 0.0)):
                self._leave_behind(subtree)

    def end_program(self, life: Life) -> None:
        """A handler raised KeyboardInterrupt; called on its thread."""
        inbox = self._home.scheduler.inbox
        assert inbox is not None, "start made one"
        inbox.call(lambda: self._home.end_program(life.fatal))

    def _leave_behind(self, subtree: Subtree) -> None:
        scheduler = subtree.life.scheduler
        cell, message = scheduler.in_hand()
        path, message_type, stack = what_runs(scheduler, cell, message)
        error = HandlerBlocked(
            f"{path or 'a callback'} still held its thread ({subtree.thread_name}) in its handler of "
            f"{message_type or 'an unknown message'} when the time to stop was up; the thread is left behind:\n{stack}",
            path=path,
            message_type=message_type,
            stack=stack,
        )
        _log.error("%s", error)
        ref = subtree.life.root.handle if cell is None or cell.handle is None else cell.handle
        self._home.failures.publish(Failure(ref, path, message_type, "receive", error, Directive.STOP))

    # what inboxes ask

    def asker(self) -> Any:
        scheduler = self.by_thread.get(threading.get_ident())
        return Outsider(self._home) if scheduler is None else scheduler

    def refused(self, cell: Cell, *, is_urgent: bool = False) -> None:
        with self._lock:
            self._refused += 1
        raise mailbox_full(cell, is_urgent=is_urgent)

    def bury(self, cell: Cell, item: Any, reason: str) -> None:
        with self._lock:  # only for the count: who hears of the letter may wait for a thread that counts
            self._buried[reason] = self._buried.get(reason, 0) + 1
        message = item
        if isinstance(item, Reply) and item.is_question:
            message = item.message
            # It never travelled: this thread may still change it.
            item.is_question = False
            item.state = FAILED
            item.value = error_of(cell, message, reason)
            back, item.callback = item.callback, None
            if back is not None:
                back.origin.link = None  # type: ignore[attr-defined]
                back(item)
        self._home.publish_letter(cell, message, reason)

    # looking

    def schedulers(self) -> list[Scheduler]:
        """The home's first."""
        return [life.scheduler for life in self._lives()]

    def counters(self) -> Counters:
        with self._lock:
            buried = sum(self._buried.values())
            total = dataclasses.replace(
                self._past, sent=self._past.sent + buried, refused=self._past.refused + self._refused
            )
            total = _sum(total, Counters(0, 0, 0, 0, 0, 0, 0, dict(self._buried)))
            for life in self._lives():
                total = _sum(total, life.own_counters())
            return total

    def actor_snapshots(self) -> tuple[ActorSnapshot, ...]:
        """Each thread is asked for its own; what one that is held by a handler said last stands for it."""
        lives = self._lives()
        asked = [_Looking(life) for life in lives]
        deadline_s = time.monotonic() + _LOOK_S
        for looking in asked:
            looking.wait(max(deadline_s - time.monotonic(), 0.0))
        return tuple(line for life in lives for line in life.seen_actors)

    def scheduler_snapshots(self) -> tuple[SchedulerSnapshot, ...]:
        with self._lock:
            lines = [self._home.scheduler_snapshot(self._home_thread, takes_turns=self.turns is not None)]
            lines += [
                subtree.life.scheduler_snapshot(subtree.thread_name, takes_turns=subtree.takes_turns)
                for subtree in self._subtrees
            ]
            return tuple(lines)

    def _lives(self) -> list[Life]:
        with self._lock:
            return [self._home, *(subtree.life for subtree in self._subtrees)]


class _Looking:
    """Has a life's thread look at its actors."""

    def __init__(self, life: Life) -> None:
        self._life = life
        self._is_begun = threading.Event()
        self._is_done = threading.Event()
        inbox = life.scheduler.inbox
        if life.is_here():
            self._look()
        elif inbox is None or not inbox.call(self._look):  # all is over there
            life.seen_actors = ()
            self._is_begun.set()
            self._is_done.set()

    def wait(self, timeout_s: float) -> None:
        """For a thread that has come to it, as long as it takes."""
        if self._is_begun.wait(timeout_s):
            self._is_done.wait()

    def _look(self) -> None:
        self._is_begun.set()
        try:
            self._life.seen_actors = self._life.own_actor_snapshots()
        finally:
            self._is_done.set()


def _sum(one: Counters, other: Counters) -> Counters:
    """Field by field."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(Counters):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        if field.name == "events_dropped":
            continue  # the system's own, whatever its schedulers
        if field.name == "dead_letters":
            values[field.name] = {
                reason: mine.get(reason, 0) + theirs.get(reason, 0) for reason in sorted({*mine, *theirs})
            }
        else:
            values[field.name] = mine + theirs
    return Counters(**values)
