cimport cython
from . cimport _ticks as _clock
from .cell cimport Cell
from .mailbox cimport Mailbox
from .reply cimport Reply
from .timers cimport Timer, Timers

cdef int _RUNNING
cdef int _SUSPENDED
cdef int _WAITING
cdef int _ANSWERED
cdef int _FAILED
cdef int _ABANDONED
cdef Py_ssize_t _TIMERS_A_TURN
cdef Py_ssize_t _POOL_MAX
cdef Py_ssize_t _WAITING_MAX


@cython.final
cdef class Scheduler:
    cdef public object host
    cdef readonly Timers timers
    cdef public Py_ssize_t batch
    cdef public long long now_us
    cdef public bint in_turn
    cdef public long long sent
    cdef public long long taken
    cdef public long long handled
    cdef public long long lost
    cdef public long long dead
    cdef public long long late_replies
    cdef public long long turns
    cdef long long _slice_ns
    cdef long long _fixed_ns
    cdef long long _spent_ns
    cdef long long _floor_ns
    cdef long long _orders
    cdef bint _is_awake
    cdef list _heap
    cdef object _urgent
    cdef object _settled
    cdef list _pool

    @cython.locals(box=Mailbox)
    cpdef int post(self, Cell cell, object item) except -1
    @cython.locals(box=Mailbox)
    cpdef int post_control(self, Cell cell, object message) except -1
    @cython.locals(box=Mailbox)
    cpdef bint post_or_wait(self, Cell cell, object item, Reply reply) except -1
    @cython.locals(reply=Reply, now_us="long long")
    cpdef Reply ask(self, Cell cell, object message, long long timeout_us)
    @cython.locals(reply=Reply)
    cpdef Reply send(self, Cell cell, object message)
    cpdef int bury(self, Cell cell, object item, object reason) except -1
    cpdef bint settle(self, Reply reply, int state, object value) except -1
    cpdef int need_turn(self) except -1
    @cython.locals(floor_ns="long long")
    cpdef int ready(self, Cell cell) except -1
    cpdef int resume(self, Cell cell) except -1
    cpdef int signal(self, Cell cell, object signal) except -1
    cpdef int activate(self, Cell cell) except -1
    @cython.locals(end_ns="long long", cell=Cell, more=bint)
    cpdef bint turn(self, long long budget_us, long long now_us) except -1
    cpdef bint has_work(self) except -1
    @cython.locals(start_ns="long long", now_ns="long long", left=Py_ssize_t, box=Mailbox, reply=Reply)
    cdef int _run(self, Cell cell, long long end_ns) except -1
    @cython.locals(box=Mailbox)
    cdef int _rest(self, Cell cell) except -1
    cdef int _finish(self, Cell cell, object result, object message) except -1
    cdef int _advance(self, Cell cell) except -1
    @cython.locals(reply=Reply)
    cdef int _answer(self, Cell cell, object value) except -1
    @cython.locals(reply=Reply, i=Py_ssize_t)
    cdef int _wake_askers(self) except -1
    @cython.locals(timer=Timer)
    cdef int _expire(self, long long now_us) except -1
    @cython.locals(box=Mailbox)
    cdef Mailbox _lease(self, Cell cell)
    cdef int _overflow(self, Cell cell, Mailbox box, object item) except -1
    @cython.locals(reply=Reply)
    cdef int _admit(self, Cell cell, Mailbox box) except -1
    cdef long long _tick(self) except -1
    @cython.locals(heap=list, above=Cell, above_place=Py_ssize_t)
    cdef int _rise(self, Cell cell, Py_ssize_t place) except -1
    @cython.locals(heap=list, first=Cell, cell=Cell, below=Cell, other=Cell, size=Py_ssize_t, place=Py_ssize_t, below_place=Py_ssize_t)
    cdef Cell _pop_ready(self)
