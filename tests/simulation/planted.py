"""Bugs to be found: each is one change to the runtime that a person could have made.

A bug is a name, a file under runtime/, the text that is right (it stands there
once), and what takes its place.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["BUGS", "Bug"]


class Bug(NamedTuple):
    name: str
    file: str
    right: str
    wrong: str


BUGS = (
    Bug(
        "a ring that grew is copied as it lay",
        "core/mailbox.py",
        "ring[i] = old[(self._head + i) & (self._capacity - 1)]",
        "ring[i] = old[i]",
    ),
    Bug(
        "one message too many fits in", "core/mailbox.py", "if self.count >= self.limit:", "if self.count > self.limit:"
    ),
    Bug(
        "the last message after a slice wakes nobody",
        "core/scheduler.py",
        "if box.count > 0 or box.is_passed:\n                self.ready(cell)",
        "if box.count > 1 or box.is_passed:\n                self.ready(cell)",
    ),
    Bug(
        "an urgent message passes those before it",
        "core/mailbox.py",
        "self.urgent.append(item)",
        "self.urgent.appendleft(item)",
    ),
    Bug(
        "an urgent message behind one of the runtime's is not seen",
        "core/mailbox.py",
        "self.is_passed = self.urgent is not None",
        "self.is_passed = False",
    ),
    Bug(
        "an answer that comes late replaces the time-out",
        "core/scheduler.py",
        "if reply.state != _WAITING:\n            if state",
        "if reply.state == _ABANDONED:\n            if state",
    ),
    Bug(
        "an answered ask leaves its time-out behind",
        "core/scheduler.py",
        "self.timers.cancel(reply.timer)",
        "reply.timer.is_set()",
    ),
    Bug(
        "a send that was given up is delivered",
        "core/scheduler.py",
        "if reply.state != _WAITING:\n                continue",
        "if reply is None:\n                continue",
    ),
    Bug(
        "what was dropped is said to be the message that came",
        "core/scheduler.py",
        'self.bury(cell, oldest, "dropped_oldest")',
        'self.bury(cell, item, "dropped_oldest")',
    ),
    Bug(
        "a continuation that went on once cannot be woken again",
        "core/scheduler.py",
        "cell.is_resumable = False\n        continuation = cell.continuation",
        "continuation = cell.continuation",
    ),
    Bug(
        "time-outs end at half their time",
        "core/scheduler.py",
        "self.timers.set(now_us + timeout_us, reply)",
        "self.timers.set(now_us + timeout_us // 2, reply)",
    ),
    Bug(
        "a question whose time is up is handled as None",
        "core/scheduler.py",
        "if not reply.is_question:  # else",
        "if True:  # else",
    ),
    Bug(
        "a deadline comes before its time",
        "core/timers.py",
        "if first.deadline_us > now_us:",
        "if first.deadline_us > now_us + 3:",
    ),
    Bug(
        "a cancelled timer leaves the heap in disorder",
        "core/timers.py",
        "if last._place == place:",
        "if last._place < 0:",
    ),
    Bug(
        "dead letters of one reason count as one",
        "ground.py",
        "self._dead_by_reason.get(reason, 0) + 1",
        "1",
    ),
    Bug(
        "who asked an actor that was stopped is not told",
        "handling.py",
        "cell.reply = None\n            self.scheduler.settle(reply, FAILED, stopped(cell))",
        "cell.reply = None",
    ),
    Bug(
        "watching an actor that has stopped waits for ever",
        "keeping.py",
        "if watched.state == STOPPED:",
        "if watched.state > STOPPED:",
    ),
    Bug(
        "a timer that is replaced fires too",
        "keeping.py",
        "self.cancel_timer(cell, key)\n        belongings",
        "belongings",
    ),
    Bug(
        "timers outlive the instance that set them",
        "ending.py",
        "self.cancel_timers(belongings)\n        if not belongings.is_stop_hook_done",
        "if not belongings.is_stop_hook_done",
    ),
    Bug(
        "only one message of a stopped actor's mailbox is accounted for",
        "ending.py",
        "while box.has_messages():",
        "if box.has_messages():",
    ),
    Bug(
        "a name stays taken after the end",
        "ending.py",
        "self.registry.remove(cell.path())",
        "cell.path()",
    ),
    Bug(
        "a parent does not wait for children that are stopping",
        "ending.py",
        "if child is not None:\n            is_whole",
        "if child is not None and child.state != STOPPING:\n            is_whole",
    ),
    Bug(
        "children stop in the order they started",
        "ending.py",
        "child = cell.last_child\n        if child is not None:",
        "child = (cell.children() or [None])[-1]\n        if child is not None:",
    ),
    Bug(
        "an asker is not told that the handler failed",
        "failing.py",
        "self.scheduler.settle(reply, FAILED, failure)",
        "reply.done()",
    ),
    Bug(
        "the message of a crashing handler is not accounted for",
        "failing.py",
        'where = "receive"\n            cell.state = RUNNING  # the handler has ended: the end need not cancel it\n'
        "            self.scheduler.cut_short(cell, is_handled=False)",
        'where = "receive"\n            cell.state = RUNNING',
    ),
    Bug(
        "a stop is forgotten when it meets a restart",
        "ending.py",
        "if cell.extras.is_restarting and not restarting:",
        "if not cell.extras.is_restarting and not restarting:",
    ),
    Bug(
        "senders that wait for room are not told of the end",
        "ending.py",
        "for _item, reply in waiting or ():",
        "for _item, reply in ():",
    ),
    Bug(
        "the stop hook does not wait for tasks",
        "ending.py",
        "task.cancel()\n            return\n        self",
        "task.cancel()\n        self",
    ),
    Bug(
        "a task's error is not the actor's",
        "life.py",
        "self.scheduler.signal(cell, (_on_task_failed_signal, error))",
        "cell.path()",
    ),
    Bug(
        "of signals that come together only the first counts",
        "life.py",
        "for action, value in signals or ():",
        "for action, value in list(signals or ())[:1]:",
    ),
    Bug(
        "one restart too many within the period",
        "supervision.py",
        ">= supervision.restarts_max:",
        "> supervision.restarts_max:",
    ),
    Bug(
        "what was put aside comes back in the wrong order",
        "handling.py",
        "for item in reversed(items):",
        "for item in items:",
    ),
    Bug(
        "what was put aside is forgotten at the end",
        "ending.py",
        "for item in self.take_stash(cell):",
        "for item in self.take_stash(cell)[1:]:",
    ),
    Bug(
        "a forwarded question arrives as its reply",
        "handling.py",
        "reply.is_question = target, message, True",
        "reply.is_question = target, message, False",
    ),
    Bug(
        "who is linked with an actor that stops lives on",
        "ending.py",
        "self.stop(other, StopReason.LINKED)",
        "other.path()",
    ),
    Bug(
        "siblings that were to restart together do not",
        "failing.py",
        "members = affected_siblings(supervision.strategy, children, cell)",
        "members = [cell]",
    ),
    Bug(
        "a restart does not back off",
        "failing.py",
        "comeback.delay_us = delay_us",
        "comeback.delay_us = 0",
    ),
)
