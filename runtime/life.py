"""The life-cycle: how actors begin, fail, restart and end, and what happens to their messages then.

What happens to a cell comes here as a signal, ahead of all messages, or from
the scheduler when something raised.  An end is a walk through these stations;
each that must wait is left, and entered again by the signal that ends the wait:

    the handler in mid-way is cancelled -> children, last started first -> tasks
    -> timers -> on_stop -> a restart: a new instance
                         -> the end: name removed, mailbox to the dead letters, watchers and parent told

Nothing here is called for an ordinary message.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from .belongings import Belongings, belongings_of
from .core.cell import RUNNING, STARTING, STATE_NAMES, STOPPED, STOPPING, SUSPENDED, Cell
from .core.reply import FAILED, Reply
from .errors import ActorStopped, ChildFailed, HandlerFailed, SystemNotRunning
from .ground import stopped, type_name
from .keeping import Keeping
from .messages import Failure, MailboxSettings, StopReason, Terminated
from .ref import ActorRef
from .supervision import Directive, FailureHistory, Restart, decide

if TYPE_CHECKING:
    from .actor import Actor

__all__ = ["Life"]

_log = logging.getLogger("shoal.runtime")

_NAME_LENGTH_MAX = 200  # names are part of log lines


class Life(Keeping):
    """One system's life-cycle; the scheduler's host."""

    # beginning

    def spawn(
        self,
        parent: Cell,
        actor_class: type[Actor[Any]],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        name: str | None,
        mailbox: MailboxSettings | None,
        restart: Restart,
    ) -> ActorRef[Any]:
        if parent.state in (STOPPING, STOPPED):
            raise ActorStopped(f"{parent.path()} is {STATE_NAMES[parent.state]} and can have no new children")
        if self._driver is None:
            raise SystemNotRunning("the system has not started; spawn inside its `async with` block")
        if name is not None and not _is_name(name):
            raise ValueError(f"actor name {name!r}; use 1 to {_NAME_LENGTH_MAX} characters without / and not $ first")
        if name is None:
            self._serial += 1
        recipe: Any = actor_class  # the usual case needs no tuple of its own
        if args or kwargs or restart is not Restart.TRANSIENT:
            recipe = (actor_class, args, kwargs, restart)
        cell = Cell(parent, name, self._serial, mailbox or self._mailbox, recipe)
        ref: ActorRef[Any] = ActorRef(self.scheduler, cell)
        cell.handle = ref
        if name is not None:
            self.registry.add(ref.path, ref)
        parent.adopt(cell)
        self._actors += 1
        try:
            self._make(cell)
        except BaseException:
            self._begin_end(cell, StopReason.FAILED)
            raise
        if _is_overridden(actor_class, "on_start"):
            self.scheduler.signal(cell, (_on_start_signal, None))
        else:
            self.scheduler.activate(cell)
        return ref

    def _make(self, cell: Cell) -> Any:
        recipe = cell.recipe
        actor_class = recipe[0] if type(recipe) is tuple else recipe
        actor = actor_class.__new__(actor_class)
        actor._ref = cell.handle  # noqa: SLF001, before __init__, so that self.ref works there
        if type(recipe) is tuple:
            actor.__init__(*recipe[1], **recipe[2])
        else:
            actor.__init__()
        cell.actor = actor
        cell.function = actor_class.receive
        return actor

    def _start(self, cell: Cell) -> None:
        """The instance is made or remade: run its hooks, then its messages."""
        if cell.state != STARTING:
            return
        try:
            actor = cell.actor
            if actor is None:
                actor = self._make(cell)
                belongings = belongings_of(cell)
                if belongings.error is not None:
                    error, belongings.error = belongings.error, None
                    actor.on_restart(error)
            self._run_hook(cell, actor.on_start())
        except BaseException as raised:  # the supervisor decides
            self.failed(cell, raised, None)
            return
        if cell.continuation is None:
            self.scheduler.activate(cell)

    def _run_hook(self, cell: Cell, result: Any) -> None:
        """Let what an async hook returned run in turns; others are done."""
        if type(result) is CoroutineType:
            cell.fiber = cell.fiber or self.fiber(cell)
            cell.fiber.begin(result)
            cell.continuation = cell.fiber
            self.scheduler.resume(cell)

    # signals

    def signalled(self, cell: Cell) -> None:
        while cell.signals:
            action, value = cell.signals.popleft()
            if cell.state != STOPPED:
                action(self, cell, value)
        cell.signals = None

    def finished(self, cell: Cell) -> None:
        if cell.state == STARTING:
            self.scheduler.activate(cell)
            return
        belongings = belongings_of(cell)
        if belongings.is_in_handler:
            belongings.is_in_handler = False
            self.scheduler.handled += 1
            self.refuse_answer(cell)
        self._go_on_ending(cell)

    def task_ended(self, cell: Cell, error: BaseException | None) -> None:
        if error is not None:
            self.scheduler.signal(cell, (_on_task_failed_signal, error))
        elif cell.state == STOPPING:
            self.scheduler.signal(cell, (_on_go_on_signal, None))

    # failing

    def failed(self, cell: Cell, error: BaseException, message: Any) -> None:
        state = cell.state
        if state == STOPPING:
            self._failed_while_ending(cell, error)
            return
        where = "on_start"
        if state in (RUNNING, SUSPENDED):
            where = "receive"
            cell.state = RUNNING  # the handler has ended: the end need not cancel it
            self.scheduler.lost += 1
            reply = cell.reply
            if reply is not None:
                cell.reply = None
                failure = HandlerFailed(f"{cell.path()} failed on {type_name(message)}: {error!r}")
                failure.__cause__ = error
                self.scheduler.settle(reply, FAILED, failure)
        cell.message = None
        self._supervise(cell, error, where, type_name(message) if where == "receive" else "")

    def _failed_while_ending(self, cell: Cell, error: BaseException) -> None:
        belongings = belongings_of(cell)
        if belongings.is_in_handler:
            belongings.is_in_handler = False
            self.scheduler.lost += 1
            self.refuse_answer(cell)
            if not _is_cancellation(error):
                self._report(cell, error, "receive", type_name(cell.message), Directive.STOP)
            cell.message = None
        elif not belongings.is_stop_hook_done:
            if not _is_cancellation(error):
                self._report(cell, error, "on_start", "", Directive.STOP)
        else:
            self._report(cell, error, "on_stop", "", Directive.STOP)
        self._go_on_ending(cell)

    def _supervise(self, cell: Cell, error: BaseException, where: str, message_type: str) -> None:
        directive = self._decide(cell, failed=True)
        if not isinstance(error, Exception) and not _is_cancellation(error):
            directive = Directive.STOP  # SystemExit or KeyboardInterrupt: nothing is to start again
        self._report(cell, error, where, message_type, directive)
        self._carry_out(cell, directive, error)

    def _decide(self, cell: Cell, *, failed: bool) -> Directive:
        if self.root.state != RUNNING:
            return Directive.STOP
        belongings = belongings_of(cell)
        if belongings.history is None:
            belongings.history = FailureHistory()
        parent = cell.parent
        supervision = self._supervision
        if parent is not None and parent.actor is not None:
            supervision = parent.actor.supervision
        restart = cell.recipe[3] if type(cell.recipe) is tuple else Restart.TRANSIENT
        return decide(restart, supervision, belongings.history, self.now_us(), failed=failed)

    def _carry_out(self, cell: Cell, directive: Directive, error: BaseException | None) -> None:
        belongings = belongings_of(cell)
        belongings.error = error
        belongings.is_escalating = directive is Directive.ESCALATE
        if directive is Directive.RESTART:
            self._begin_end(cell, StopReason.RESTARTED, restarting=True)
        else:
            self._begin_end(cell, StopReason.STOPPED if error is None else StopReason.FAILED)

    def _report(self, cell: Cell, error: BaseException, where: str, message_type: str, directive: Directive) -> None:
        self._failures += 1
        path = cell.path()
        _log.error(
            "%s failed in %s%s: %r; directive: %s",
            path,
            where,
            f" on {message_type}" if message_type else "",
            error,
            directive.value,
            exc_info=error,
        )
        self.failures.publish(Failure(cell.handle, path, message_type, where, error, directive))
        if isinstance(error, (SystemExit, KeyboardInterrupt)) and self.fatal is None:
            self.fatal = error
            assert self._driver is not None, "actors fail after start"
            self._driver.interrupt()
            self.scheduler.signal(self.root, (_on_stop_signal, StopReason.SYSTEM))

    # ending

    def stop(self, cell: Cell, reason: StopReason) -> None:
        if cell.state != STOPPED:
            self.scheduler.signal(cell, (_on_stop_signal, reason))

    def stop_self(self, cell: Cell) -> None:
        if cell.state != STOPPED:
            self.scheduler.signal(cell, (_on_stop_self_signal, None))

    def begin_stop_all(self, timeout_us: int) -> Reply:
        """End the whole tree.  The Reply is answered when it has ended, by force after the time-out."""
        done = Reply(self.scheduler, self.root, None)
        if self._driver is None:
            self.root.state = STOPPED
        if self.root.state == STOPPED:
            done.set(None)
            return done
        belongings = belongings_of(self.root)
        if belongings.when_ended is None:
            belongings.when_ended = []
        belongings.when_ended.append(done)
        if self._stop_deadline is None:
            self._stop_deadline = self.scheduler.timers.set(self.now_us() + timeout_us, self._cut_off_late)
            self.stop(self.root, StopReason.SYSTEM)
        self.scheduler.need_turn()
        return done

    def cut_off(self) -> None:
        """End everything now, waiting for nobody."""
        for cell in reversed(list(self.cells())):
            if cell.state == STOPPED:
                continue
            self._begin_end_record(cell, StopReason.SYSTEM, restarting=False)
            if cell.continuation is not None:
                self._close_continuation(cell)
            belongings = belongings_of(cell)
            for task in belongings.tasks or ():
                task.cancel()
            belongings.tasks = None
            self._end(cell)

    def _cut_off_late(self) -> None:
        late = [cell.path() for cell in self.cells() if cell.parent is not None]
        _log.error("%d actors had not stopped in time and were cut off: %s", len(late), ", ".join(late[:20]))
        self.cut_off()

    def _begin_end(self, cell: Cell, reason: StopReason, *, restarting: bool = False) -> None:
        if cell.state == STOPPING:
            if cell.extras.is_restarting and not restarting:  # a stop overtakes a restart
                self._begin_end_record(cell, reason, restarting=False)
            return
        was_suspended = cell.state == SUSPENDED
        self._begin_end_record(cell, reason, restarting=restarting)
        cell.state = STOPPING
        cell.is_scheduled = True
        if was_suspended:
            cell.extras.is_in_handler = True
        if cell.continuation is not None:
            if hasattr(cell.continuation, "cancel"):
                cell.continuation.cancel()
            else:
                self._close_continuation(cell)
        self._go_on_ending(cell)

    def _begin_end_record(self, cell: Cell, reason: StopReason, *, restarting: bool) -> None:
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
            self._report(cell, error, "receive", type_name(cell.message), Directive.STOP)
        if belongings.is_in_handler or cell.state == SUSPENDED:
            belongings.is_in_handler = False
            self.scheduler.lost += 1
            self.refuse_answer(cell)
        cell.message = None

    def _go_on_ending(self, cell: Cell) -> None:
        """Walk on through the stations of the end, to the next that must wait."""
        if cell.state != STOPPING or cell.continuation is not None:
            return
        belongings = belongings_of(cell)
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
            if cell.actor is not None and _is_overridden(type(cell.actor), "on_stop"):
                try:
                    self._run_hook(cell, cell.actor.on_stop(belongings.reason))
                except BaseException as error:  # reported like any other
                    self._report(cell, error, "on_stop", "", Directive.STOP)
                if cell.continuation is not None or belongings.tasks or cell.last_child is not None:
                    self._go_on_ending(cell)
                    return
        if belongings.is_restarting:
            self._begin_again(cell, belongings)
        else:
            self._end(cell)

    def _begin_again(self, cell: Cell, belongings: Belongings) -> None:
        self._restarts += 1
        belongings.begin_instance()
        cell.actor = None
        cell.state = STARTING
        self.scheduler.signal(cell, (_on_start_signal, None))

    def _end(self, cell: Cell) -> None:
        """The actor is no more: tell everybody, in this order."""
        belongings = belongings_of(cell)
        cell.state = STOPPED
        cell.is_open = False
        parent = cell.parent
        ref = cell.handle
        self.cancel_timers(belongings)
        if cell.name is not None and parent is not None:
            self.registry.remove(cell.path())
        self._bury_mailbox(cell)
        for watched in belongings.watches or ():
            if watched.extras is not None and watched.extras.watched_by is not None:
                watched.extras.watched_by.pop(cell, None)
        for watcher in belongings.watched_by or ():
            watcher.extras.watches.pop(cell, None)
            self.scheduler.post_control(watcher, Terminated(ref, belongings.reason, belongings.error))
        if parent is not None:
            parent.disown(cell)
            self._actors -= 1
            if parent.state == STOPPING:
                self.scheduler.signal(parent, (_on_go_on_signal, None))
            elif belongings.is_escalating and parent.actor is not None:
                failure = ChildFailed(f"{cell.path()} failed more often than {parent.path()} allows its children")
                failure.__cause__ = belongings.error
                self.scheduler.signal(parent, (_on_child_failed_signal, failure))
        if parent is None:
            self.scheduler.end_questions(lambda reply: stopped(reply.cell))
        for done in belongings.when_ended or ():
            done.set(None)
        # What others may still hold is the ref: let go of the rest.
        cell.actor = None
        cell.function = None
        cell.continuation = None
        cell.fiber = None
        cell.extras = None
        cell.recipe = None
        cell.handle = None
        if parent is None and self._stop_deadline is not None:
            self.scheduler.timers.cancel(self._stop_deadline)

    def _bury_mailbox(self, cell: Cell) -> None:
        box = cell.mailbox
        if box is None:
            return
        cell.mailbox = None
        waiting, box.waiting = box.waiting, None
        while box.has_messages():
            self.scheduler.bury(cell, box.pop(), "stopped")
        for _item, reply in waiting or ():
            self.scheduler.settle(reply, FAILED, stopped(cell))


# What signals do; a signal is one of these and its value.

_Signal = Callable[[Life, Cell, Any], None]


def _on_start_signal(life: Life, cell: Cell, _: Any) -> None:
    life._start(cell)  # noqa: SLF001


def _on_go_on_signal(life: Life, cell: Cell, _: Any) -> None:
    life._go_on_ending(cell)  # noqa: SLF001


def _on_stop_signal(life: Life, cell: Cell, reason: StopReason) -> None:
    life._begin_end(cell, reason)  # noqa: SLF001


def _on_stop_self_signal(life: Life, cell: Cell, _: Any) -> None:
    if cell.state != STOPPING:
        life._carry_out(cell, life._decide(cell, failed=False), None)  # noqa: SLF001


def _on_child_failed_signal(life: Life, cell: Cell, error: BaseException) -> None:
    if cell.state != STOPPING:
        life._supervise(cell, error, "child", "")  # noqa: SLF001


def _on_task_failed_signal(life: Life, cell: Cell, error: BaseException) -> None:
    if cell.state == STOPPING:
        life._report(cell, error, "task", "", Directive.STOP)  # noqa: SLF001
        life._go_on_ending(cell)  # noqa: SLF001
    else:
        life._supervise(cell, error, "task", "")  # noqa: SLF001


def _is_name(name: str) -> bool:
    return 0 < len(name) <= _NAME_LENGTH_MAX and "/" not in name and not name.startswith("$")


def _is_overridden(actor_class: type[Any], hook: str) -> bool:
    return not hasattr(getattr(actor_class, hook), "is_hook_of_base")


def _is_cancellation(error: BaseException) -> bool:
    """Whether this is asyncio's CancelledError, which this room's decisions do not import."""
    return type(error).__name__ == "CancelledError"
