"""How actors end, for good or to begin again.

An end is a walk through these stations; each that must wait is left, and
entered again by the signal that ends the wait:

    the handler in mid-way is cancelled -> children, last started first -> tasks
    -> timers -> on_stop -> a restart: `ended_to_restart`
                         -> the end: name removed, mailbox to the dead letters, watchers and parent told

Links break at the first of them.  `failing.py` says what comes after.
"""

from __future__ import annotations

import logging
from threading import get_ident
from typing import Any

from .belongings import Belongings, belongings_of
from .core.birth import unroot, unroot_ref
from .core.cell import RUNNING, STOPPED, STOPPING, SUSPENDED, Cell, disown
from .core.reply import FAILED, Reply
from .errors import ChildFailed, LinkBroken
from .ground import is_overridden, shown, stopped, type_name
from .keeping import Keeping
from .messages import Failure, StopReason, Terminated
from .supervision import Directive

__all__ = ["Ending", "on_go_on_signal", "on_stop_signal"]

_log = logging.getLogger("shoal.runtime")


class Ending(Keeping):
    """The walk through the end of an actor or of an instance, and the end of all."""

    def ended_to_restart(self, cell: Cell, belongings: Belongings) -> None:
        """An instance has ended, and another is to take its place."""
        raise NotImplementedError

    def left(self, cell: Cell, parent: Cell) -> None:
        """An actor has ended for good."""
        raise NotImplementedError

    def supervise(self, cell: Cell, error: BaseException, where: str, message_type: str) -> None:
        """An actor failed: decide, report, carry out."""
        raise NotImplementedError

    def run_hook(self, cell: Cell, result: Any) -> None:
        """Let what an async hook returned run in turns; others are done."""
        raise NotImplementedError

    def stop(self, cell: Cell, reason: StopReason | None) -> None:
        """Ask it to stop; no reason is that somebody with its ref said so."""
        if cell.state != STOPPED:
            self.scheduler.signal(cell, (on_stop_signal, reason or StopReason.STOPPED))

    def ended(self, cell: Cell) -> Reply:
        """The Reply that comes when the actor has ended for good; for the caller's thread."""
        inbox = self.scheduler.inbox
        if self.crew is None or inbox is None or self.scheduler.thread == get_ident():
            done = Reply(self.scheduler, cell, None)
            self.tell_ended(cell, done)
            return done
        done = Reply(self.crew.asker(), cell, None)
        if not inbox.call(lambda: self.tell_ended(cell, done)):
            done.set(None)
        return done

    def tell_ended(self, cell: Cell, done: Reply) -> None:
        """Answer `done` when the actor has ended."""
        if cell.state == STOPPED:
            done.set(None)
            return
        belongings = belongings_of(cell)
        waiting = [other for other in belongings.when_ended or () if other.is_waiting]  # who gave up is forgotten
        belongings.when_ended = [*waiting, done]

    def begin_stop_all(self, timeout_us: int) -> Reply:
        """End the whole tree.  The Reply is answered when it has ended, by force after the time-out."""
        done = Reply(self.scheduler, self.root, None)
        if self._driver is None:
            self.root.state = STOPPED
        if self.root.state == STOPPED:
            done.set(None)
            return done
        self.tell_ended(self.root, done)
        if self._stop_deadline is None:
            self._stop_deadline = self.scheduler.timers.set(self.now_us() + timeout_us, self.cut_off_late)
            self.stop(self.root, StopReason.SYSTEM)
        self.scheduler.need_turn()
        return done

    def cut_off(self) -> None:
        """End everything now, waiting for nobody."""
        for cell in reversed(list(self.cells())):
            if cell.state == STOPPED:
                continue
            self._record_end(cell, StopReason.SYSTEM, restarting=False)
            if cell.continuation is not None:
                self._close_continuation(cell)
            belongings = belongings_of(cell)
            for task in belongings.tasks or ():
                task.cancel()
            belongings.tasks = None
            self._end(cell)

    def cut_off_late(self) -> None:
        """As `cut_off`, with a line for the log."""
        late = [cell.path() for cell in self.cells() if cell.parent is not None and cell not in self.stand_ins]
        if late:
            _log.error("%d actors had not stopped in time and were cut off: %s", len(late), ", ".join(late[:20]))
        self.cut_off()

    def begin_end(self, cell: Cell, reason: StopReason, *, restarting: bool = False) -> None:
        if cell.state == STOPPING:
            if cell.extras.is_restarting and not restarting:  # a stop overtakes a restart
                self._record_end(cell, reason, restarting=False)
                self._break_links(cell)
                self.go_on_ending(cell)
            return
        if not restarting and self._is_bare(cell):
            self._end(cell)
            return
        was_suspended = cell.state == SUSPENDED
        self._record_end(cell, reason, restarting=restarting)
        if restarting:
            self.forget_watches(cell)
        cell.state = STOPPING
        cell.is_scheduled = True
        self._break_links(cell)
        if was_suspended:
            cell.extras.is_in_handler = True
        if cell.continuation is not None:
            if hasattr(cell.continuation, "cancel"):
                cell.continuation.cancel()
            else:
                self._close_continuation(cell)
        self.go_on_ending(cell)

    def _is_bare(self, cell: Cell) -> bool:
        """Whether nothing of it must end first, and nobody is to be told why: so do most that end by dozens."""
        if cell.state != RUNNING or cell.extras is not None or cell.continuation is not None:
            return False
        return (
            cell.last_child is None
            and cell.actor is not None
            and not self.spawner.kind_of(type(cell.actor)).has_on_stop
        )

    def _record_end(self, cell: Cell, reason: StopReason, *, restarting: bool) -> None:
        belongings = belongings_of(cell)
        belongings.reason = reason
        if reason not in (StopReason.FAILED, StopReason.RESTARTED):
            belongings.error = None
        belongings.is_restarting = restarting
        cell.is_open = restarting

    def _close_continuation(self, cell: Cell) -> None:
        """End a generator, or a coroutine that has no time left, where it stands."""
        continuation, cell.continuation = cell.continuation, None
        cell.is_resumable = False
        belongings = belongings_of(cell)
        try:
            if hasattr(continuation, "abandon"):
                continuation.abandon()
            else:
                continuation.close()
        except BaseException as error:  # reported like any other
            self.report(cell, error, "receive", type_name(cell.message), Directive.STOP)
        if belongings.is_in_handler or cell.state == SUSPENDED:
            belongings.is_in_handler = False
            self.scheduler.cut_short(cell, is_handled=False)
            self.refuse_answer(cell)
        cell.message = None

    def go_on_ending(self, cell: Cell) -> None:
        """Walk on through the stations of the end, to the next that must wait."""
        if cell.state != STOPPING or cell.continuation is not None:
            return
        belongings = belongings_of(cell)
        if belongings.is_parked and belongings.is_restarting:
            return
        child = cell.last_child
        if child is not None:
            is_whole_system = self.root.state == STOPPING
            self.stop(child, StopReason.SYSTEM if is_whole_system else StopReason.PARENT)
            return
        if belongings.tasks:
            for task, is_told in list(belongings.tasks.items()):
                if not is_told:
                    belongings.tasks[task] = True
                    task.cancel()
            return
        self.cancel_timers(belongings)
        if not belongings.is_stop_hook_done:
            belongings.is_stop_hook_done = True
            if cell.actor is not None and is_overridden(type(cell.actor), "on_stop"):
                try:
                    self.run_hook(cell, cell.actor.on_stop(belongings.reason))
                except BaseException as error:  # reported like any other
                    self.report(cell, error, "on_stop", "", Directive.STOP)
                if cell.continuation is not None or belongings.tasks or cell.last_child is not None:
                    self.go_on_ending(cell)
                    return
                self.cancel_timers(belongings)  # that it set: the next instance shall not hear of them
        if belongings.is_restarting:
            belongings.is_parked = True
            self.ended_to_restart(cell, belongings)
        else:
            self._end(cell)

    def _end(self, cell: Cell) -> None:
        """The actor is no more: tell everybody, in this order."""
        belongings: Belongings | None = cell.extras
        cell.state = STOPPED
        cell.is_open = False
        parent = cell.parent
        if belongings is not None:
            self.cancel_timers(belongings)
            self._break_links(cell)
        if cell.name is not None and parent is not None:
            self.registry.remove(cell.path())
        self._bury_mailbox(cell)
        if belongings is not None:
            for subscription in (belongings.names or {}).values():
                subscription.close()
            for watched, theirs in (belongings.watches or {}).items():
                self.forget_watcher(watched, theirs, cell)
            for watcher, theirs in (belongings.watched_by or {}).items():
                self.tell_watcher(watcher, theirs, cell, Terminated(cell.handle, belongings.reason, belongings.error))
        if parent is not None:
            if self.events.of_actors:
                self.events.forget(cell.handle)
            disown(parent, cell)
            self.stand_ins.pop(cell, None)
            self.spawner.actors -= 1
            if parent.state == STOPPING:
                self.scheduler.signal(parent, (on_go_on_signal, None))
            elif belongings is not None and belongings.is_escalating and parent.actor is not None:
                failure = ChildFailed(f"{cell.path()} failed more often than {parent.path()} allows its children")
                failure.__cause__ = belongings.error
                self.child_failed(parent, failure)
            self.left(cell, parent)
        if parent is None:
            self.scheduler.end_questions(lambda reply: stopped(reply.cell))
        if belongings is not None:
            for done in belongings.when_ended or ():
                if done.is_waiting:
                    done.set(None)
        # What others may still hold is the ref: let go of the rest.
        unroot(cell)
        unroot_ref(cell)
        cell.function = None
        cell.continuation = None
        cell.fiber = None
        cell.message = None
        cell.reply = None
        cell.extras = None
        cell.recipe = None if belongings is None else belongings.reason  # for who watches it later
        if parent is None and self._stop_deadline is not None:
            self.scheduler.timers.cancel(self._stop_deadline)

    def _break_links(self, cell: Cell) -> None:
        """Who is linked with an actor ends as it does: fails if it failed, stops if it stopped."""
        belongings = belongings_of(cell)
        links, belongings.links = belongings.links, None
        reason = "for no reason known" if belongings.error is None else shown(belongings.error)
        for other in links or ():
            other.extras.links.pop(cell, None)
            if self.root.state != RUNNING:
                continue
            if belongings.reason in (StopReason.FAILED, StopReason.RESTARTED):
                broken = LinkBroken(f"{cell.path()}, with which {other.path()} is linked, failed: {reason}")
                broken.__cause__ = belongings.error
                self.scheduler.signal(other, (_on_link_broken_signal, broken))
            else:
                self.stop(other, StopReason.LINKED)

    def _bury_mailbox(self, cell: Cell) -> None:
        for item in self.take_stash(cell):
            self.scheduler.bury(cell, item, "stopped")
        box = self.scheduler.empty(cell)
        if box is None:
            return
        waiting, box.waiting = box.waiting, None
        while box.has_messages():
            self.scheduler.bury(cell, box.pop(), "stopped")
        for _item, reply in waiting or ():
            self.scheduler.settle(reply, FAILED, stopped(cell))

    def report(self, cell: Cell, error: BaseException, where: str, message_type: str, directive: Directive) -> None:
        self._failures += 1
        path = cell.path()
        _log.error(
            "%s failed in %s%s: %s; directive: %s",
            path,
            where,
            f" on {message_type}" if message_type else "",
            shown(error),
            directive.value,
            exc_info=error,
        )
        failure = Failure(cell.handle, path, message_type, where, error, directive)
        self.failures.publish(failure)
        self.events.publish(failure)
        if isinstance(error, KeyboardInterrupt):
            self.end_program(error)

    def end_program(self, error: BaseException | None) -> None:
        """Stop the system, and have its block raise what a handler raised."""
        if self.fatal is None:
            self.fatal = error
            assert self._driver is not None, "actors fail after start"
            self._driver.interrupt()
            self.scheduler.signal(self.root, (on_stop_signal, StopReason.SYSTEM))

    def child_failed(self, parent: Cell, error: BaseException) -> None:
        """A child failed more often than its parent allows."""
        self.scheduler.signal(parent, (_on_child_failed_signal, error))


# What signals do; a signal is one of these and its value.


def on_go_on_signal(ending: Ending, cell: Cell, _: Any) -> None:
    ending.go_on_ending(cell)


def on_stop_signal(ending: Ending, cell: Cell, reason: StopReason) -> None:
    ending.begin_end(cell, reason)


def _on_child_failed_signal(ending: Ending, cell: Cell, error: BaseException) -> None:
    if cell.state != STOPPING:
        ending.supervise(cell, error, "child", "")


def _on_link_broken_signal(ending: Ending, cell: Cell, error: BaseException) -> None:
    if cell.state != STOPPING:
        ending.supervise(cell, error, "link", "")
