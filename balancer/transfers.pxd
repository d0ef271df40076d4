cimport cython
from libc.stdint cimport int64_t
from .bandwidth cimport Estimate

cdef int64_t _FLIGHT_BYTES
cdef int64_t _FLIGHT_US


@cython.final
cdef class Mark:
    cdef public int64_t count
    cdef public int64_t not_before_us
    cdef public bint never
    cdef public dict reasons

    cpdef void failed(self, object reason, int64_t now_us, object config) except *


@cython.final
cdef class Accusation:
    cdef readonly object label
    cdef readonly object reason
    cdef readonly double bytes_per_s
    cdef readonly object silent_us


@cython.final
cdef class Want:
    cdef public object key
    cdef public object phase
    cdef public bint urgent
    cdef public int64_t urgent_since_us
    cdef public int64_t received_bytes
    cdef public object total_bytes
    cdef public object etag
    cdef public object transfer
    cdef public object rival
    cdef public int64_t attempts
    cdef public int64_t moves
    cdef public int64_t slow_until_us
    cdef public bint fails_over
    cdef public Accusation accusation
    cdef public dict marks
    cdef public tuple asked
    cdef public bint from_cdns
    cdef public tuple audited_at
    cdef public tuple suspects

    @cython.locals(found=Mark)
    cpdef Mark mark(self, object label)
    cpdef void start_anew(self) except *


@cython.final
cdef class Transfer:
    cdef public int64_t number
    cdef readonly Want want
    cdef readonly object key
    cdef public object label
    cdef public bint is_peer
    cdef public tuple beside
    cdef public Estimate estimate
    cdef public int64_t started_us
    cdef public int64_t first_byte_limit_us
    cdef public int64_t stall_limit_us
    cdef public int64_t expected_us
    cdef public double usual_us
    cdef public int64_t grows_until_us
    cdef public bint is_probe
    cdef public object first_byte_us
    cdef public int64_t received_bytes
    cdef public int64_t ahead_bytes
    cdef public int64_t quiet_since_us
    cdef public int64_t quiet_bytes
    cdef public int64_t slice_start_us
    cdef public int64_t slice_bytes
    cdef public object bytes_per_s

    cpdef void answered(self, int64_t now_us, Estimate estimate) except *
    cpdef void progressed(self, int64_t byte_count, int64_t now_us, int64_t stall_bytes_min) except *
    cpdef int64_t silence_due_us(self) except? -1
    cpdef int64_t silence_limit_us(self) except? -1
    @cython.locals(duration_us=int64_t, rate=double)
    cpdef void close_slice(self, int64_t now_us, Estimate estimate) except *
