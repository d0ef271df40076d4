cimport cython
from libc.stdint cimport int64_t
from . cimport _latches
from . cimport _threads
from .cell cimport Cell
from .reply cimport Reply, new_reply
from .scheduler cimport Scheduler

cdef int _POST
cdef int _POST_OR_WAIT
cdef int _CONTROL
cdef int _SIGNAL
cdef int _SETTLE
cdef int _ABANDON
cdef int _CALL
cdef int _URGENT
cdef Py_ssize_t _WAITING_MAX
cdef Py_ssize_t _DELIVERED_AT_ONCE


@cython.final
cdef class Inbox:
    cdef readonly Py_ssize_t count
    cdef readonly bint is_closed
    cdef Scheduler _scheduler
    cdef object _wake
    cdef object _outside
    cdef dict _askers
    cdef object _latch
    cdef object _entries
    cdef dict _urgent
    cdef bint _is_signalled
    cdef int64_t _posted
    cdef int64_t _taken
    cdef int64_t _arrived
    cdef int64_t _seen_sent
    cdef int64_t _seen_taken
    cdef int64_t _seen_handled
    cdef int64_t _seen_lost
    cdef int64_t _seen_dead
    cdef int64_t _seen_late
    cdef int64_t _seen_turns

    cpdef int64_t in_flight(self) except -1
    cpdef tuple seen(self)
    cpdef void tell(self, Cell cell, object item) except *
    @cython.locals(must_wake=bint)
    cpdef void tell_urgent(self, Cell cell, object item) except *
    cpdef bint settle(self, Reply reply, int state, object value) except -1
    cpdef void begin(self) except *
    @cython.locals(scheduler=Scheduler, more=bint)
    cpdef bint rest(self) except -1
    @cython.locals(entry=tuple, cell=Cell, kind=int)
    cpdef void deliver(self) except *
    @cython.locals(scheduler=Scheduler, reply=Reply)
    cdef void _carry_out(self, int kind, object target, object what, object value) except *
    @cython.locals(limit=Py_ssize_t, must_wake=bint, may_drop=bint)
    cdef object _offer(self, Cell cell, object item)
    @cython.locals(must_wake=bint, is_open=bint, cell=Cell)
    cdef bint _put(self, int kind, object target, object what, object value) except -1
    @cython.locals(has_room=bint)
    cpdef bint let_in_urgent(self, Cell cell) except -1
    @cython.locals(left=Py_ssize_t)
    cpdef void urgent_left(self, Cell cell, Py_ssize_t count) except *
    @cython.locals(count=Py_ssize_t)
    cdef bint _let_in_urgent(self, Cell cell) except -1
    cdef bint _append(self, tuple entry) except -1
    cdef object _asker(self)
    cpdef Reply ask(self, Cell cell, object message, int64_t timeout_us)
    @cython.locals(origin=Reply, envelope=Reply)
    cpdef Reply ask_urgent(self, Cell cell, object message, int64_t timeout_us)
    @cython.locals(origin=Reply, envelope=Reply)
    cdef tuple _question(self, object asker, Cell cell, object message)


@cython.final
cdef class _Return:
    cdef public Reply origin
