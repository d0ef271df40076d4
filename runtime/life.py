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
from collections.abc import Callable, Coroutine
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from .belongings import Belongings, belongings_of
from .core.cell import RUNNING, STARTING, STATE_NAMES, STOPPED, STOPPING, SUSPENDED, Cell
from .core.mailbox import Overflow
from .core.reply import FAILED, Reply
from .core.scheduler import Scheduler
from .core.timers import Timer
from .errors import (
    ActorStopped,
    AskDropped,
    AskTimedOut,
    ChildFailed,
    HandlerFailed,
    MailboxFull,
    NotHandlingAsk,
    SystemNotRunning,
)
from .messages import DeadLetter, DeadLetterReason, Failure, MailboxSettings, StopReason, Terminated
from .ref import ActorRef
from .registry import Registry
from .statistics import ActorSnapshot, Counters
from .streams import Stream
from .supervision import Directive, FailureHistory, Restart, Supervision, decide

if TYPE_CHECKING:
    from .actor import Actor
    from .core.host import Fiber
    from .drivers.base import Driver, TaskHandle
    from .system import ActorSystem

__all__ = ["Life"]

_log = logging.getLogger("shoal.runtime")

_NAME_LENGTH_MAX = 200  # names are part of log lines


class Life:
    """One system's life-cycle; the scheduler's host."""

    def __init__(
        self,
        system: ActorSystem,
        *,
        turn_budget_us: int,
        batch: int,
        slice_us: int,
        fixed_cost_ns: int,
        mailbox: MailboxSettings,
        supervision: Supervision,
    ) -> None:
        self.system = system
        self.scheduler = Scheduler(self, batch=batch, slice_us=slice_us, fixed_cost_ns=fixed_cost_ns)
        self.registry = Registry()
        self.dead_letters: Stream[DeadLetter] = Stream()
        self.failures: Stream[Failure] = Stream()
        self.fatal: BaseException | None = None
        self.loop: Any = None
        self.root = Cell(None, "", 0, mailbox, None)
        self.root.handle = ActorRef(self.scheduler, self.root)
        self._driver: Driver | None = None
        self._budget_us = turn_budget_us
        self._mailbox = mailbox
        self._supervision = supervision
        self._serial = 0
        self._is_closed = False
        self._actors = 0
        self._restarts = 0
        self._failures = 0
        self._refused = 0
        self._dead_by_reason: dict[str, int] = {}
        self._stop_deadline: Timer | None = None

    # the driver's side

    def start(self, driver: Driver) -> None:
        if self._driver is not None:
            raise SystemNotRunning("this system was started before; make a new ActorSystem for each run")
        self._driver = driver
        self.loop = driver.loop
        self.root.state = RUNNING
        driver.start(self.turn)

    def close(self) -> None:
        if not self._is_closed and self._driver is not None:
            self._is_closed = True
            self._driver.close()

    def turn(self) -> None:
        """One slice of work; what a driver calls."""
        assert self._driver is not None, "a driver calls turn after start"
        more = True
        try:
            more = self.scheduler.turn(self._budget_us, self._driver.now_us())
        finally:
            if more:
                self._driver.wake()
            deadline_us = self.scheduler.timers.next_deadline_us()
            if deadline_us >= 0:
                self._driver.wake_at(deadline_us)

    def wake(self) -> None:
        if self._driver is not None:
            self._driver.wake()

    def now_us(self) -> int:
        if self._driver is None:
            raise SystemNotRunning("the system has no clock before it starts; enter `async with` first")
        return self._driver.now_us()

    def fiber(self, cell: Cell) -> Fiber:
        assert self._driver is not None, "no handler runs before start"
        scheduler = self.scheduler
        return self._driver.fiber(lambda: scheduler.resume(cell))

    # beginning

    def spawn(
        self,
        parent: Cell,
        actor_class: type[Actor[Any]],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
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

    def _make(self, cell: Cell) -> None:
        recipe = cell.recipe
        actor_class = recipe[0] if type(recipe) is tuple else recipe
        actor = actor_class.__new__(actor_class)
        actor._cell = cell  # noqa: SLF001, before __init__, so that self.ref works there
        if type(recipe) is tuple:
            actor.__init__(*recipe[1], **recipe[2])
        else:
            actor.__init__()
        cell.actor = actor
        cell.function = actor_class.receive

    def _start(self, cell: Cell) -> None:
        """The instance is made or remade: run its hooks, then its messages."""
        if cell.state != STARTING:
            return
        error = None if cell.extras is None else cell.extras.error
        try:
            if cell.actor is None:
                self._make(cell)
                if error is not None:
                    cell.extras.error = None
                    cell.actor.on_restart(error)
            self._run_hook(cell, cell.actor.on_start())
        except BaseException as raised:  # noqa: BLE001, the supervisor decides
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
            self._refuse_answer(cell)
        self._go_on_ending(cell)

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
                failure = HandlerFailed(f"{cell.path()} failed on {_type_name(message)}: {error!r}")
                failure.__cause__ = error
                self.scheduler.settle(reply, FAILED, failure)
        cell.message = None
        self._supervise(cell, error, where, _type_name(message) if where == "receive" else "")

    def _failed_while_ending(self, cell: Cell, error: BaseException) -> None:
        belongings = belongings_of(cell)
        if belongings.is_in_handler:
            belongings.is_in_handler = False
            self.scheduler.lost += 1
            self._refuse_answer(cell)
            if not _is_cancellation(error):
                self._report(cell, error, "receive", _type_name(cell.message), Directive.STOP)
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

    def _report(
        self, cell: Cell, error: BaseException, where: str, message_type: str, directive: Directive
    ) -> None:
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
        belongings.when_ended.append(lambda: done.set(None))
        if self._stop_deadline is None:
            self._stop_deadline = self.scheduler.timers.set(self.now_us() + timeout_us, self._cut_off_late)
            self.stop(self.root, StopReason.SYSTEM)
        self.scheduler.need_turn()
        return done

    def cut_off(self) -> None:
        """End everything now, waiting for nobody."""
        for cell in reversed(list(self._cells())):
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
        late = [cell.path() for cell in self._cells() if cell.parent is not None]
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
        except BaseException as error:  # noqa: BLE001, reported like any other
            self._report(cell, error, "receive", _type_name(cell.message), Directive.STOP)
        if belongings.is_in_handler or cell.state == SUSPENDED:
            belongings.is_in_handler = False
            self.scheduler.lost += 1
            self._refuse_answer(cell)
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
        self._cancel_timers(belongings)
        if not belongings.is_stop_hook_done:
            belongings.is_stop_hook_done = True
            if cell.actor is not None and _is_overridden(type(cell.actor), "on_stop"):
                try:
                    self._run_hook(cell, cell.actor.on_stop(belongings.reason))
                except BaseException as error:  # noqa: BLE001, reported like any other
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
        self._cancel_timers(belongings)
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
        for callback in belongings.when_ended or ():
            callback()
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
            self.scheduler.settle(reply, FAILED, _stopped(cell))

    # messages that nobody handles, questions that nobody answers

    def refused(self, cell: Cell) -> None:
        self._refused += 1
        limit = cell.settings.messages_max
        raise MailboxFull(
            f"mailbox of {cell.path()} is full ({limit} messages); slow the sender, `await ref.send(...)`, "
            "or raise messages_max",
            path=cell.path(),
            messages_max=limit,
        )

    def dead_letter(self, cell: Cell, item: Any, reason: str) -> None:
        self._dead_by_reason[reason] = self._dead_by_reason.get(reason, 0) + 1
        message = item
        if isinstance(item, Reply) and item.is_question:
            message = item.message
            item.is_question = False
            if reason == "stopped":
                self.scheduler.settle(item, FAILED, _stopped(cell))
            else:
                limit = cell.settings.messages_max
                dropped = AskDropped(f"mailbox of {cell.path()} is full ({limit} messages) and dropped the question")
                self.scheduler.settle(item, FAILED, dropped)
        if self.dead_letters.has_subscribers:
            ref = cell.handle or ActorRef(self.scheduler, cell)
            self.dead_letters.publish(DeadLetter(ref, message, DeadLetterReason(reason)))

    def timed_out(self, reply: Reply) -> BaseException:
        asked = "the actor asked" if reply.cell is None else reply.cell.path()
        return AskTimedOut(f"no answer from {asked} to {_type_name(reply.message)} in time; it may still be working")

    def take_reply(self, cell: Cell) -> Reply:
        reply = cell.reply
        if reply is None:
            raise NotHandlingAsk(f"{cell.path()} is not handling an ask; it came by tell, or its reply was taken before")
        cell.reply = None
        return reply

    def _refuse_answer(self, cell: Cell) -> None:
        reply = cell.reply
        if reply is not None:
            cell.reply = None
            self.scheduler.settle(reply, FAILED, _stopped(cell))

    # watching

    def watch(self, watcher: Cell, watched: Cell) -> None:
        if watched.state == STOPPED:
            ref: ActorRef[Any] = ActorRef(self.scheduler, watched)
            self.scheduler.post_control(watcher, Terminated(ref, StopReason.STOPPED))
            return
        mine, theirs = belongings_of(watcher), belongings_of(watched)
        if mine.watches is None:
            mine.watches = {}
        if theirs.watched_by is None:
            theirs.watched_by = {}
        mine.watches[watched] = None
        theirs.watched_by[watcher] = None

    def unwatch(self, watcher: Cell, watched: Cell) -> None:
        if watcher.extras is not None and watcher.extras.watches is not None:
            watcher.extras.watches.pop(watched, None)
        if watched.extras is not None and watched.extras.watched_by is not None:
            watched.extras.watched_by.pop(watcher, None)

    # timers and tasks

    def start_timer(self, cell: Cell, key: object, message: Any, delay_us: int, interval_us: int | None) -> None:
        if delay_us < 0 or (interval_us is not None and interval_us < 1):
            raise ValueError(f"delay_us is {delay_us}, interval_us {interval_us}; use 0 or more, and 1 or more")
        if cell.state == STOPPED:
            raise ActorStopped(f"{cell.path()} has stopped and can have no timers")
        self.cancel_timer(cell, key)
        belongings = belongings_of(cell)
        if belongings.timers is None:
            belongings.timers = {}
        timers = self.scheduler.timers
        belongings.timers[key] = timers.set(self.now_us() + delay_us, cell, (key, message), interval_us or 0)
        self.scheduler.need_turn()

    def cancel_timer(self, cell: Cell, key: object) -> bool:
        if cell.extras is None or not cell.extras.timers:
            return False
        timer = cell.extras.timers.pop(key, None)
        return timer is not None and bool(self.scheduler.timers.cancel(timer))

    def fired(self, timer: Timer) -> None:
        target = timer.target
        if not isinstance(target, Cell):
            target()
            return
        key, message = timer.payload
        if timer.interval_us > 0:
            late_us = self.scheduler.now_us - timer.deadline_us
            timer.deadline_us += timer.interval_us * (1 + late_us // timer.interval_us)
            self.scheduler.timers.put(timer)
        else:
            target.extras.timers.pop(key, None)
        box = target.mailbox
        is_full = box is not None and box.count >= box.limit
        if is_full and target.settings.overflow in (Overflow.FAIL, Overflow.WAIT):
            self.scheduler.sent += 1
            self.scheduler.bury(target, message, "timer_refused")
        else:
            self.scheduler.post(target, message)

    def _cancel_timers(self, belongings: Belongings) -> None:
        for timer in (belongings.timers or {}).values():
            self.scheduler.timers.cancel(timer)
        belongings.timers = None

    def start_task(self, cell: Cell, coroutine: Coroutine[Any, Any, object], name: str | None) -> TaskHandle:
        if cell.state in (STOPPING, STOPPED):
            coroutine.close()
            raise ActorStopped(f"{cell.path()} is {STATE_NAMES[cell.state]} and can have no new tasks")
        assert self._driver is not None, "an actor lives after start"
        belongings = belongings_of(cell)
        if belongings.tasks is None:
            belongings.tasks = {}
        tasks = belongings.tasks
        handle: TaskHandle

        def on_end(error: BaseException | None) -> None:
            tasks.pop(handle, None)
            if error is not None:
                self.scheduler.signal(cell, (_on_task_failed_signal, error))
            elif cell.state == STOPPING:
                self.scheduler.signal(cell, (_on_go_on_signal, None))

        handle = self._driver.start_task(coroutine, name or f"shoal {cell.path()}", on_end)
        tasks[handle] = False
        return handle

    # looking

    def counters(self) -> Counters:
        scheduler = self.scheduler
        queued = 0
        for cell in self._cells():
            if cell.mailbox is not None:
                queued += cell.mailbox.count + len(cell.mailbox.control or ())
        return Counters(
            sent=scheduler.sent,
            handled=scheduler.handled,
            lost=scheduler.lost,
            queued=queued,
            handling=scheduler.taken - scheduler.handled - scheduler.lost,
            refused=self._refused,
            late_replies=scheduler.late_replies,
            dead_letters=dict(self._dead_by_reason),
            actors=self._actors,
            restarts=self._restarts,
            failures=self._failures,
        )

    def actor_snapshots(self) -> tuple[ActorSnapshot, ...]:
        return tuple(
            ActorSnapshot(
                path=cell.path(),
                state=STATE_NAMES[cell.state],
                queued=0 if cell.mailbox is None else cell.mailbox.count,
                run_time_us=cell.virtual_ns // 1000,
            )
            for cell in self._cells()
            if cell.parent is not None
        )

    def _cells(self) -> list[Cell]:
        """All living cells, parents before children, the first started first."""
        found: list[Cell] = []
        left = [self.root]
        while left:
            cell = left.pop()
            found.append(cell)
            left.extend(cell.children())
        return found


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


def _type_name(message: Any) -> str:
    return type(message).__name__


def _stopped(cell: Cell) -> ActorStopped:
    return ActorStopped(f"{cell.path()} has stopped; nobody will answer")
