"""What becomes of failures: who restarts, with whom, when; `supervision.py` decides, this carries out.

A restart of several siblings is a walk of its own (`GroupRestart`), driven by
signals to their parent: each of a child that has ended, has started, or is no
more.  A child that has ended and waits, for its turn or for its back-off, is
parked: messages wait in its mailbox, and a stop ends it at once.
"""

from __future__ import annotations

import zlib
from typing import Any

from .belongings import Belongings, belongings_of, comeback_of
from .core.birth import unroot
from .core.cell import RUNNING, STARTING, STOPPED, STOPPING, SUSPENDED, Cell
from .core.reply import FAILED
from .ending import Ending
from .errors import HandlerFailed
from .ground import is_cancellation, shown, type_name
from .messages import StopReason
from .supervision import (
    Directive,
    GroupRestart,
    Restart,
    RestartHistory,
    Strategy,
    Supervision,
    affected_siblings,
    decide,
)

__all__ = ["Failing"]


class Failing(Ending):
    """Supervises: every failure comes here once."""

    def start_again(self, cell: Cell) -> None:
        """Make the next instance."""
        raise NotImplementedError

    def stop_self(self, cell: Cell) -> None:
        if cell.state != STOPPED:
            self.scheduler.signal(cell, (_on_stop_self_signal, None))

    def failed(self, cell: Cell, error: BaseException, message: Any) -> None:
        state = cell.state
        if state == STOPPING:
            self._failed_while_ending(cell, error)
            return
        where = "on_start"
        if state in (RUNNING, SUSPENDED):
            where = "receive"
            cell.state = RUNNING  # the handler has ended: the end need not cancel it
            self.scheduler.cut_short(cell, is_handled=False)
            reply = cell.reply
            if reply is not None:
                cell.reply = None
                failure = HandlerFailed(f"{cell.path()} failed on {type_name(message)}: {shown(error)}")
                failure.__cause__ = error
                self.scheduler.settle(reply, FAILED, failure)
        cell.message = None
        self.supervise(cell, error, where, type_name(message) if where == "receive" else "")

    def _failed_while_ending(self, cell: Cell, error: BaseException) -> None:
        belongings = belongings_of(cell)
        if belongings.is_in_handler:
            belongings.is_in_handler = False
            self.scheduler.cut_short(cell, is_handled=False)
            self.refuse_answer(cell)
            if not is_cancellation(error):
                self.report(cell, error, "receive", type_name(cell.message), Directive.STOP)
            cell.message = None
        elif not belongings.is_stop_hook_done:
            if not is_cancellation(error):
                self.report(cell, error, "on_start", "", Directive.STOP)
        else:
            self.report(cell, error, "on_stop", "", Directive.STOP)
        self.go_on_ending(cell)

    def supervise(self, cell: Cell, error: BaseException, where: str, message_type: str) -> None:
        directive = self.decide(cell, failed=True)
        if isinstance(error, KeyboardInterrupt):
            directive = Directive.STOP  # the system ends: nothing is to start again
        self.report(cell, error, where, message_type, directive)
        self.carry_out(cell, directive, error)

    def decide(self, cell: Cell, *, failed: bool) -> Directive:
        """What to do about an actor that ended by itself."""
        parent = cell.parent
        if parent is None or parent.state not in (RUNNING, SUSPENDED, STARTING) or self.root.state != RUNNING:
            return Directive.STOP
        restart = restart_of(cell)
        supervisor = belongings_of(parent)
        if supervisor.group is not None and supervisor.group.will_end(cell):
            return Directive.STOP if restart is Restart.TEMPORARY else Directive.RESTART
        supervision = self._supervision_of(parent)
        if supervision.per_child:
            history = comeback_of(cell).history
        else:
            if supervisor.children_history is None:
                supervisor.children_history = RestartHistory()
            history = supervisor.children_history
        return decide(restart, supervision, history, self.now_us(), failed=failed)

    def carry_out(self, cell: Cell, directive: Directive, error: BaseException | None) -> None:
        belongings = belongings_of(cell)
        belongings.error = error
        belongings.is_escalating = directive is Directive.ESCALATE
        parent = cell.parent
        if directive is Directive.RESTART and parent is not None:
            self._restart(cell, parent)
        else:
            if directive is Directive.ESCALATE and parent is not None and parent.actor is not None:
                self._drop_group(parent)  # the parent will end them all
            self.begin_end(cell, StopReason.STOPPED if error is None else StopReason.FAILED)

    # restarts

    def _restart(self, cell: Cell, parent: Cell) -> None:
        supervision = self._supervision_of(parent)
        supervisor = belongings_of(parent)
        old = supervisor.group
        if old is not None and old.will_end(cell):  # it only goes ahead of its turn
            self.begin_end(cell, StopReason.RESTARTED, restarting=True)
            return
        comeback = comeback_of(cell)
        delay_us = 0
        if supervision.backoff is not None:
            now_us = self.now_us()
            comeback.attempt = supervision.backoff.attempt(comeback.attempt, now_us - comeback.started_us)
            delay_us = supervision.backoff.delay_us(comeback.attempt, zlib.crc32(cell.path().encode()))
        if supervision.strategy is Strategy.ONE_FOR_ONE:
            comeback.delay_us = delay_us
        else:
            children = [child for child in reversed(parent.children()) if _is_to_go_on(child)]
            members = affected_siblings(supervision.strategy, children, cell)
            if old is not None:  # what it has not started yet, the new one starts
                chosen = set(members)
                members = [child for child in children if child in chosen or old.is_parked(child)]
            self._drop_group(parent)
            supervisor.group = GroupRestart(members, cell, delay_us, belongings_of(cell).error)
        self.begin_end(cell, StopReason.RESTARTED, restarting=True)

    def ended_to_restart(self, cell: Cell, belongings: Belongings) -> None:
        parent = cell.parent
        assert parent is not None, "the root is never restarted"
        group = None if parent.extras is None else parent.extras.group
        if group is not None and group.is_parked(cell):
            self.scheduler.signal(parent, (_on_group_signal, cell))
            return
        comeback = comeback_of(cell)
        if comeback.delay_us == 0:
            self._begin_again(cell)
            return
        comeback.timer = self.scheduler.timers.set(self.now_us() + comeback.delay_us, lambda: self._begin_again(cell))
        self.scheduler.need_turn()

    def _begin_again(self, cell: Cell) -> None:
        comeback = comeback_of(cell)
        comeback.restarts += 1
        comeback.started_us = self.now_us()
        comeback.delay_us = 0
        comeback.timer = None
        self._restarts += 1
        belongings_of(cell).begin_instance()
        self.forget_watches(cell)
        unroot(cell)
        cell.state = STARTING
        self.start_again(cell)

    # groups

    def has_started(self, cell: Cell) -> None:
        """An instance is through its `on_start`."""
        parent = cell.parent
        if parent is not None and parent.extras is not None and parent.extras.group is not None:
            self.scheduler.signal(parent, (_on_group_signal, cell))

    def left(self, cell: Cell, parent: Cell) -> None:
        group = None if parent.extras is None else parent.extras.group
        if group is not None:
            group.leave(cell)
            self.scheduler.signal(parent, (_on_group_signal, cell))

    def go_on_with_group(self, parent: Cell, cell: Cell | None) -> None:
        """`cell`, the group's current one, has ended, started, or is gone; None: the back-off is over."""
        supervisor = belongings_of(parent)
        group = supervisor.group
        while group is not None and group.current is cell:
            group.advance()
            cell = group.current
            if group.phase == "waiting":
                if group.delay_us > 0:
                    deadline_us = self.now_us() + group.delay_us
                    supervisor.group_timer = self.scheduler.timers.set(
                        deadline_us, lambda: self.go_on_with_group(parent, None)
                    )
                    self.scheduler.need_turn()
                    return
            elif cell is None:
                self._drop_group(parent)
                return
            elif group.phase == "starting":
                self._begin_again(cell)
                return
            elif cell.state != STOPPING:
                self._end_with_sibling(cell, group)
                return
            elif not cell.extras.is_parked:
                return  # it is ending already

    def _end_with_sibling(self, cell: Cell, group: GroupRestart[Cell]) -> None:
        if restart_of(cell) is Restart.TEMPORARY:
            self.begin_end(cell, StopReason.SIBLING)
        else:
            belongings_of(cell).error = group.error
            self.begin_end(cell, StopReason.RESTARTED, restarting=True)

    def _drop_group(self, parent: Cell) -> None:
        supervisor = belongings_of(parent)
        supervisor.group = None
        if supervisor.group_timer is not None:
            self.scheduler.timers.cancel(supervisor.group_timer)
            supervisor.group_timer = None

    def _supervision_of(self, parent: Cell) -> Supervision:
        supervision: Supervision = self._supervision if parent.actor is None else parent.actor.supervision
        return supervision


def restart_of(cell: Cell) -> Restart:
    """As given at `spawn`."""
    restart: Restart = cell.recipe[3] if type(cell.recipe) is tuple else Restart.TRANSIENT
    return restart


def _is_to_go_on(cell: Cell) -> bool:
    """Whether the cell lives, or is to live again."""
    return cell.state != STOPPING or bool(cell.extras.is_restarting)


def _on_stop_self_signal(failing: Failing, cell: Cell, _: Any) -> None:
    if cell.state != STOPPING:
        failing.carry_out(cell, failing.decide(cell, failed=False), None)


def _on_group_signal(failing: Failing, parent: Cell, cell: Cell) -> None:
    if parent.state != STOPPING:
        failing.go_on_with_group(parent, cell)
