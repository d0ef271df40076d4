cimport cython
from libc.stdint cimport int64_t
from shoal.runtime.core cimport _ticks as _clock
from shoal.runtime.core.scheduler cimport Scheduler
from shoal.runtime.turns cimport Ticket, Turns

cdef int64_t _PAUSE_NS
cdef int64_t _PAUSES_MIN
cdef int64_t _PAUSES_MAX
cdef int64_t _WORTH_A_WAIT


@cython.final
cdef class Lingering:
    cdef readonly Ticket ticket
    cdef public bint is_on
    cdef readonly bint is_closed
    cdef Turns _turns
    cdef Scheduler _scheduler
    cdef object _wake_loop
    cdef int64_t _rested_ns
    cdef int64_t _short_pauses
    cdef int64_t _pauses_needed
    cdef int64_t _rung_for

    cpdef void wake(self) except *
    @cython.locals(pause_ns=int64_t)
    cpdef void begin(self) except *
    cpdef void end(self) except *
    cpdef void go_on(self) except *
    cpdef void close(self) except *
    cpdef bint is_worth_it(self) except -1
    @cython.locals(began_ns=int64_t, now_ns=int64_t, scheduler=Scheduler, more=bint, ended=bint)
    cpdef int linger(self, int64_t budget_us, int64_t now_us) except -1
