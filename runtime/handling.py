"""What an actor may do with the message in hand: answer later, pass on, put aside, refuse; and change what handles it.

A message that is put aside, passed on with its question, or refused leaves the
handler's account: it counts where it is then, as queued or as a dead letter.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from .belongings import belongings_of
from .core.cell import STOPPED, Cell
from .core.mailbox import Overflow
from .core.reply import FAILED, Reply
from .errors import ActorStopped, BehaviourLimit, NotHandlingAsk, NotInHand, StashFull
from .ground import Ground, error_of, stopped, type_name

__all__ = ["Handling"]

_BEHAVIOURS_MAX = 64  # stacked; more are a `become` in a loop


class Handling(Ground):
    """The account of the message in hand."""

    # answers

    def take_reply(self, cell: Cell) -> Reply:
        reply = cell.reply
        if reply is None:
            raise NotHandlingAsk(
                f"{cell.path()} is not handling an ask; it came by tell, or its reply was taken before"
            )
        cell.reply = None
        return reply

    def refuse_answer(self, cell: Cell) -> None:
        reply = cell.reply
        if reply is not None:
            cell.reply = None
            self.scheduler.settle(reply, FAILED, stopped(cell))

    def forward(self, cell: Cell, target: Cell, message: Any) -> None:
        reply = cell.reply
        theirs = self.afar(target)
        there = self.scheduler if target.handle is None else target.handle.scheduler
        if reply is None:
            there.post(target, message)  # counted where it is handled, which may be another system on this loop
            return
        if theirs is not None:
            theirs.inbox.forward(target, message, reply)
            cell.reply = None
            return
        before = (reply.cell, reply.message)
        reply.cell, reply.message, reply.is_question = target, message, True
        cell.reply = None
        try:
            if there.is_full(target) and target.settings.overflow == Overflow.WAIT:
                there.post_or_wait(target, reply, reply)
            else:
                there.post(target, reply)
        except BaseException:  # refused: the question is still this actor's
            reply.cell, reply.message = before
            reply.is_question = False
            cell.reply = reply
            raise

    def unhandled(self, cell: Cell, message: Any, reason: str = "unhandled") -> None:
        if not self.scheduler.give_away(cell, message):
            raise _not_in_hand(cell, message, "refuse")
        self.scheduler.bury(cell, self._with_question(cell, message), reason)

    def nobody_for(self, cell: Cell, message: Any, reason: str) -> None:
        """A router found nobody for the message in hand, or for what a subclass made of it."""
        if self.scheduler.give_away(cell, message):
            self.scheduler.bury(cell, self._with_question(cell, message), reason)
            return
        reply, cell.reply = cell.reply, None
        if reply is not None:
            self.scheduler.settle(reply, FAILED, error_of(cell, message, reason))
        self.undelivered(cell, message, reason)

    def undelivered(self, target: Cell, message: Any, reason: str) -> None:
        """Count as sent, and as a dead letter, what a full mailbox refused and nobody is told of."""
        self.scheduler.sent += 1
        self.scheduler.bury(target, message, reason)

    # the stash

    def stash(self, cell: Cell, message: Any) -> None:
        if cell.state == STOPPED:
            raise ActorStopped(f"{cell.path()} has stopped and can put nothing aside")
        belongings = belongings_of(cell)
        if belongings.stash is None:
            belongings.stash = deque()
        limit = cell.settings.stash_max
        if len(belongings.stash) >= limit:
            raise StashFull(f"{cell.path()} has put {limit} messages aside; unstash them, or raise stash_max")
        if not self.scheduler.give_away(cell, message):
            raise _not_in_hand(cell, message, "put aside")
        belongings.stash.append(self._with_question(cell, message))

    def unstash(self, cell: Cell) -> int:
        items = self.take_stash(cell)
        for item in reversed(items):
            self.scheduler.put_back(cell, item)
        return len(items)

    def take_stash(self, cell: Cell) -> list[Any]:
        """All that was put aside, oldest first, taken out."""
        if cell.extras is None or not cell.extras.stash:
            return []
        items = list(cell.extras.stash)
        cell.extras.stash = None
        return items

    def _with_question(self, cell: Cell, message: Any) -> Any:
        """The message as it was in the mailbox: in its Reply, if it was a question that nobody has answered."""
        reply = cell.reply
        if reply is None:
            return message
        cell.reply = None
        reply.message = message
        reply.is_question = True
        return reply

    # behaviours

    def become(self, cell: Cell, behaviour: Callable[[Any], Any], *, stacked: bool) -> None:
        belongings = belongings_of(cell)
        if belongings.behaviours is None:
            belongings.behaviours = []
        if stacked:
            if len(belongings.behaviours) >= _BEHAVIOURS_MAX:
                raise BehaviourLimit(
                    f"{cell.path()} has {_BEHAVIOURS_MAX} behaviours stacked; unbecome some, or become without stacked"
                )
            belongings.behaviours.append(cell.function)
        function = getattr(behaviour, "__func__", None)
        if function is None or getattr(behaviour, "__self__", None) is not cell.actor:
            function = lambda _actor, message: behaviour(message)  # noqa: E731, a method needs no step in between
        cell.function = self.handler_function(cell, function)

    def unbecome(self, cell: Cell) -> None:
        behaviours = belongings_of(cell).behaviours
        if behaviours:
            cell.function = behaviours.pop()
        elif cell.actor is not None:
            cell.function = self.handler_function(cell, type(cell.actor).receive)

    def handler_function(self, cell: Cell, function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """What the scheduler is to call: the function, or what an observer made of it."""
        return function if self.instrument is None else self.instrument(cell, function)


def _not_in_hand(cell: Cell, message: Any, what: str) -> NotInHand:
    return NotInHand(
        f"{cell.path()} cannot {what} this {type_name(message)}: it is not the message being handled, or was given "
        "away before; give the very message that came, once"
    )
