cimport cython
from libc.stdint cimport int64_t
from .bandwidth cimport Estimate

cdef int64_t _SLICE_US
cdef int64_t _SLICE_US_MIN
cdef double _SHORT_UNKNOWN
cdef double _SHORT_MAX
cdef int64_t _SLICES


@cython.final
cdef class Line:
    cdef Estimate _estimate
    cdef double _deviations
    cdef object _since_us
    cdef int64_t _byte_count
    cdef bint _is_full
    cdef double _short
    cdef int64_t _slices
    cdef readonly object bytes_per_s
    cdef readonly object sure_bytes_per_s

    cpdef void came(self, int64_t byte_count) except *
    @cython.locals(length_us=int64_t, goes_on=bint)
    cpdef void look(self, int64_t now_us, bint is_flowing, bint is_full=*) except *
    @cython.locals(needed_us=double, short=double)
    cdef void _sample(self, int64_t length_us, int64_t now_us) except *
