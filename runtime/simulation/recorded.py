"""Refs, fibers and the life-cycle of a simulated system: as the real ones, and each tells the recorder.

Everything is hung on the seams that the runtime has anyway: a ref's methods, the
function that a cell calls with each message, the host's callbacks.  What is not
simulated pays nothing for it.  Faults strike here, where the thing they spoil
would have happened.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from types import GeneratorType
from typing import TYPE_CHECKING, Any

from shoal.runtime.core.cell import Cell
from shoal.runtime.core.mailbox import Overflow
from shoal.runtime.core.reply import Reply
from shoal.runtime.core.timers import Timer
from shoal.runtime.errors import MailboxFull
from shoal.runtime.life import Life
from shoal.runtime.messages import StopReason
from shoal.runtime.ref import ActorRef
from shoal.runtime.supervision import Directive

from .choosers import RandomChooser
from .recording import Recorder, describe

if TYPE_CHECKING:
    from shoal.runtime.core.host import Fiber

__all__ = ["RecordedLife"]


class _RecordedRef(ActorRef[Any]):
    """A ref that notes what goes through it."""

    __slots__ = ()

    if not TYPE_CHECKING:

        def tell(self, message: Any) -> None:
            life = self.scheduler.host
            life.before_send(self.cell, message)
            try:
                super().tell(message)
            except MailboxFull:
                life.recorder.unsend(self.cell)
                raise
            life.after_send(self.cell, message)

        def ask(self, message: Any, *, timeout_s: float = 5.0) -> Reply:
            life = self.scheduler.host
            life.before_send(self.cell, message, may_wait=self.cell.settings.overflow == Overflow.WAIT)
            try:
                reply = super().ask(message, timeout_s=timeout_s)
            except MailboxFull:
                life.recorder.unsend(self.cell)
                raise
            life.after_send(self.cell, message)
            life.recorder.asked(reply, life.now_us(), int(timeout_s * 1e6))
            return reply

        def tell_urgent(self, message: Any) -> None:
            life = self.scheduler.host
            life.before_send(self.cell, message, is_urgent=True)
            try:
                super().tell_urgent(message)
            except MailboxFull:
                life.recorder.unsend(self.cell, is_urgent=True)
                raise
            life.after_send(self.cell, message, " urgent")

        def ask_urgent(self, message: Any, *, timeout_s: float = 5.0) -> Reply:
            life = self.scheduler.host
            life.before_send(self.cell, message, is_urgent=True)
            try:
                reply = super().ask_urgent(message, timeout_s=timeout_s)
            except MailboxFull:
                life.recorder.unsend(self.cell, is_urgent=True)
                raise
            life.after_send(self.cell, message, " urgent")
            life.recorder.asked(reply, life.now_us(), int(timeout_s * 1e6))
            return reply

        async def send(self, message: Any) -> None:
            life = self.scheduler.host
            life.recorder.sent(self.cell, message, is_certain=False)
            life.after_send(self.cell, message)
            await super().send(message)


class _RecordedFiber:
    """A fiber that says whose it is while it runs."""

    __slots__ = ("_cell", "_fiber", "_recorder")

    def __init__(self, fiber: Fiber, cell: Cell, recorder: Recorder) -> None:
        self._fiber = fiber
        self._cell = cell
        self._recorder = recorder

    @property
    def value(self) -> Any:
        return self._fiber.value

    @value.setter
    def value(self, value: Any) -> None:
        self._fiber.value = value

    def begin(self, coroutine: Any) -> None:
        self._fiber.begin(coroutine)

    def step(self) -> bool:
        self._recorder.current = self._cell
        try:
            is_over = self._fiber.step()
        except BaseException:
            self._recorder.in_handler.discard(self._cell)
            raise
        finally:
            self._recorder.current = None
        if is_over:
            self._recorder.in_handler.discard(self._cell)
        return is_over

    def cancel(self, msg: object = None) -> bool:
        return self._fiber.cancel(msg)

    def abandon(self) -> None:
        self._fiber.abandon()  # type: ignore[attr-defined]  # drivers' fibers have it
        self._recorder.in_handler.discard(self._cell)


class RecordedLife(Life):
    """A life-cycle that notes what it does, and lets faults strike."""

    _ref_class = _RecordedRef
    recorder: Recorder  # set by the simulation before the system starts

    def note(self, what: str, cell: Cell, rest: str = "") -> None:
        recorder = self.recorder
        now_us = self._driver.now_us() if self._driver is not None else 0
        recorder.events.append((now_us, what, recorder.path(cell), rest))

    # messages

    def before_send(self, cell: Cell, message: Any, *, may_wait: bool = False, is_urgent: bool = False) -> None:
        """A fault may say that there is no room."""
        if self.recorder.injector is not None and cell.is_open and self._fault("full", cell, message) is not None:
            self.refused(cell, is_urgent=is_urgent)
        self.recorder.sent(cell, message, is_certain=not may_wait, is_urgent=is_urgent)

    def after_send(self, cell: Cell, message: Any, how: str = "") -> None:
        if cell.is_open:
            recorder = self.recorder
            box = cell.mailbox
            if box is not None and box.count > cell.settings.messages_max and cell not in recorder.unstashed:
                recorder.violations.append(
                    f"the mailbox of {recorder.path(cell)} holds {box.count} messages; its limit is "
                    f"{cell.settings.messages_max}"
                )
            sender = "/" if recorder.current is None else recorder.path(recorder.current)
            recorder.events.append(
                (self.now_us(), "deliver", sender, f"-> {recorder.path(cell)} {describe(message)}{how}")
            )

    def dead_letter(self, cell: Cell, item: Any, reason: str) -> None:
        message = item.message if isinstance(item, Reply) and item.is_question else item
        self.note("dead_letter", cell, f"{describe(message)} {reason}")
        if reason in ("dropped_newest", "timer_refused"):
            self.recorder.turned_away(cell, message)
        elif reason in ("stopped", "dropped_oldest"):  # others have left the mailbox before
            self.recorder.taken_out(cell, message, is_handled=False)
        super().dead_letter(cell, item, reason)

    def refused(self, cell: Cell, *, is_urgent: bool = False) -> None:
        self.note("refused", cell)
        super().refused(cell, is_urgent=is_urgent)

    def timed_out(self, reply: Reply) -> BaseException:
        if reply.cell is not None:
            self.note("timeout", reply.cell, describe(reply.message))
        if reply.timer is not None:
            self.recorder.due(reply.timer.deadline_us, self.scheduler.now_us)
        return super().timed_out(reply)

    def forward(self, cell: Cell, target: Cell, message: Any) -> None:
        self.before_send(target, message, may_wait=cell.reply is not None)
        try:
            super().forward(cell, target, message)
        except MailboxFull:
            self.recorder.unsend(target)
            raise
        self.after_send(target, message)

    def unstash(self, cell: Cell) -> int:
        self.recorder.unstashed.add(cell)
        return super().unstash(cell)

    # handlers

    def spawn(self, *args: Any, weight: int = 0, **options: Any) -> ActorRef[Any]:
        if weight and isinstance(self.scheduler.chooser, RandomChooser):
            self.scheduler.chooser.has_weights = True
        return super().spawn(*args, weight=weight, **options)

    def _make(self, cell: Cell) -> Any:
        recorder = self.recorder
        is_first = cell not in recorder.paths
        recipe = cell.recipe
        name = (recipe[0] if type(recipe) is tuple else recipe).__name__
        self.note("spawn" if is_first else "restart", cell, name)
        before, recorder.current = recorder.current, cell
        try:
            return super()._make(cell)
        finally:
            recorder.current = before

    def handler_function(self, cell: Cell, function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        receive = super().handler_function(cell, function)
        recorder = self.recorder
        in_handler = recorder.in_handler
        path = recorder.path(cell)
        events = recorder.events
        cost_us = recorder.cost_us
        spend_us = recorder.spend_us

        def handle(actor: Any, message: Any) -> Any:
            if cell in in_handler:
                recorder.violations.append(f"{path} handles {describe(message)} while another message is in mid-way")
            events.append((self.now_us(), "handle", path, describe(message)))
            recorder.taken_out(cell, message, is_handled=True)
            spend_us(cost_us if type(cost_us) is int else cost_us(actor, message))  # type: ignore[operator]
            if recorder.injector is not None:
                self._strike(cell, message)
            recorder.current = cell
            try:
                result = receive(actor, message)
            finally:
                recorder.current = None
            if type(result) is GeneratorType:
                in_handler.add(cell)
                return self._stepped(cell, result)
            if hasattr(result, "cr_frame"):
                in_handler.add(cell)
            return result

        return handle

    def _stepped(self, cell: Cell, steps: Generator[Any, None, Any]) -> Generator[Any, None, Any]:
        recorder = self.recorder
        try:
            while True:
                recorder.current = cell
                try:
                    next(steps)
                except StopIteration as stop:
                    return stop.value
                finally:
                    recorder.current = None
                yield
        finally:
            steps.close()
            recorder.in_handler.discard(cell)

    def fiber(self, cell: Cell) -> Any:
        return _RecordedFiber(super().fiber(cell), cell, self.recorder)

    # life

    def signalled(self, cell: Cell) -> None:
        self.recorder.current = cell
        try:
            super().signalled(cell)
        finally:
            self.recorder.current = None

    def report(self, cell: Cell, error: BaseException, where: str, message_type: str, directive: Directive) -> None:
        self.note("crash", cell, f"{where} {type(error).__name__} {directive.value}")
        super().report(cell, error, where, message_type, directive)

    def _is_bare(self, cell: Cell) -> bool:
        """No: the trace says why each of them ended."""
        return False

    def _end(self, cell: Cell) -> None:
        reason = cell.extras.reason if cell.extras is not None else StopReason.STOPPED
        self.note("stop", cell, reason.value)
        if cell.children():
            self.recorder.violations.append(f"{self.recorder.path(cell)} stopped before its children")
        super()._end(cell)

    # timers

    def fired(self, timer: Timer) -> None:
        cell = timer.target
        if not isinstance(cell, Cell):
            super().fired(timer)
            return
        key, message = timer.key, timer.payload
        now_us = self.scheduler.now_us
        self.recorder.due(timer.deadline_us, now_us)
        if timer in self.recorder.delayed:
            self.recorder.delayed.discard(timer)
        elif self.recorder.injector is not None:
            late = self._fault("late_timer", cell, message)
            if late is not None:
                self.recorder.delayed.add(timer)
                timer.deadline_us = now_us + max(late.amount_us, 1)
                self.scheduler.timers.put(timer)
                return
            if self._fault("lose_timer", cell, message) is not None:
                if timer.interval_us > 0:
                    timer.deadline_us += timer.interval_us
                    self.scheduler.timers.put(timer)
                else:
                    cell.extras.timers.pop(key, None)
                return
        self.note("timer", cell, describe(key))
        self.recorder.sent(cell, message, is_certain=True)
        super().fired(timer)

    # faults

    def _strike(self, cell: Cell, message: Any) -> None:
        slow = self._fault("slow", cell, message)
        if slow is not None:
            self.recorder.spend_us(slow.amount_us)
        crash = self._fault("crash", cell, message)
        if crash is not None:
            raise crash.error()

    def _fault(self, kind: Any, cell: Cell, message: Any) -> Any:
        injector = self.recorder.injector
        if injector is None:
            return None
        recipe = cell.recipe
        actor_class = recipe[0] if type(recipe) is tuple else recipe
        rule = injector.find(kind, self.recorder.path(cell), actor_class or object, message)
        if rule is not None:
            self.note("fault", cell, kind)
        return rule
