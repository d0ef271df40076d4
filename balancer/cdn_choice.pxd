cimport cython
from libc.stdint cimport int64_t
from .bandwidth cimport Estimate
from .transfers cimport Mark, Want


@cython.final
cdef class Circuit:
    cdef object _config
    cdef int64_t _failures
    cdef int64_t _openings
    cdef int64_t _blames
    cdef object _open_until_us
    cdef int64_t _blamed_until_us
    cdef readonly bint is_broken
    cdef public int64_t good_in_row
    cdef public bint probing

    cpdef object state(self, int64_t now_us)
    cpdef int64_t ready_us(self, int64_t now_us) except? -1
    cpdef void failed(self, int64_t now_us) except *
    cpdef void succeeded(self, int64_t now_us) except *
    cpdef void blamed(self, int64_t now_us) except *


@cython.final
cdef class Cdn:
    cdef readonly object name
    cdef readonly object label
    cdef public object weight
    cdef public object price_per_gb
    cdef public object priority
    cdef public int64_t commit_bytes
    cdef public bint is_used
    cdef public int64_t sent_bytes
    cdef readonly int64_t place
    cdef readonly Estimate estimate
    cdef readonly Circuit circuit
    cdef public int64_t retry_at_us
    cdef public object explored_us
    cdef public int64_t last_used
    cdef public int64_t falls
    cdef public int64_t transfer_count
    cdef public int64_t running_count
    cdef public int64_t audits_failed

    @cython.locals(mark=Mark, ready_us=int64_t)
    cpdef object ready_us(self, Want want, int64_t now_us, bint last_resort=*)
    cpdef int64_t expected_us(self, int64_t byte_count, int64_t now_us, object config,
                              object most_bytes_per_s=*) except -1
    @cython.locals(expected_us=int64_t)
    cpdef bint is_sure(self, int64_t byte_count, int64_t slack_us, int64_t now_us, object config) except -1
    cpdef bint is_unknown(self, int64_t now_us, object config) except -1
    cdef object _again_us(self, object config)
    @cython.locals(expected_us=int64_t)
    cpdef double score(self, int64_t byte_count, int64_t now_us, object config, object most_bytes_per_s=*) except? -1.0
