cimport cython
from libc.stdint cimport int64_t
from .bandwidth cimport Estimate
from .transfers cimport Mark, Want

cdef int64_t _MEASURED
cdef int64_t _ON_PROBATION


@cython.final
cdef class Peer:
    cdef readonly object name
    cdef readonly object number
    cdef readonly object label
    cdef readonly object rendition
    cdef readonly object fingerprint
    cdef readonly object address
    cdef readonly Estimate estimate
    cdef public object transfer
    cdef public int64_t transfer_count
    cdef public int64_t last_used
    cdef public int64_t failures
    cdef public int64_t unfinished
    cdef public int64_t refusals
    cdef public int64_t cooldown_until_us
    cdef public bint is_greeted
    cdef public int64_t busy_until_us
    cdef public dict unverified
    cdef public bint was_right

    cpdef void failed(self, int64_t now_us, object config) except *
    cpdef void refused(self, int64_t now_us, object config) except *
    cpdef void was_busy(self, int64_t now_us, object config) except *
    cpdef void succeeded(self) except *
    @cython.locals(mark=Mark)
    cpdef bint may_serve(self, Want want) except -1
    @cython.locals(mark=Mark)
    cpdef bint is_ready(self, Want want, int64_t now_us, bint on_probation) except -1
    @cython.locals(wait_us=int64_t)
    cpdef bint is_forgiven(self, int64_t now_us, int64_t retry_us) except -1
    cpdef int64_t expected_us(self, int64_t byte_count, int64_t now_us, object config) except -1


cdef class InTime:
    cdef int64_t _byte_count
    cdef int64_t _limit_us
    cdef int64_t _now_us
    cdef bint _takes_unmeasured
    cdef double _rate
    cdef double _first_byte_us
    cdef int64_t _half_life_us
    cdef int64_t _retry_us

    cpdef InTime within(self, int64_t byte_count, int64_t limit_us, int64_t now_us, bint takes_unmeasured)
    @cython.locals(estimate=Estimate, most=double, expected_us=int64_t)
    cpdef bint holds(self, Peer peer) except -1


@cython.locals(best=Peer, peer=Peer, on_probation=bint, rank=int64_t, least=int64_t, mixed=int64_t, least_mixed=int64_t)
cpdef Peer best_peer(list ready, object number, object seed, InTime in_time=*)
