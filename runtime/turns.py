"""Turn-taking: under a GIL, one thread at a time runs its actors.

Threads that compute otherwise hold each other up: each waits for the GIL until the
other's switch interval (5 ms) is over, and whoever waits longest is not who gets it.
Here a thread takes the token before a turn of its scheduler and hands it on after it,
to the thread that has had it for the least time, which is let through a gate of its own.
Its time is divided by its weight, which is that of the actor it was made for.

    sleeping in its loop -> something comes: take, in line -> turn -> nothing left: hand on -> sleeping in its loop
                                                               ^ -> more to do: rejoin, in line, round the loop --+
                                                               +--------------------------------------------------+

A thread with more to do gets into line again in the step in which it hands on, and goes round its loop with the token
in its hand.  The loop looks for what has come, and gives the GIL back for some microseconds as it does.  Whoever
waits for the GIL on another core is woken by that and comes too late, behind all who wait by now.  Were the token free
meanwhile, all who compute would end up waiting for the GIL and nobody for the token, and CPython would choose again.
For that reason too a thread that goes on by itself stops for `LET_IN_US` now and then: who computes alone would else
keep all others from the GIL, for seconds.

A thread that slept comes in at most one turn behind the others, as a sleeping actor does
among ready ones (`core/ready.py`): it goes ahead, and cannot save up time.

A thread that expects to be called again at once need not go to sleep in its loop: it
parks here, and whoever rings puts it in line, with no system call.  The token and the
GIL then change hands in one step (`core/gates.py`).  It waits for `PAUSE_NS` at most: if
nobody has the token, by a timer; else whoever lets go of the token looks after that, since
to set a timer for so short a time takes longer than a message there and back (6 us, where
one of 3 ms and more, which comes after the kernel's next tick, takes 0.2).

A turn is charged by the thread's CPU time where others waited for the token, since what the
system took meanwhile is not its own: a probe charged a millisecond too much among a hundred
that compute is a tenth of a second behind.  Where nobody waited the clock does: to read the
CPU time takes 2 us.

A handler that blocks holds the token without computing: after `patience_s` it is taken
from the holder, who hands on nothing when it comes back.  Subtrees marked `blocking` take
no part at all.
"""

from __future__ import annotations

from .core import clocks as _clock
from .core import gates as _gates
from .core import latches as _latches
from .core.ready import weighed

__all__ = ["Ticket", "Turns"]

PATIENCE_S = 0.005  # as the GIL's own switch interval: twenty turns
LEAD_NS = 250_000  # what a sleeper may be behind: one turn
# Ten round trips between two that talk to each other; a wait in vain is over within this and the turn under way.
PAUSE_NS = 100_000
_PAUSE_NS = PAUSE_NS
# Who waits looks after the holder, for all: this many looks in each patience, however long the line.  A line in
# which each looked after its own patience would keep a hundred threads at the GIL, between one turn and the next.
LOOKS = 4
# How often and for how long a thread that goes on by itself lets others at the GIL: after half of what CPython makes
# them wait for a thread that computes, and for twice what it takes to wake on another core.  A fiftieth of its time.
LET_IN_NS = 2_500_000
LET_IN_US = 50


class Ticket:
    """One thread's place in the line."""

    __slots__ = (
        "_began_cpu_ns",
        "_began_ns",
        "_most_ns",
        "gate",
        "had_ns",
        "is_dismissed",
        "is_parked",
        "is_rung",
        "parked_ns",
        "weight",
    )

    def __init__(self, weight: int = 0) -> None:
        self.weight = weight  # of its turns, as `Cell.weight`
        self.had_ns = 0  # how long it has had the token, by its weight, or was let off while it slept
        self.is_rung = False  # somebody rang, since it last took the token, when it was not parked
        self.is_parked = False
        self.is_dismissed = False  # was parked too long when it was last parked, and sent home
        self.parked_ns = 0  # since when
        self._began_ns = 0  # when its turn began, if it is in one
        self._most_ns = 0
        self._began_cpu_ns = -1  # by the thread's CPU time, if that was read
        self.gate = _gates.new_gate()  # opened once for each time the token is given, or the thread sent home

    def begin(self, is_measured: bool, most_ns: int) -> None:
        """A turn begins, `most_ns` of which is charged if it is not measured; on the ticket's thread, as the next."""
        self._most_ns = most_ns
        self._began_ns = _clock.perf_counter_ns()
        self._began_cpu_ns = _clock.thread_time_ns() if is_measured else -1

    def charge(self) -> None:
        """The turn ends.  Nothing, if there was none."""
        if self._began_ns == 0:
            return
        if self._began_cpu_ns >= 0:
            used_ns = _clock.thread_time_ns() - self._began_cpu_ns
        else:
            used_ns = min(_clock.perf_counter_ns() - self._began_ns, self._most_ns)
        self.had_ns += used_ns if self.weight == 0 else weighed(used_ns, self.weight)
        self._began_ns = 0


class Turns:
    """The token, and who waits for it.  At most one place in line for each thread."""

    __slots__ = (
        "_floor_ns",
        "_holder",
        "_latch",
        "_let_in_ns",
        "_parked",
        "_patience_us",
        "_since_ns",
        "_waiting",
        "taken_away",
    )

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self.taken_away = 0  # times a holder was too slow
        self._patience_us = int(patience_s * 1e6)
        self._latch = _latches.new_latch()
        self._holder: Ticket | None = None
        self._since_ns = 0  # when the holder got it
        self._floor_ns = 0  # what the holder had had then
        self._waiting: list[Ticket] = []  # the next is the last
        self._let_in_ns = 0  # when the holder last waited for somebody
        self._parked: list[Ticket] = []  # without a timer of their own; who came first is first

    def waiting(self) -> int:
        """How many wait for the token."""
        return len(self._waiting)

    def take(self, ticket: Ticket) -> None:
        """Wait for the token."""
        _latches.lock(self._latch)
        ticket.is_rung = False
        given = self._enter(ticket)
        is_alone = given and not self._waiting
        _latches.unlock(self._latch)
        if not given:
            self._wait(ticket, None)
        ticket.begin(not is_alone, LEAD_NS)  # who began alone gave nobody reason to count closely

    def rejoin(self, ticket: Ticket) -> None:
        """Let the next run, and wait in line until the caller has the token again; at once if it is the next itself."""
        ticket.charge()
        following = None
        lets_in = False
        _latches.lock(self._latch)
        had_it = self._holder is ticket
        if had_it:
            self._line_up(ticket)
            following = self._next()
            waits = following is not ticket
            lets_in = not waits and self._since_ns - self._let_in_ns > LET_IN_NS
        else:  # it was taken away meanwhile
            waits = not self._enter(ticket)
        if waits or lets_in:
            self._let_in_ns = self._since_ns
        _latches.unlock(self._latch)
        self._send_home(ticket, False)
        if waits:
            self._wait(ticket, following)
        elif lets_in:
            _gates.swap(None, ticket.gate, LET_IN_US)  # nobody opens it: the token is here

    def hand_on(self, ticket: Ticket) -> None:
        """Let the next run, or nobody, if the token was taken away."""
        ticket.charge()
        _latches.lock(self._latch)
        following = self._let_go(ticket)
        _latches.unlock(self._latch)
        if following is not None:
            _gates.open_gate(following.gate)
        self._send_home(ticket, True)

    def park(self, ticket: Ticket) -> bool:
        """Hand on what token the caller has, and wait to be rung for: True, and the token is the caller's.

        False when nobody rang soon (`is_dismissed`), or somebody had before.
        """
        ticket.charge()
        timeout_us = self._patience_us  # should the holder block: it is not for us to wait for it here
        _latches.lock(self._latch)
        following = self._let_go(ticket)
        ticket.is_dismissed = False
        waits = ticket.is_parked = not ticket.is_rung
        if waits:
            ticket.parked_ns = _clock.perf_counter_ns()
            if self._holder is None:
                timeout_us = _PAUSE_NS // 1000
            else:
                self._parked.append(ticket)
        _latches.unlock(self._latch)
        self._send_home(ticket, not waits)
        if not waits:
            if following is not None:
                _gates.open_gate(following.gate)
            return False
        if not _gates.swap(None if following is None else following.gate, ticket.gate, timeout_us):
            _latches.lock(self._latch)
            waits = ticket.is_parked
            if waits:
                self._unpark(ticket)
                ticket.is_dismissed = True
            _latches.unlock(self._latch)
            if waits:
                self._send_home(ticket, True)
                return False
            self._wait(ticket, None)  # it is in line, or the gate is open by now
        if ticket.is_dismissed:
            return False
        ticket.begin(False, self._patience_us * 1000)
        return True

    def ring(self, ticket: Ticket) -> bool:
        """Put a parked thread in line; from any thread.  False, and a note in `is_rung`, if it is not parked."""
        _latches.lock(self._latch)
        was_parked = ticket.is_parked
        given = False
        if was_parked:
            self._unpark(ticket)
            given = self._enter(ticket)
        else:
            ticket.is_rung = True
        _latches.unlock(self._latch)
        if given:
            _gates.open_gate(ticket.gate)
        return was_parked

    def _wait(self, ticket: Ticket, following: Ticket | None) -> None:
        """Let that one through, and wait until the gate opens; look after the holder, in turn with all who wait."""
        while True:
            timeout_us = self._patience_us
            if len(self._waiting) > LOOKS:
                timeout_us = timeout_us * len(self._waiting) // LOOKS
            if _gates.swap(None if following is None else following.gate, ticket.gate, timeout_us):
                return
            following = None
            _latches.lock(self._latch)
            # If the holder is the caller, the token came at the last moment.
            if self._holder is not ticket and self._is_late():
                following = self._next()
                if following is not None:  # else the caller is not in line: its own gate is open
                    self.taken_away += 1
            _latches.unlock(self._latch)

    def _send_home(self, caller: Ticket, is_leaving: bool) -> None:
        """Whoever has been parked for too long; and all, when the caller leaves and nobody has the token.

        Not the caller, who is last in the row if it has just parked: it has not begun to wait, whatever the clock says
        of a thread that was held up on its way here.
        """
        while self._parked:
            dismissed = None
            _latches.lock(self._latch)
            if self._parked:
                first = self._parked[0]
                is_over = _clock.perf_counter_ns() - first.parked_ns > _PAUSE_NS
                if first is not caller and (is_over or (is_leaving and self._holder is None)):
                    dismissed = first
                    dismissed.is_dismissed = True
                    self._unpark(dismissed)
            _latches.unlock(self._latch)
            if dismissed is None:
                break
            _gates.open_gate(dismissed.gate)

    # under the latch

    def _unpark(self, ticket: Ticket) -> None:
        ticket.is_parked = False
        if ticket in self._parked:
            self._parked.remove(ticket)

    def _is_late(self) -> bool:
        return _clock.perf_counter_ns() - self._since_ns >= self._patience_us * 1000

    def _let_go(self, ticket: Ticket) -> Ticket | None:
        """Take the token from its holder, and say whose gate must be opened."""
        if self._holder is not ticket:
            return None
        return self._next()

    def _enter(self, ticket: Ticket) -> bool:
        """Give the token at once (True), or a place in line."""
        if self._holder is ticket:  # since it rejoined
            return True
        ticket.had_ns = max(ticket.had_ns, self._floor_ns - LEAD_NS)
        if self._holder is None:
            self._give(ticket)
            return True
        self._line_up(ticket)
        return False

    def _line_up(self, ticket: Ticket) -> None:
        low, high = 0, len(self._waiting)
        while low < high:
            middle = (low + high) // 2
            other = self._waiting[middle]
            if other.had_ns > ticket.had_ns:
                low = middle + 1
            else:
                high = middle
        self._waiting.insert(low, ticket)  # of equals, whoever came first is nearer to the end

    def _next(self) -> Ticket | None:
        """The token goes from its holder to who has had least, or to nobody.  That one."""
        count = len(self._waiting)  # compiled lists have no place -1
        if count == 0:
            self._holder = None
            return None
        self._give(self._waiting[count - 1])
        self._waiting.pop()
        return self._holder

    def _give(self, ticket: Ticket) -> None:
        self._holder = ticket
        self._since_ns = _clock.perf_counter_ns()
        self._floor_ns = max(self._floor_ns, ticket.had_ns)
