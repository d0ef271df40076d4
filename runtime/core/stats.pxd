cimport cython
from libc.stdint cimport int64_t

cdef int _BUCKETS
cdef int64_t _WAITS_ALL
cdef int64_t _WAITS_EVERY


@cython.final
cdef class Stats:
    cdef public int64_t handled
    cdef public int64_t slices
    cdef public int64_t run_ns
    cdef public int64_t taken_before
    cdef public int64_t queued_peak
    cdef public int64_t ready_ns
    cdef public int64_t measured_from
    cdef public list waits

    @cython.locals(wait_us=int64_t, bucket=int)
    cpdef void waited(self, int64_t now_ns) except *
