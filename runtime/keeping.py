"""What an actor keeps beside its mailbox: watches, links, timers, tasks."""

from __future__ import annotations

from collections import deque
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from .belongings import Belongings, belongings_of
from .core.cell import STATE_NAMES, STOPPED, STOPPING, Cell
from .core.mailbox import Overflow
from .core.ref import ref_to
from .core.timers import Timer
from .errors import ActorStopped, NotAvailable
from .handling import Handling
from .messages import NameChanged, StopReason, Terminated
from .ref import ActorRef

if TYPE_CHECKING:
    from .drivers.base import TaskHandle

__all__ = ["Keeping"]


class Keeping(Handling):
    """Starts and ends what belongs to an actor; the life-cycle says when."""

    def task_ended(self, cell: Cell, error: BaseException | None) -> None:
        """An actor's task is over."""
        raise NotImplementedError

    # watching

    def watch(self, watcher: Cell, watched: Cell, ref: ActorRef[Any] | None = None) -> None:
        if watched.state == STOPPED:  # its cell keeps no ref any more: the watcher hears of the one it knows
            known: ActorRef[Any] = ref or ref_to(self.scheduler, watched)
            self.scheduler.post_control(watcher, Terminated(known, _reason_of(watched)))
            return
        theirs = self.afar(watched)
        mine = belongings_of(watcher)
        if mine.watches is None:
            mine.watches = {}
        mine.watches[watched] = theirs
        if theirs is None:
            _add_watcher(watched, watcher, None)
            return
        inbox = theirs.inbox
        if not inbox.call(lambda: theirs.host.watched_from_afar(watched, watcher, self.scheduler, ref)):
            ended = Terminated(ref or ref_to(theirs, watched), _reason_of(watched))
            self.tell_watcher(watcher, None, watched, ended)

    def unwatch(self, watcher: Cell, watched: Cell) -> None:
        watches = None if watcher.extras is None else watcher.extras.watches
        if watches and watched in watches:
            self.forget_watcher(watched, watches.pop(watched), watcher)

    def forget_watcher(self, watched: Cell, theirs: Any, watcher: Cell) -> None:
        """Take a watcher off the list of an actor of this thread (`theirs` is None) or of another."""
        if theirs is not None:
            theirs.inbox.call(lambda: theirs.host.forget_watcher(watched, None, watcher))
        elif watched.extras is not None and watched.extras.watched_by is not None:
            watched.extras.watched_by.pop(watcher, None)

    def forget_watches(self, cell: Cell) -> None:
        """Watches are of instances: the next hears of what it watches itself, and what is in the mailbox already."""
        watches, cell.extras.watches = cell.extras.watches, None
        for watched, theirs in (watches or {}).items():
            self.forget_watcher(watched, theirs, cell)

    def link(self, one: Cell, other: Cell) -> None:
        if other.state == STOPPED or not other.is_open:
            raise ActorStopped(f"{other.path()} has stopped; {one.path()} cannot be linked with it")
        if one is other:
            return
        if self.afar(other) is not None:
            raise NotAvailable(f"{one.path()} and {other.path()} are on different threads; `watch` instead of `link`")
        for cell, to in ((one, other), (other, one)):
            belongings = belongings_of(cell)
            if belongings.links is None:
                belongings.links = {}
            belongings.links[to] = None

    def unlink(self, one: Cell, other: Cell) -> None:
        for cell, to in ((one, other), (other, one)):
            if cell.extras is not None and cell.extras.links is not None:
                cell.extras.links.pop(to, None)

    def watch_name(self, cell: Cell, name: str) -> None:
        self.unwatch_name(cell, name)
        belongings = belongings_of(cell)
        if belongings.names is None:
            belongings.names = {}
        belongings.names[name] = self.registry.watch(name, lambda change: self.name_changed(cell, change))

    def name_changed(self, cell: Cell, change: NameChanged) -> None:
        """Tell of a name, in place of what waits to be told of it: a name that flaps may not fill a mailbox."""
        if not self.is_here():
            assert self.scheduler.inbox is not None, "it is not here"
            self.scheduler.inbox.call(lambda: self.name_changed(cell, change))
            return
        control: deque[Any] = (None if cell.mailbox is None else cell.mailbox.control) or deque()
        old = next((one for one in control if type(one) is NameChanged and one.name == change.name), None)
        if old is not None:
            control.remove(old)  # and not replaced where it is: what was said since came before
        self.scheduler.post_control(cell, change)
        if old is not None:
            self.scheduler.bury(cell, old, "superseded")

    def unwatch_name(self, cell: Cell, name: str) -> None:
        if cell.extras is not None and cell.extras.names is not None:
            subscription = cell.extras.names.pop(name, None)
            if subscription is not None:
                subscription.close()

    def tell_watcher(self, watcher: Cell, theirs: Any, watched: Cell, message: Terminated) -> None:
        """Tell a watcher of this thread (`theirs` is None), or of another, unless it watches no longer."""
        if theirs is not None:
            theirs.inbox.call(lambda: theirs.host.tell_watcher(watcher, None, watched, message))
        elif watcher.extras is not None and watcher.extras.watches is not None and watched in watcher.extras.watches:
            del watcher.extras.watches[watched]
            self.scheduler.post_control(watcher, message)

    def watched_from_afar(self, watched: Cell, watcher: Cell, theirs: Any, ref: ActorRef[Any] | None) -> None:
        """An actor of another thread watches one of this."""
        if watched.state != STOPPED:
            _add_watcher(watched, watcher, theirs)
            return
        ended = Terminated(ref or ref_to(self.scheduler, watched), _reason_of(watched))
        self.tell_watcher(watcher, theirs, watched, ended)

    # timers and tasks

    def start_timer(
        self,
        cell: Cell,
        key: object,
        message: Any,
        *,
        delay_us: int,
        interval_us: int | None,
        fixed_delay_us: int | None,
    ) -> None:
        if delay_us < 0 or any(repeat_us is not None and repeat_us < 1 for repeat_us in (interval_us, fixed_delay_us)):
            raise ValueError(
                f"delay_us is {delay_us}, interval_us {interval_us}, fixed_delay_us {fixed_delay_us}; "
                "use 0 or more, and 1 or more for what repeats"
            )
        if interval_us is not None and fixed_delay_us is not None:
            raise ValueError("interval_us (fixed rate) and fixed_delay_us are both given; a timer has one of them")
        if cell.state == STOPPED:
            raise ActorStopped(f"{cell.path()} has stopped and can have no timers")
        hash(key)  # or nothing is set
        self.cancel_timer(cell, key)
        belongings = belongings_of(cell)
        if belongings.timers is None:
            belongings.timers = {}
        timers = self.scheduler.timers
        repeat_us = interval_us or -(fixed_delay_us or 0)
        belongings.timers[key] = timers.set(self.now_us() + delay_us, cell, message, repeat_us, key)
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
        message = timer.payload
        if (
            target.state == STOPPING and target.extras.is_stop_hook_done
        ):  # set by `on_stop`, with which its time is over
            target.extras.timers.pop(timer.key, None)
            return
        if timer.interval_us < 0:
            timer.deadline_us = self.scheduler.now_us - timer.interval_us
            self.scheduler.timers.put(timer)
        elif timer.interval_us > 0:
            late_us = self.scheduler.now_us - timer.deadline_us
            timer.deadline_us += timer.interval_us * (1 + late_us // timer.interval_us)
            self.scheduler.timers.put(timer)
        else:
            target.extras.timers.pop(timer.key, None)
        if self.scheduler.is_full(target) and target.settings.overflow in (Overflow.FAIL, Overflow.WAIT):
            self.undelivered(target, message, "timer_refused")
        else:
            self.scheduler.post(target, message)

    def cancel_timers(self, belongings: Belongings) -> None:
        for timer in (belongings.timers or {}).values():
            self.scheduler.timers.cancel(timer)
        belongings.timers = None
        comeback = belongings.comeback
        for delay in (belongings.group_timer, None if comeback is None else comeback.timer):
            if delay is not None:
                self.scheduler.timers.cancel(delay)

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
            self.task_ended(cell, error)

        handle = self._driver.start_task(coroutine, name or f"shoal {cell.path()}", on_end)
        tasks[handle] = False
        return handle


def _add_watcher(watched: Cell, watcher: Cell, theirs: Any) -> None:
    belongings = belongings_of(watched)
    if belongings.watched_by is None:
        belongings.watched_by = {}
    belongings.watched_by[watcher] = theirs


def _reason_of(ended: Cell) -> StopReason:
    """How one that has ended did; its error is not kept."""
    reason = ended.recipe
    return reason if isinstance(reason, StopReason) else StopReason.STOPPED
