"""What the life-cycle stands on: the scheduler, the driver, the counts, and messages that reach nobody.

`Ground` is half of the scheduler's host; `life.py` is the other half.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .core.birth import Spawner
from .core.cell import RUNNING, STATE_NAMES, STOPPING, Cell, queued
from .core.ref import ref_to
from .core.reply import FAILED, Reply
from .core.scheduler import Given, Scheduler
from .core.timers import Timer
from .errors import (
    ActorStopped,
    AskDropped,
    AskTimedOut,
    MailboxFull,
    NoRoutee,
    NotAvailable,
    SystemNotRunning,
    UnhandledMessage,
    WrongThread,
)
from .events import Events
from .messages import DeadLetter, DeadLetterReason, Failure, MailboxSettings, StopReason
from .ref import ActorRef
from .registry import Registry
from .statistics import ActorMetrics, ActorSnapshot, Counters, SchedulerSnapshot
from .streams import Stream
from .supervision import Restart, Supervision

if TYPE_CHECKING:
    from .core.host import Fiber
    from .crew import Crew
    from .drivers.base import Driver
    from .system import ActorSystem

Handler = Callable[[Any, Any], Any]  # of the actor and the message

__all__ = [
    "Ground",
    "Handler",
    "error_of",
    "is_cancellation",
    "is_overridden",
    "mailbox_full",
    "shown",
    "stopped",
    "type_name",
]


class Ground:
    """What one system has, and everything of it that is no part of an actor's life."""

    _ref_class: type[ActorRef[Any]] = ActorRef  # a simulation's refs note what is sent

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
        self.spawner = Spawner(self.scheduler, self._ref_class, mailbox, Restart.TRANSIENT)
        self.scheduler.spawner = self.spawner
        self.registry = Registry()
        self.dead_letters: Stream[DeadLetter] = Stream()
        self.failures: Stream[Failure] = Stream()
        self.events = Events()
        self.fatal: BaseException | None = None
        self.loop: Any = None
        self.instrument: Callable[[Cell, Handler], Handler] | None = None
        self.root = Cell(None, "", 0, mailbox, None)
        self.root_ref: ActorRef[Any] = ref_to(self.scheduler, self.root)
        self.crew: Crew | None = None  # where actors may have threads of their own
        self.stand_ins: dict[Cell, None] = {}  # cells that stand for an actor of another thread
        self._driver: Driver | None = None
        self.budget_us = turn_budget_us
        self._supervision = supervision
        self._is_closed = False
        self._restarts = 0
        self._failures = 0
        self._refused = 0
        self._dead_by_reason: dict[str, int] = {}
        self.seen_actors: tuple[ActorSnapshot, ...] = ()  # when another thread last asked for them
        self._stop_deadline: Timer | None = None

    # the life-cycle's half of being the scheduler's host

    def stop(self, cell: Cell, reason: StopReason | None) -> None:
        raise NotImplementedError

    def spawn_child(
        self, parent: Cell, actor_class: Any, args: tuple[Any, ...], kwargs: dict[str, Any], options: Any
    ) -> ActorRef[Any]:
        raise NotImplementedError

    def failed_to_begin(self, cell: Cell) -> None:
        raise NotImplementedError

    def ended(self, cell: Cell) -> Reply:
        raise NotImplementedError

    def signalled(self, cell: Cell) -> None:
        raise NotImplementedError

    def failed(self, cell: Cell, error: BaseException, message: Any) -> None:
        raise NotImplementedError

    def finished(self, cell: Cell) -> None:
        raise NotImplementedError

    def fired(self, timer: Timer) -> None:
        raise NotImplementedError

    # the driver's side

    def start(self, driver: Driver) -> None:
        if self._driver is not None:
            raise SystemNotRunning("this system was started before; make a new ActorSystem for each run")
        self._driver = driver
        self.loop = driver.loop
        self.scheduler.is_real_time = getattr(driver, "is_real_time", False)
        if self.scheduler.is_real_time and hasattr(driver, "interlude"):
            made: Any = driver
            self.scheduler.interlude = made.interlude()
        self.root.handle = self.root_ref  # from now on; until then nothing that the collector cannot see refers to us
        self.root.state = RUNNING
        driver.start(self.turn)

    @property
    def was_started(self) -> bool:
        return self._driver is not None

    def check_not_within(self, task: object) -> None:
        """NotAvailable if the task is that of an actor here: its end cannot wait for itself.  Linear in the actors."""
        if task is None:
            return
        of_handler = getattr(task, "cell", None)
        for cell in self.cells():
            if cell is of_handler or (cell.extras is not None and task in (cell.extras.tasks or ())):
                raise NotAvailable(
                    f"{cell.path()} awaits the end of its own system, which waits for it; call "
                    "self.system.begin_stop(), do not await what it returns, and return"
                )

    def close(self) -> None:
        """Let go of the loop.  Whoever still waits for a Reply is woken by it, not by a turn."""
        if self._is_closed or self._driver is None:
            return
        self._is_closed = True
        if self.scheduler.inbox is not None:
            self.scheduler.inbox.close()
        for reply in self.scheduler.take_settled():
            if reply.callback is not None:
                self._driver.call_soon(reply.callback, reply, reply.context)
        self._driver.close()

    def turn(self) -> None:
        """One slice of work; what a driver calls."""
        assert self._driver is not None, "a driver calls turn after start"
        more = True
        try:
            more = self.scheduler.turn(self.budget_us, self._driver.now_us())
        finally:
            if more:
                self._driver.wake()
            deadline_us = self.scheduler.timers.next_deadline_us()
            if deadline_us >= 0:
                self._driver.wake_at(deadline_us)

    def wake(self) -> None:
        if self._driver is not None:
            self._driver.wake()

    def supervision_below(self, parent: Cell) -> Supervision:
        """How the children of `parent` are looked after."""
        if parent.actor is None:
            return self._supervision
        supervision: Supervision = parent.actor.supervision
        return supervision

    def afar(self, cell: Cell) -> Any:
        """The scheduler of a living actor of another thread; None for one of this."""
        ref = cell.handle
        if ref is None or ref.scheduler is self.scheduler:
            return None
        if (ref.scheduler.inbox is None) != (self.scheduler.inbox is None):
            raise WrongThread(f"{ref.path} is of another system, and only one of the two uses threads; do it there")
        if ref.scheduler.inbox is None:
            return None
        return ref.scheduler

    def now_us(self) -> int:
        if self._driver is None:
            raise SystemNotRunning("the system has no clock before it starts; enter `async with` first")
        return self._driver.now_us()

    def fiber(self, cell: Cell) -> Fiber:
        assert self._driver is not None, "no handler runs before start"
        scheduler = self.scheduler
        fiber: Any = self._driver.fiber(lambda: scheduler.resume(cell))
        if hasattr(fiber, "cell"):  # a Reply then resumes the cell itself
            fiber.cell = cell
        made: Fiber = fiber
        return made

    # messages that nobody handles, questions that nobody answers

    def refused(self, cell: Cell, *, is_urgent: bool = False) -> None:
        self._refused += 1
        raise mailbox_full(cell, is_urgent=is_urgent)

    def dead_letter(self, cell: Cell, item: Any, reason: str) -> None:
        self._dead_by_reason[reason] = self._dead_by_reason.get(reason, 0) + 1
        message = item
        if isinstance(item, Reply) and item.is_question:
            message = item.message
            item.is_question = False
            if item.is_waiting:
                self.scheduler.settle(item, FAILED, error_of(cell, message, reason))
        self.publish_letter(cell, message, reason)

    def publish_letter(self, cell: Cell, message: Any, reason: str) -> None:
        """Tell whoever wants to hear of a message that nobody will handle."""
        if self.dead_letters.has_subscribers or self.events.has_subscribers:
            ref = cell.handle or ref_to(self.scheduler, cell)
            letter = DeadLetter(ref, message, DeadLetterReason(reason))
            self.dead_letters.publish(letter)
            if not isinstance(message, DeadLetter):  # or a full subscriber would make one letter of another
                self.events.publish(letter)

    def timed_out(self, reply: Reply) -> BaseException:
        asked = "the actor asked" if reply.cell is None else reply.cell.path()
        return AskTimedOut(f"no answer from {asked} to {type_name(reply.message)} in time; it may still be working")

    # looking

    def counters(self) -> Counters:
        """Of the whole system."""
        counters = self.own_counters() if self.crew is None else self.crew.counters()
        if self.events.dropped:  # of all threads together
            return dataclasses.replace(counters, events_dropped={"mailbox_full": self.events.dropped})
        return counters

    def actor_snapshots(self) -> tuple[ActorSnapshot, ...]:
        return self.own_actor_snapshots() if self.crew is None else self.crew.actor_snapshots()

    def scheduler_snapshot(self, thread: str, *, takes_turns: bool) -> SchedulerSnapshot:
        inbox = self.scheduler.inbox
        assert inbox is not None, "only a system that uses threads has several"
        in_flight, *_, turns = inbox.seen()
        return SchedulerSnapshot(
            thread=thread,
            actors=self.spawner.actors - len(self.stand_ins),
            turns=turns,
            in_flight=in_flight,
            takes_turns=takes_turns,
        )

    def is_here(self) -> bool:
        """Whether what this scheduler's actors have may be looked at from the running thread."""
        return self.scheduler.inbox is None or self.scheduler.thread == threading.get_ident()

    def own_counters(self) -> Counters:
        """Of this scheduler: from its own thread as they are, from others as its last turn left them."""
        scheduler = self.scheduler
        if self.is_here():
            waiting = 0
            for cell in self.cells():
                waiting += queued(cell)
                if cell.mailbox is not None:
                    waiting += len(cell.mailbox.control or ()) + cell.mailbox.urgent_count()
                if cell.extras is not None and cell.extras.stash:
                    waiting += len(cell.extras.stash)
            in_flight = 0 if scheduler.inbox is None else scheduler.inbox.in_flight()
            sent, taken = scheduler.sent, scheduler.taken
            handled = scheduler.handled + scheduler.given_in_hand()
            lost, late_replies = scheduler.lost, scheduler.late_replies
        else:
            assert scheduler.inbox is not None, "it is not here"
            in_flight, sent, taken, handled, lost, dead, late_replies, _ = scheduler.inbox.seen()
            waiting = sent - dead - taken  # nobody but its own thread may walk its actors
        return Counters(
            sent=sent + in_flight,
            handled=handled,
            lost=lost,
            queued=waiting,
            handling=taken - handled - lost,
            refused=self._refused,
            late_replies=late_replies,
            dead_letters=dict(self._dead_by_reason),
            actors=self.spawner.actors - len(self.stand_ins),
            restarts=self._restarts,
            failures=self._failures,
            in_flight=in_flight,
        )

    def own_actor_snapshots(self) -> tuple[ActorSnapshot, ...]:
        return tuple(_snapshot(cell) for cell in self.cells() if cell.parent is not None and cell not in self.stand_ins)

    def cells(self) -> list[Cell]:
        """All living cells, parents before children, the first started first."""
        found: list[Cell] = []
        left = [self.root]
        while left:
            cell = left.pop()
            found.append(cell)
            left.extend(cell.children())
        return found


def _snapshot(cell: Cell) -> ActorSnapshot:
    extras, stats = cell.extras, cell.stats
    recipe = cell.recipe[0] if type(cell.recipe) is tuple else cell.recipe
    is_restarting = cell.state == STOPPING and extras.is_restarting
    return ActorSnapshot(
        path=cell.path(),
        state="restarting" if is_restarting else STATE_NAMES[cell.state],
        queued=queued(cell),
        run_time_us=cell.virtual_ns // 1000,
        actor_class=recipe.__qualname__,
        stashed=0 if extras is None else len(extras.stash or ()),
        restarts=0 if extras is None or extras.comeback is None else extras.comeback.restarts,
        metrics=None
        if stats is None
        else ActorMetrics(
            handled=stats.handled,
            slices=stats.slices,
            run_time_us=stats.run_ns // 1000,
            queued_peak=stats.peak(),
            waits_log2=tuple(stats.waits),
        ),
        weight=cell.weight / 100 if cell.weight else 1.0,
    )


def type_name(message: Any) -> str:
    return type(message.message if type(message) is Given else message).__name__


def shown(error: BaseException) -> str:
    """`repr`, which may be an actor's own code and fail: no reason to fail supervision as well."""
    try:
        return repr(error)
    except Exception:
        return f"{type_name(error)} (it cannot be shown: its repr fails)"


def stopped(cell: Cell) -> ActorStopped:
    return ActorStopped(f"{cell.path()} has stopped; nobody will answer")


def error_of(cell: Cell, message: Any, reason: str) -> BaseException:
    """What the asker hears of a question that became a dead letter."""
    path = cell.path()
    match reason:
        case "stopped":
            return stopped(cell)
        case "unhandled":
            return UnhandledMessage(f"{path} has no handler for {type_name(message)}; see what its class handles")
        case "no_routee":
            return NoRoutee(f"router {path} has no living routee with room for {type_name(message)}")
        case _:
            limit = cell.settings.messages_max
            return AskDropped(f"mailbox of {path} is full ({limit} messages) and dropped the question")


def mailbox_full(cell: Cell, *, is_urgent: bool = False) -> MailboxFull:
    if is_urgent:
        limit = cell.settings.urgent_max
        return MailboxFull(
            f"{cell.path()} has {limit} urgent messages that wait; use `tell` for what can wait, or raise urgent_max",
            path=cell.path(),
            messages_max=limit,
        )
    limit = cell.settings.messages_max
    return MailboxFull(
        f"mailbox of {cell.path()} is full ({limit} messages); slow the sender, `await ref.send(...)`, "
        "or raise messages_max",
        path=cell.path(),
        messages_max=limit,
    )


def is_overridden(actor_class: type[Any], hook: str) -> bool:
    """Whether the class has a hook of its own; those of `Actor` need no turn."""
    return not hasattr(getattr(actor_class, hook), "is_hook_of_base")


def is_cancellation(error: BaseException) -> bool:
    """Whether this is asyncio's CancelledError, which this room's decisions do not import."""
    return type(error).__name__ == "CancelledError"
