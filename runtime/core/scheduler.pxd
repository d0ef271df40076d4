cimport cython
from libc.stdint cimport int64_t
from . cimport _guard
from . cimport _hands
from . cimport _threads
from . cimport _ticks as _clock
from .cell cimport Cell, queued
from .inbox cimport Inbox
from .mailbox cimport Mailbox
from .ready cimport ReadyQueue, weighed
from .reply cimport Reply, new_reply
from .stats cimport Stats
from .timers cimport Timer, Timers

cdef int64_t _GIVEN
cdef int _RUNNING
cdef int _SUSPENDED
cdef int _WAITING
cdef int _ANSWERED
cdef int _FAILED
cdef int _ABANDONED
cdef int64_t _NO_END_NS
cdef Py_ssize_t _UNREAD_MAX
cdef Py_ssize_t _TIMERS_A_TURN
cdef Py_ssize_t _POOL_MAX
cdef Py_ssize_t _LENT_MAX
cdef int _BORROWED_SLICES
cdef Py_ssize_t _WAITING_MAX


@cython.final
cdef class Given:
    cdef readonly object message


@cython.final
cdef class Scheduler:
    cdef public object host
    cdef public Inbox inbox
    cdef public object spawner
    cdef public int64_t thread
    cdef readonly Timers timers
    cdef public Py_ssize_t batch
    cdef public int64_t now_us
    cdef public bint in_turn
    cdef public int64_t sent
    cdef public int64_t taken
    cdef public int64_t handled
    cdef public int64_t lost
    cdef public int64_t dead
    cdef public int64_t late_replies
    cdef public int64_t turns
    cdef public bint metrics
    cdef public object chooser
    cdef list _candidates
    cdef public bint is_real_time
    cdef public object interlude
    cdef object _asker
    cdef int64_t _began_ns
    cdef int64_t _end_ns
    cdef int64_t _slice_ns
    cdef int64_t _fixed_ns
    cdef int64_t _spent_ns
    cdef bint _is_awake
    cdef Cell _running
    cdef object _in_hand
    cdef int64_t _marked
    cdef ReadyQueue _ready
    cdef object _signalled
    cdef object _settled
    cdef object _passing
    cdef Py_ssize_t _asides
    cdef Mailbox _pool
    cdef Py_ssize_t _pooled
    cdef Py_ssize_t _lent
    cdef bint _is_busy
    cdef int64_t _cpu_ns
    cdef int64_t _cpu_read_at_ns

    @cython.locals(box=Mailbox, is_in=bint)
    cpdef bint post(self, Cell cell, object item) except -1
    @cython.locals(box=Mailbox)
    cpdef void post_control(self, Cell cell, object message) except *
    @cython.locals(inbox=Inbox, has_room=bint)
    cpdef void post_urgent(self, Cell cell, object item) except *
    @cython.locals(box=Mailbox)
    cpdef void arrive_urgent(self, Cell cell, object item) except *
    cpdef void put_back(self, Cell cell, object item) except *
    @cython.locals(box=Mailbox)
    cpdef bint post_or_wait(self, Cell cell, object item, Reply reply) except -1
    @cython.locals(reply=Reply)
    cpdef Reply ask(self, Cell cell, object message, int64_t timeout_us)
    @cython.locals(reply=Reply)
    cpdef Reply ask_urgent(self, Cell cell, object message, int64_t timeout_us)
    @cython.locals(now_us=int64_t)
    cpdef void expect(self, Reply reply, int64_t timeout_us) except *
    @cython.locals(box=Mailbox, limit=Py_ssize_t)
    cpdef void arrive(self, Cell cell, object item) except *
    cpdef void arrive_or_wait(self, Cell cell, object item, Reply reply) except *
    @cython.locals(reply=Reply)
    cpdef Reply send(self, Cell cell, object message)
    @cython.locals(timers=dict, timer=Timer, before=Timer, now_us=int64_t)
    cpdef bint start_timer(self, Cell cell, object key, object message, int64_t delay_us) except -1
    @cython.locals(timers=dict, timer=Timer)
    cpdef bint cancel_timer(self, Cell cell, object key) except -1
    cpdef void bury(self, Cell cell, object item, object reason) except *
    cpdef bint settle(self, Reply reply, int state, object value) except -1
    @cython.locals(timer=Timer)
    cpdef void end_questions(self, object error) except *
    cpdef list take_settled(self)
    cpdef void need_turn(self) except *
    cpdef bint ready(self, Cell cell) except -1
    cpdef void resume(self, Cell cell) except *
    cpdef void signal(self, Cell cell, object signal) except *
    cpdef void activate(self, Cell cell) except *
    @cython.locals(end_ns=int64_t, began_ns=int64_t, more=bint)
    cpdef bint turn(self, int64_t budget_us, int64_t now_us) except -1
    @cython.locals(cell=Cell)
    cdef void _attend(self) except *
    @cython.locals(borrowed_ns=int64_t)
    cdef bint _may_pass(self, Cell cell) except -1
    @cython.locals(box=Mailbox, batch=Py_ssize_t)
    cdef void _run_ahead(self, Cell cell) except *
    cpdef bint has_work(self) except -1
    @cython.locals(ready=list, signalled_count=Py_ssize_t, place=Py_ssize_t, cell=Cell, more=bint)
    cdef bint _step(self, int64_t now_us) except -1
    @cython.locals(cell=Cell)
    cpdef tuple in_hand(self)
    cpdef int64_t held_since_ns(self) except -1
    cdef inline void _show(self, Cell cell) noexcept
    cdef inline void _show_message(self, object message) noexcept
    @cython.locals(
        start_ns=int64_t, now_ns=int64_t, used_ns=int64_t, left=Py_ssize_t,
        read_at=Py_ssize_t, unread=Py_ssize_t, box=Mailbox, reply=Reply,
    )
    cdef bint _run(self, Cell cell, int64_t end_ns) except -1
    @cython.locals(count=Py_ssize_t)
    cdef object _pop(self, Cell cell, Mailbox box)
    cdef inline bint _count_begin(self, Cell cell, int64_t start_ns) except -1
    cdef inline void _count_end(self, Cell cell, int64_t used_ns) noexcept
    @cython.locals(box=Mailbox)
    cdef bint _rest(self, Cell cell) except -1
    @cython.locals(cpu_ns=int64_t, away_ns=int64_t)
    cdef int64_t _charge(self, int64_t used_ns) except -1
    cdef void _finish(self, Cell cell, object result, object message) except *
    cdef void _advance(self, Cell cell) except *
    @cython.locals(reply=Reply)
    cdef void _answer(self, Cell cell, object value) except *
    @cython.locals(reply=Reply)
    cpdef bint give_away(self, Cell cell, object message) except -1
    cpdef int given_in_hand(self) except -1
    cdef void _wake_askers(self) except *
    cpdef void hasten(self, Reply reply) except *
    @cython.locals(timer=Timer)
    cdef void _expire(self, int64_t now_us) except *
    @cython.locals(box=Mailbox)
    cpdef bint is_full(self, Cell cell) except -1
    @cython.locals(box=Mailbox)
    cdef Mailbox _box(self, Cell cell)
    @cython.locals(box=Mailbox)
    cdef Mailbox _lease(self, Cell cell)
    @cython.locals(box=Mailbox)
    cpdef Mailbox empty(self, Cell cell)
    cdef void _overflow(self, Cell cell, Mailbox box, object item) except *
    @cython.locals(reply=Reply)
    cdef void _admit(self, Cell cell, Mailbox box) except *
    cdef int64_t _look(self) except -1
    cdef int64_t _tick(self) except -1
