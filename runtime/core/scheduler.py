"""Who runs next, and for how long.

`turn(budget_us, now_us)` is the one place where messages leave mailboxes.  An
event loop calls it once for each slice of work; it runs actors until nothing is
ready or the budget is spent, or would be by one more slice like the last, and
says whether anything is left.

In a turn, until the budget is spent:

    1. due time-outs and timers, a bounded number
    2. askers whose answers have come
    3. actors with signals (stop, a child's end), in order of arrival; then those with urgent messages, for these
    4. the ready actor with the least virtual run time, for one slice: at most
       `batch` messages and `slice_us`

Virtual run time is the time an actor's handlers took, divided by its weight (`ready.py` keeps the order): of two that
always have messages, each gets of the thread what its weight is of the sum.  So do Linux's CFS and EEVDF, after Stoica
and Abdel-Wahab, "Earliest Eligible Virtual Deadline First", 1995.

A simulation sets `chooser`: each turn is then one step, of one message or signal,
of whichever actor the chooser names among all that could run (`_step`).

`fixed_cost_ns` makes every reading of the clock advance by that much instead,
which makes the order a pure function of the messages.

Nothing is pre-empted: a handler that computes for a second holds the loop for a
second.

This is one class in one file, long as it is, since every message goes through most of
it: calls within one final compiled class are direct.
"""

from __future__ import annotations

import threading as _threads
from collections import OrderedDict, deque
from types import CoroutineType, GeneratorType
from typing import TYPE_CHECKING, Any

from . import clocks as _clock
from . import guard as _guard
from . import hands as _hands
from .cell import RUNNING, SUSPENDED, Cell, queued
from .hands import complaint as _complaint
from .mailbox import Mailbox, Overflow
from .ready import ReadyQueue, weighed
from .reply import ABANDONED, ANSWERED, FAILED, WAITING, Reply, new_reply
from .stats import Stats
from .timers import Timers

if TYPE_CHECKING:
    from .host import Chooser, Host, Interlude
    from .inbox import Inbox

__all__ = ["Given", "Scheduler"]

_GIVEN = -1  # no object's address
_RUNNING = RUNNING
_SUSPENDED = SUSPENDED
_WAITING = WAITING
_ANSWERED = ANSWERED
_FAILED = FAILED
_ABANDONED = ABANDONED

_NO_END_NS = 10**15
_UNREAD_MAX = 16  # messages in a slice without a look at the clock: all of them may be slow, after some that were not
_TIMERS_A_TURN = 256  # a burst of deadlines may not hold a turn up; the rest are due at once
_POOL_MAX = 256  # empty mailboxes kept for the next actor that gets a message: about 40 kB
_LENT_MAX = 256  # mailboxes that stay where they are when they are empty: those who talk much are few
# How far an actor may be ahead of its share and still pass others for urgent messages, in slices.  With less, one that
# floods and has just run could not; with more, a hundred of them would hold an ordinary flooder up for longer.
_BORROWED_SLICES = 2
_WAITING_MAX = 1024  # senders that may wait for room in one mailbox; more would be a queue without a limit


class Given:
    """Stands where the message in hand was, when its handler put it aside or refused it: it is counted elsewhere."""

    __slots__ = ("message",)

    def __init__(self, message: Any) -> None:
        self.message = message


class Scheduler:
    """Runs the actors of one system on one thread."""

    __slots__ = (
        "_asides",
        "_asker",
        "_began_ns",
        "_candidates",
        "_cpu_ns",
        "_cpu_read_at_ns",
        "_end_ns",
        "_fixed_ns",
        "_in_hand",
        "_is_awake",
        "_is_busy",
        "_lent",
        "_marked",
        "_passing",
        "_pool",
        "_pooled",
        "_ready",
        "_running",
        "_settled",
        "_signalled",
        "_slice_ns",
        "_spent_ns",
        "batch",
        "chooser",
        "dead",
        "handled",
        "host",
        "in_turn",
        "inbox",
        "interlude",
        "is_real_time",
        "late_replies",
        "lost",
        "metrics",
        "now_us",
        "sent",
        "spawner",
        "taken",
        "thread",
        "timers",
        "turns",
    )

    def __init__(self, host: Host, *, batch: int = 64, slice_us: int = 50, fixed_cost_ns: int = 0) -> None:
        self.host = host
        self.inbox: Inbox | None = None  # where other threads may send to this one's actors
        self.thread = 0  # whose calls need no inbox
        self.spawner: Any = None  # makes its actors
        self.timers = Timers()
        self.batch = batch
        self.now_us = 0  # of the turn
        self.in_turn = False
        self.is_real_time = False  # the host's clock goes as the machine's does: `ground` asks the driver
        self.interlude: Interlude | None = None  # where actors may run in the middle of a task's step
        # sent == handled + lost + dead + in mailboxes + in handling; taken == handled + lost + in handling,
        # where `dead` counts every dead letter, and the askers' late replies are no messages.
        self.sent = 0
        self.taken = 0
        self.handled = 0
        self.lost = 0
        self.dead = 0
        self.late_replies = 0
        self.turns = 0
        self.metrics = False  # whether each actor's slices are counted
        self.chooser: Chooser | None = None
        self._candidates: list[Cell] = []  # taken out of `_ready` for the chooser to see
        self._slice_ns = slice_us * 1000
        self._fixed_ns = fixed_cost_ns
        self._spent_ns = 0
        self._began_ns = 0  # the clock as the turn began, which was at `now_us`
        self._end_ns = 0  # when its budget is spent
        self._asker: Any = None  # the context of the task that it has woken and that runs now
        self._is_awake = False
        # What other threads look at, by `in_hand`: who is in a slice now, and, where there is no GIL, on what message.
        self._running: Cell | None = None
        self._in_hand: Any = None
        # Where the message is that a handler has which has not returned yet; _GIVEN: it was given away.
        self._marked = 0
        self._ready = ReadyQueue(slice_us * 1000)
        self._signalled: deque[Cell] = deque()
        self._settled: deque[Reply] = deque()
        self._passing: OrderedDict[Cell, None] = OrderedDict()  # with urgent messages, to run ahead of others
        self._asides = 0  # entries of these three, which the loop would else have to ask of Python
        self._pool: Mailbox | None = None  # a chain
        self._pooled = 0
        self._lent = 0  # mailboxes that cells have
        self._is_busy = False  # the last turn spent its budget
        self._cpu_ns = 0  # the thread's CPU time when it was last read, and when that was
        self._cpu_read_at_ns = 0

    # sending

    def post(self, cell: Cell, item: Any) -> None:
        """Put a message, or a Reply with a question in it, where it belongs.  MailboxFull, if that is the policy."""
        if self.inbox is not None and self.thread != _threads.get_ident():
            self.inbox.tell(cell, item)
        elif not cell.is_open:
            self.sent += 1
            self.bury(cell, item, "stopped")
        else:
            box = cell.mailbox
            if cell.only_message is None and (box is None or box.count == 0) and item is not None:
                cell.only_message = item
                is_in = True
            else:
                if box is None or cell.only_message is not None:
                    box = self._box(cell)
                is_in = box.push(item)
                if not is_in:
                    self._overflow(cell, box, item)
            if is_in:
                self.sent += 1
                if not cell.is_scheduled:
                    self.ready(cell)

    def post_control(self, cell: Cell, message: Any) -> None:
        """Put a message ahead of every user message; a mailbox always has room for it."""
        if self.inbox is not None and self.thread != _threads.get_ident():
            self.inbox.tell_control(cell, message)
            return
        self.sent += 1
        if not cell.is_open:
            self.bury(cell, message, "stopped")
            return
        box = cell.mailbox
        if box is None:
            box = self._lease(cell)
        box.push_control(message)  # ahead of `only_message` too
        if not cell.is_scheduled:
            self.ready(cell)

    def post_urgent(self, cell: Cell, item: Any) -> None:
        """Put a message ahead of all that are not urgent.  MailboxFull if as many urgent ones wait as may."""
        inbox = self.inbox
        if inbox is not None and self.thread != _threads.get_ident():
            inbox.tell_urgent(cell, item)
            return
        if not cell.is_open:
            self.sent += 1
            self.bury(cell, item, "stopped")
            return
        if inbox is None:
            has_room = (0 if cell.mailbox is None else cell.mailbox.urgent_count()) < cell.settings.urgent_max
        else:
            has_room = inbox.let_in_urgent(cell)
        if not has_room:
            self.host.refused(cell, is_urgent=True)
        self.arrive_urgent(cell, item)

    def arrive_urgent(self, cell: Cell, item: Any) -> None:
        """Post an urgent message that was let in, and have its actor run ahead of others for it."""
        self.sent += 1
        if not cell.is_open:
            if self.inbox is not None:
                self.inbox.urgent_left(cell, 1)
            self.bury(cell, item, "stopped")
            return
        box = self._box(cell)
        box.push_urgent(item)
        if not cell.is_scheduled:
            self.ready(cell)
        if cell.is_ready and self._ready.count > 1 and self.chooser is None and cell not in self._passing:
            self._passing[cell] = None
            self._asides += 1
            self.need_turn()

    def put_back(self, cell: Cell, item: Any) -> None:
        """Put a message that was taken out of the mailbox, and is counted nowhere now, ahead of the others."""
        self._box(cell).put_back(item)
        if not cell.is_scheduled:
            self.ready(cell)

    def post_or_wait(self, cell: Cell, item: Any, reply: Reply) -> bool:
        """As `post`, but wait for room in a full mailbox; True when it was posted at once.

        When room comes, the oldest waiting item goes in.  If `reply` is not the
        item itself, it is a `send` that only wants to know, and is answered then.
        """
        if not cell.is_open or not self.is_full(cell):
            self.post(cell, item)
            return True
        box = self._box(cell)
        if box.waiting is None:
            box.waiting = deque()
        if len(box.waiting) >= _WAITING_MAX:
            self.host.refused(cell)
        box.waiting.append((item, reply))
        return False

    def ask(self, cell: Cell, message: Any, timeout_us: int) -> Reply:
        """Post a question; the returned Reply is settled within `timeout_us`, whatever happens."""
        if self.inbox is not None and self.thread != _threads.get_ident():
            return self.inbox.ask(cell, message, timeout_us)
        reply = new_reply(self, cell, message)
        if self.is_full(cell) and cell.settings.overflow == Overflow.WAIT:
            self.post_or_wait(cell, reply, reply)
        else:
            self.post(cell, reply)
        if reply.state == _WAITING:
            self.expect(reply, timeout_us)
            reply.is_hasty = self._asker is not None and self._running is None
        return reply

    def ask_urgent(self, cell: Cell, message: Any, timeout_us: int) -> Reply:
        """As `ask`, by `post_urgent`."""
        if self.inbox is not None and self.thread != _threads.get_ident():
            return self.inbox.ask_urgent(cell, message, timeout_us)
        reply = new_reply(self, cell, message)
        self.post_urgent(cell, reply)
        if reply.state == _WAITING:
            self.expect(reply, timeout_us)
            reply.is_hasty = self._asker is not None and self._running is None
        return reply

    def expect(self, reply: Reply, timeout_us: int) -> None:
        """Fail the question when its time is up."""
        if not self.in_turn:
            now_us = self.host.now_us()
        elif self.is_real_time:
            # From this moment: the handler may have computed for long since the turn began.
            now_us = self.now_us + (_clock.perf_counter_ns() - self._began_ns) // 1000
        else:
            now_us = self.now_us
        reply.timer = self.timers.set(now_us + timeout_us, reply)
        self.need_turn()  # which arms the loop for the time-out

    def send(self, cell: Cell, message: Any) -> Reply | None:
        """Post now (None), or the Reply that comes when there was room."""
        if self.inbox is not None and self.thread != _threads.get_ident():
            return self.inbox.send(cell, message)
        reply = Reply(self, cell, None)
        reply.is_question = False
        return None if self.post_or_wait(cell, message, reply) else reply

    def arrive(self, cell: Cell, item: Any) -> None:
        """Post what came from another thread, where it was let in: there is room for it."""
        if self.is_full(cell) and cell.settings.overflow in (Overflow.FAIL, Overflow.WAIT):
            box = self._box(cell)
            limit = box.limit
            box.limit = box.count + 1
            self.post(cell, item)
            box.limit = limit
        else:
            self.post(cell, item)
        cell.backlog = queued(cell)

    def arrive_or_wait(self, cell: Cell, item: Any, reply: Reply) -> None:
        """`send`, or an `ask` that may wait for room, from another thread."""
        try:
            if self.post_or_wait(cell, item, reply) and reply is not item:
                self.settle(reply, _ANSWERED, None)
        except Exception as error:  # too many wait, which is for the sender to know
            self.settle(reply, _FAILED, error)

    def bury(self, cell: Cell, item: Any, reason: str) -> None:
        """Count a message that nobody will handle, and say so."""
        self.dead += 1
        self.host.dead_letter(cell, item, reason)

    # timers of actors, by key

    def start_timer(self, cell: Cell, key: object, message: Any, delay_us: int) -> bool:
        """Set a timer that fires once, in place of that of the same key; False leaves the case to the life-cycle.

        What that would do, for a running actor that has had timers before, without its calls of Python.
        """
        if not self.in_turn or not self.is_real_time or cell.state != _RUNNING or cell.extras is None or delay_us < 0:
            return False
        timers: dict[object, Any] | None = cell.extras.timers
        if timers is None:
            return False
        now_us = self.now_us + (_clock.perf_counter_ns() - self._began_ns) // 1000
        timer = self.timers.make(now_us + delay_us, cell, message, 0, key)
        before = timers.setdefault(key, timer)  # and if that raises, nothing is set
        if before is not timer:
            self.timers.cancel(before)
            timers[key] = timer
        self.timers.put(timer)
        return True  # the end of the turn arms the loop

    def cancel_timer(self, cell: Cell, key: object) -> bool:
        """Whether there was a timer of that key, and it is not set any more."""
        if cell.extras is None:
            return False
        timers: dict[object, Any] | None = cell.extras.timers
        timer = timers.pop(key, None) if timers else None
        return timer is not None and bool(self.timers.cancel(timer))

    # answers

    def settle(self, reply: Reply, state: int, value: Any) -> bool:
        """End a question.  False, and a count, when it had ended before."""
        if self.inbox is not None:
            if self.thread != _threads.get_ident():
                return self.inbox.settle(reply, state, value)
        elif reply.scheduler is not self:  # a question that was forwarded from another system on this loop
            home: Scheduler = reply.scheduler
            return home.settle(reply, state, value)
        if reply.state != _WAITING:
            if state != _ABANDONED:
                self.late_replies += 1
            return False
        reply.state = state
        reply.value = value
        if not reply.is_question:  # else it lies in a mailbox still, and its actor will handle what it says
            reply.message = None
        if reply.link is not None:
            reply.link.scheduler.inbox.abandon(reply.link)
            reply.link = None
        if reply.timer is not None:
            self.timers.cancel(reply.timer)
            reply.timer = None
        if reply.waiter is not None:
            self.resume(reply.waiter)
            reply.waiter = None
        elif reply.callback is not None:
            self._settled.append(reply)
            self._asides += 1
            self.need_turn()
        return True

    def end_questions(self, error: Any) -> None:
        """Fail every question that still waits for an answer: none will come.  `error(reply)` makes the error."""
        while self.timers.next_deadline_us() >= 0:
            timer = self.timers.pop_due(self.timers.next_deadline_us())
            if timer is not None and isinstance(timer.target, Reply):
                self.settle(timer.target, _FAILED, error(timer.target))

    def take_settled(self) -> list[Reply]:
        """Replies whose awaiting tasks no turn will wake any more."""
        found = list(self._settled)
        self._settled.clear()
        self._asides = len(self._signalled) + len(self._passing)
        return found

    # waking

    def need_turn(self) -> None:
        """Have `turn` called soon."""
        if not self._is_awake:
            self._is_awake = True
            self.host.wake()

    def ready(self, cell: Cell) -> None:
        """Queue a cell that has something to do."""
        cell.is_scheduled = True
        if not cell.is_ready:
            if cell.stats is not None and cell.stats.slices >= cell.stats.measured_from:
                cell.stats.ready_ns = self._spent_ns if self.in_turn else self._look()
            self._ready.push(cell)
            if not self._is_awake:
                self._is_awake = True
                self.host.wake()

    def resume(self, cell: Cell) -> None:
        """What the cell's continuation waited for has come."""
        if not cell.is_resumable and cell.continuation is not None:
            cell.is_resumable = True
            self.ready(cell)

    def signal(self, cell: Cell, signal: Any) -> None:
        """Have the life-cycle look at the cell, ahead of all messages."""
        if self.inbox is not None and self.thread != _threads.get_ident():
            self.inbox.signal(cell, signal)
            return
        if cell.signals is None:
            cell.signals = deque()
        cell.signals.append(signal)
        if not cell.is_signalled:
            cell.is_signalled = True
            self._signalled.append(cell)
            self._asides += 1
            self.need_turn()

    def activate(self, cell: Cell) -> None:
        """The life-cycle has made the cell run: let its messages come."""
        cell.state = _RUNNING
        cell.is_scheduled = False
        if cell.only_message is not None or (cell.mailbox is not None and cell.mailbox.has_messages()):
            self.ready(cell)

    # running

    def turn(self, budget_us: int, now_us: int) -> bool:
        """Run actors for about `budget_us`; True when something is left to run."""
        if self.chooser is not None:
            return self._step(now_us)
        self.turns += 1
        self.now_us = now_us
        self.in_turn = True
        self._is_awake = True
        self._began_ns = self._tick()
        end_ns = self._end_ns = self._began_ns + budget_us * 1000
        asides_ns = budget_us * 500  # half a turn at most, while messages wait: nobody may hold them up for ever
        if self._is_busy and not self._fixed_ns:
            self._cpu_ns = _clock.thread_time_ns()
            self._cpu_read_at_ns = self._spent_ns
        if self.inbox is not None:
            self.inbox.begin()
        try:
            self._expire(now_us)
            while True:
                if self.inbox is not None and self.inbox.count > 0:
                    self.inbox.deliver()
                    self._tick()
                if self._asides > 0 and (asides_ns > 0 or self._ready.count == 0):
                    began_ns = self._spent_ns
                    self._attend()
                    asides_ns -= self._spent_ns - began_ns
                elif self._ready.count > 0:
                    began_ns = self._spent_ns
                    self._run(self._ready.pop(), end_ns)
                    if self._spent_ns == began_ns and self._asides > 0:
                        asides_ns = 1  # it cannot run before its own signals, and would be taken out again for ever
                    if 2 * self._spent_ns - began_ns >= end_ns:
                        break  # another slice like this one would pass the end
                elif self.inbox is None or self.inbox.count == 0:
                    break
                if self._spent_ns >= end_ns:
                    break
        finally:
            self.in_turn = False
            self._show(None)
            more = self.has_work()
            if self.inbox is not None and self.inbox.rest():
                more = True
            self._is_awake = more
            self._is_busy = more
        return more

    def _attend(self) -> None:
        """See to what goes ahead: all answers that have come, a cell with signals, a cell with urgent messages."""
        if self._settled:
            self._wake_askers()
        if self._signalled:
            cell = self._signalled.popleft()
            self._asides -= 1
            cell.is_signalled = False
            if not self._fixed_ns:
                self._tick()  # what the askers took is not this one's
            self._show(cell)
            self.host.signalled(cell)
            self._show(None)
        if self._asides > 0 and self._passing:
            cell = self._passing.popitem(last=False)[0]
            self._asides -= 1
            if not self._fixed_ns:
                self._tick()
            if self._may_pass(cell):
                self._run_ahead(cell)
        self._tick()

    def _may_pass(self, cell: Cell) -> bool:
        """Whether it has something urgent to do, which can be done now, and is not too far ahead of its share."""
        if not cell.is_ready or cell.state != _RUNNING or cell.signals is not None or cell.mailbox is None:
            return False
        if cell.mailbox.urgent_count() == 0:
            return False
        borrowed_ns = _BORROWED_SLICES * self._slice_ns
        if cell.weight != 0:
            borrowed_ns = weighed(borrowed_ns, cell.weight)
        return cell.virtual_ns <= self._ready.floor_ns + borrowed_ns

    def _run_ahead(self, cell: Cell) -> None:
        """Run an actor for its urgent messages before its turn, which comes later for that: its share stays what it is.

        After Duda and Cheriton, "Borrowed-Virtual-Time Scheduling", SOSP 1999.
        """
        self._ready.remove(cell)
        batch = self.batch
        box = cell.mailbox
        if box is not None:  # `_may_pass` said so
            self.batch = min(batch, box.urgent_count())
        try:
            self._run(cell, self._end_ns)
        finally:
            self.batch = batch
        box = cell.mailbox
        if box is not None and box.urgent_count() > 0 and cell not in self._passing:
            self._passing[cell] = None
            self._asides += 1

    def has_work(self) -> bool:
        """Whether a turn would do something, apart from timers."""
        return self._ready.count > 0 or self._asides > 0 or len(self._candidates) > 0

    def _step(self, now_us: int) -> bool:
        """A turn of a simulation: due timers, answers, one step of one actor.  Linear in the number of ready actors.

        An actor with signals is a candidate like others, and its signals go ahead of its messages.
        """
        self.turns += 1
        self.now_us = now_us
        self.in_turn = True
        self._is_awake = True
        try:
            self._expire(now_us)
            if self._settled:
                self._wake_askers()
            ready = self._candidates
            while self._ready.count > 0:
                cell = self._ready.pop()
                cell.is_ready = True  # it is still queued, though not in the heap
                ready.append(cell)
            signalled = self._signalled
            signalled_count = len(signalled)
            place = 0
            if signalled_count + len(ready) > 1 and self.chooser is not None:
                place = self.chooser.choose(signalled, ready)
            if place < signalled_count:
                cell = signalled[place]
                del signalled[place]
                self._asides -= 1
                cell.is_signalled = False
                self.host.signalled(cell)
            elif ready:
                cell = ready[place - signalled_count]
                if cell.is_signalled:
                    signalled.remove(cell)
                    self._asides -= 1
                    cell.is_signalled = False
                    self.host.signalled(cell)
                else:
                    del ready[place - signalled_count]
                    cell.is_ready = False
                    self._run(cell, self._spent_ns + _NO_END_NS)
        finally:
            self.in_turn = False
            more = self.has_work()
            self._is_awake = more
        return more

    def in_hand(self) -> tuple[Cell | None, Any]:
        """Who is in a slice now, and the message it handles where that is known.  From any thread."""
        _guard.lock(self)
        cell = self._running
        message = self._in_hand
        _guard.unlock(self)
        return cell, message.message if type(message) is Given else message

    def held_since_ns(self) -> int:
        """Since when that cell has had the thread (by `perf_counter_ns`).  From any thread."""
        return self._spent_ns

    def _show(self, cell: Cell | None) -> None:
        _guard.lock(self)
        self._running = cell
        self._marked = 0
        if _guard.IS_FREE:
            self._in_hand = None
        _guard.unlock(self)

    def _show_message(self, message: Any) -> None:
        _guard.lock(self)
        self._in_hand = message
        _guard.unlock(self)

    def _run(self, cell: Cell, end_ns: int) -> None:
        start_ns = self._spent_ns  # the clock as last read; reading it costs as much as a message
        now_ns = start_ns
        left = read_at = self.batch
        message = None
        self._show(cell)
        if self.metrics:
            self._count_begin(cell, start_ns)
        try:
            if cell.continuation is not None:
                message = cell.message
                if _guard.IS_FREE:
                    self._show_message(message)
                self._advance(cell)
                now_ns = self._tick()
                left -= 1
                read_at = left
            while cell.state == _RUNNING and cell.signals is None and left > 0 and now_ns < end_ns:
                box = cell.mailbox
                if cell.only_message is not None and (box is None or not box.is_passed):
                    item = cell.only_message
                    cell.only_message = None
                elif box is None:
                    break
                else:
                    if box.is_passed:
                        item = self._pop(cell, box)
                    elif box.count > 0:
                        item = box.pop_oldest()
                    else:
                        break
                    if box.waiting is not None:
                        self._admit(cell, box)
                if self.inbox is not None:
                    cell.backlog = queued(cell)
                self.taken += 1
                if type(item) is Reply and item.is_question:
                    reply = item
                    reply.is_question = False
                    cell.reply = reply
                    message = reply.message
                else:
                    message = item
                self._marked = _hands.address(message)
                if _guard.IS_FREE:
                    self._show_message(message)
                result = cell.function(cell.actor, message)
                if result is None and cell.reply is None:
                    self.handled += 1
                else:
                    self._finish(cell, result, message)
                left -= 1
                # Where reading the clock is dear, it is read after 1, 2, 4, 8, 16 messages, and then each 16.
                unread = read_at - left
                if _clock.IS_CHEAP or self._fixed_ns or 2 * unread >= self.batch - left or unread >= _UNREAD_MAX:
                    now_ns = self._tick()
                    read_at = left
                    if now_ns - start_ns >= self._slice_ns:
                        break
        except BaseException as error:  # whatever a handler raises is for its supervisor
            cell.continuation = None
            cell.is_resumable = False
            self.host.failed(cell, error, message)
            now_ns = self._tick()
        self._show(None)
        if read_at != left:
            now_ns = self._tick()
        used_ns = now_ns - start_ns
        if used_ns > 2 * self._slice_ns:
            used_ns = self._charge(used_ns)
        if cell.weight == 0:
            cell.virtual_ns += used_ns
        else:
            cell.virtual_ns += weighed(used_ns, cell.weight)
        if self.metrics:
            self._count_end(cell, used_ns)
        self._rest(cell)

    def _pop(self, cell: Cell, box: Mailbox) -> Any:
        """The next message of a mailbox with something in its lanes."""
        if cell.only_message is not None:
            self._box(cell)
        count = box.urgent_count()
        item = box.pop()
        if self.inbox is not None and box.urgent_count() < count:
            self.inbox.urgent_left(cell, 1)
        return item

    def _count_begin(self, cell: Cell, start_ns: int) -> None:
        if cell.stats is None:
            cell.stats = Stats()
        cell.stats.slices += 1
        cell.stats.taken_before = self.taken
        if cell.mailbox is not None and cell.mailbox.count > cell.stats.queued_peak:
            cell.stats.queued_peak = cell.mailbox.count
        if cell.stats.ready_ns != 0:
            cell.stats.waited(start_ns)

    def _count_end(self, cell: Cell, used_ns: int) -> None:
        if cell.stats is not None:  # metrics may have come on in this slice
            cell.stats.run_ns += used_ns
            cell.stats.handled += self.taken - cell.stats.taken_before

    def _rest(self, cell: Cell) -> None:
        """After a slice: queue the cell again, or let the next message do that."""
        if cell.is_resumable:
            self.ready(cell)
        elif cell.state == _RUNNING:
            box = cell.mailbox
            if cell.only_message is not None:
                self.ready(cell)
            elif box is None:
                cell.is_scheduled = False
            elif box.count > 0 or box.is_passed:
                self.ready(cell)
            else:
                cell.is_scheduled = False
                if box.waiting is None and (self._lent > _LENT_MAX or box.is_large):
                    cell.mailbox = None
                    self._lent -= 1
                    if self._pooled < _POOL_MAX:
                        if box.is_large:
                            box.reuse(box.limit)
                        box.next = self._pool
                        self._pool = box
                        self._pooled += 1

    def _charge(self, used_ns: int) -> int:
        """What of a long slice was the actor's: not the time in which the system ran somebody else."""
        if self._fixed_ns or not self._is_busy:
            return used_ns
        cpu_ns = _clock.thread_time_ns()
        away_ns = (self._spent_ns - self._cpu_read_at_ns) - (cpu_ns - self._cpu_ns)
        self._cpu_ns = cpu_ns
        self._cpu_read_at_ns = self._spent_ns
        if away_ns <= 0:
            return used_ns
        return used_ns - away_ns if away_ns < used_ns else 0

    def _finish(self, cell: Cell, result: Any, message: Any) -> None:
        """A handler returned something, or owes an answer."""
        kind = type(result)
        if kind is CoroutineType:
            if cell.fiber is None:
                cell.fiber = self.host.fiber(cell)
            cell.fiber.begin(result)
            cell.continuation = cell.fiber
        elif kind is GeneratorType:
            cell.continuation = result
        elif result is not None and _hands.is_awaitable(result):
            raise TypeError(_complaint(cell.path(), result))
        else:
            self._answer(cell, result)
            return
        if self._marked == _GIVEN:
            self.handled += 1
            message = Given(message)
            self._marked = 0
        cell.message = message
        cell.state = _SUSPENDED
        self._advance(cell)

    def _advance(self, cell: Cell) -> None:
        """Run the cell's continuation to its next wait, or to its end.  Raises what it raises."""
        cell.is_resumable = False
        continuation = cell.continuation
        if type(continuation) is GeneratorType:
            try:
                next(continuation)
            except StopIteration as stop:
                value = stop.value
            else:
                cell.is_resumable = True
                return
        else:
            if not continuation.step():
                return
            value = continuation.value
            continuation.value = None
        cell.continuation = None
        if cell.state == _SUSPENDED:
            cell.state = _RUNNING
            if type(cell.message) is Given:
                self.handled -= 1  # which the answer adds
            cell.message = None
            self._answer(cell, value)
        else:
            self.host.finished(cell)

    def _answer(self, cell: Cell, value: Any) -> None:
        self.handled += 1
        reply = cell.reply
        if reply is not None:
            cell.reply = None
            self.settle(reply, _ANSWERED, value)

    # the account of the message in hand

    def give_away(self, cell: Cell, message: Any) -> bool:
        """Take the message in hand out of its handler's account, once; False if `message` is not in hand.

        While a handler waits, its cell has the message.  Before, the scheduler knows it, and will count it as handled
        when the handler returns: counted back here.
        """
        if cell.state == _RUNNING:
            if self._running is not cell or self._marked != _hands.address(message):
                return False
            self._marked = _GIVEN
            self.handled -= 1
        elif cell.message is message and (cell.state == _SUSPENDED or message is not None):
            cell.message = Given(message)
        else:
            return False
        self.taken -= 1
        return True

    def given_in_hand(self) -> int:
        """1 while the handler that runs now has given its message away and is counted back for it, else 0."""
        return 1 if self._marked == _GIVEN else 0

    def cut_short(self, cell: Cell, *, is_handled: bool) -> None:
        """A handler ended otherwise than by returning to its turn: count its message, if it has one still."""
        if type(cell.message) is Given:
            return
        if cell.message is None and self._running is cell and self._marked == _GIVEN:
            self.handled += 1
            self._marked = 0
        elif is_handled:
            self.handled += 1
        else:
            self.lost += 1

    def _wake_askers(self) -> None:
        """Step the tasks whose answers have come, here and not through the loop: a third of the price."""
        for _ in range(len(self._settled)):
            if not self._settled:  # a task that was woken has closed the system
                break
            reply = self._settled.popleft()
            self._asides -= 1
            callback: Any = reply.callback
            context = reply.context
            reply.callback = None
            reply.context = None
            if context is None:
                callback(reply)
            elif self.interlude is None:
                context.run(callback, reply)
            else:
                self._asker = context
                self.interlude.step_begins()
                try:
                    context.run(callback, reply)
                finally:
                    self._asker = None

    def hasten(self, reply: Reply) -> None:
        """Go on with the turn from within the step of the task that awaits `reply`, until the answer has come.

        Or until the budget is spent, or something must be seen to that only the turn itself sees to.
        """
        context = self._asker
        if context is None or self._running is not None or self.interlude is None:
            return
        if self._asides > 0 or self._ready.count == 0 or self._tick() >= self._end_ns:
            return
        if not self.interlude.begin(context):
            return
        self._asker = None  # what actors ask is no task's question
        try:
            while reply.state == _WAITING and self._asides == 0 and self._ready.count > 0:
                if self._spent_ns >= self._end_ns or (self.inbox is not None and self.inbox.count > 0):
                    break
                self._run(self._ready.pop(), self._end_ns)
        finally:
            self._asker = context
            self.interlude.end(context)

    def _expire(self, now_us: int) -> None:
        for _ in range(_TIMERS_A_TURN):
            timer = self.timers.pop_due(now_us)
            if timer is None:
                break
            target = timer.target
            if isinstance(target, Reply):
                self.settle(target, _FAILED, self.host.timed_out(target))
            else:
                self.host.fired(timer)

    # mailboxes

    def is_full(self, cell: Cell) -> bool:
        """Whether there is no room for a message."""
        box = cell.mailbox if cell.only_message is None else self._box(cell)
        return box is not None and box.count >= box.limit

    def _box(self, cell: Cell) -> Mailbox:
        """The mailbox, with all user messages in it."""
        box = cell.mailbox
        if box is None:
            box = self._lease(cell)
        if cell.only_message is not None:
            box.push(cell.only_message)
            cell.only_message = None
        return box

    def _lease(self, cell: Cell) -> Mailbox:
        settings = cell.settings
        box = self._pool
        if box is None:
            box = Mailbox(settings.messages_max)
            box.settings = settings
        else:
            self._pool = box.next
            box.next = None
            self._pooled -= 1
            if box.settings is not settings:
                box.settings = settings
                box.limit = settings.messages_max
        cell.mailbox = box
        self._lent += 1
        return box

    def empty(self, cell: Cell) -> Mailbox | None:
        """Take the mailbox of a cell that has ended, with all that is in it."""
        box = cell.mailbox if cell.only_message is None else self._box(cell)
        if box is not None:
            if self.inbox is not None and box.urgent_count() > 0:
                self.inbox.urgent_left(cell, box.urgent_count())
            cell.mailbox = None
            self._lent -= 1
        return box

    def _overflow(self, cell: Cell, box: Mailbox, item: Any) -> None:
        policy = cell.settings.overflow
        if policy == Overflow.DROP_NEWEST:
            self.sent += 1
            self.bury(cell, item, "dropped_newest")
        elif policy == Overflow.DROP_OLDEST:
            self.sent += 1
            oldest = box.pop_oldest()
            box.push(item)
            self.bury(cell, oldest, "dropped_oldest")
        else:
            self.host.refused(cell)

    def _admit(self, cell: Cell, box: Mailbox) -> None:
        """Room has come: let in whoever has waited longest and still does."""
        waiting = box.waiting
        while waiting and box.count < box.limit:
            item, reply = waiting.popleft()
            if reply.state != _WAITING:
                continue
            box.push(item)
            self.sent += 1
            if reply is not item:
                self.settle(reply, _ANSWERED, None)
        if not waiting:
            box.waiting = None

    def _look(self) -> int:
        """What time it is, without letting any pass."""
        return self._spent_ns if self._fixed_ns else _clock.perf_counter_ns()

    def _tick(self) -> int:
        if self._fixed_ns:
            self._spent_ns += self._fixed_ns
        else:
            self._spent_ns = _clock.perf_counter_ns()
        return self._spent_ns
