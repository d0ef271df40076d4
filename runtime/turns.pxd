cimport cython
from libc.stdint cimport int64_t
from .core cimport _gates
from .core cimport _latches
from .core cimport _ticks as _clock
from .core.ready cimport weighed

cdef int64_t LEAD_NS
cdef int64_t _PAUSE_NS
cdef Py_ssize_t LOOKS
cdef int64_t LET_IN_NS
cdef int64_t LET_IN_US


@cython.final
cdef class Ticket:
    cdef public int64_t had_ns
    cdef readonly int64_t weight
    cdef readonly bint is_rung
    cdef readonly bint is_parked
    cdef readonly bint is_dismissed
    cdef readonly int64_t parked_ns
    cdef int64_t _began_ns
    cdef int64_t _began_cpu_ns
    cdef int64_t _most_ns
    cdef readonly object gate

    cdef void begin(self, bint is_measured, int64_t most_ns) except *
    @cython.locals(used_ns=int64_t)
    cdef void charge(self) except *


@cython.final
cdef class Turns:
    cdef readonly int64_t taken_away
    cdef int64_t _patience_us
    cdef object _latch
    cdef Ticket _holder
    cdef int64_t _since_ns
    cdef int64_t _floor_ns
    cdef list _waiting
    cdef list _parked
    cdef int64_t _let_in_ns

    @cython.locals(given=bint, is_alone=bint)
    cpdef void take(self, Ticket ticket) except *
    @cython.locals(following=Ticket, had_it=bint, waits=bint, lets_in=bint)
    cpdef void rejoin(self, Ticket ticket) except *
    @cython.locals(following=Ticket)
    cpdef void hand_on(self, Ticket ticket) except *
    @cython.locals(following=Ticket, waits=bint, timeout_us=int64_t)
    cpdef bint park(self, Ticket ticket) except -1
    @cython.locals(given=bint, was_parked=bint)
    cpdef bint ring(self, Ticket ticket) except -1
    cpdef Py_ssize_t waiting(self) except -1
    @cython.locals(timeout_us=int64_t)
    cdef void _wait(self, Ticket ticket, Ticket following) except *
    @cython.locals(first=Ticket, dismissed=Ticket)
    cdef void _send_home(self, Ticket caller, bint is_leaving) except *
    cdef void _unpark(self, Ticket ticket) except *
    cdef bint _is_late(self) except -1
    cdef Ticket _let_go(self, Ticket ticket)
    cdef bint _enter(self, Ticket ticket) except -1
    @cython.locals(other=Ticket, low=Py_ssize_t, middle=Py_ssize_t, high=Py_ssize_t)
    cdef void _line_up(self, Ticket ticket) except *
    @cython.locals(count=Py_ssize_t)
    cdef Ticket _next(self)
    cdef void _give(self, Ticket ticket) except *
