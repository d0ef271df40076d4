cimport cython
from libc.stdint cimport int64_t, uint64_t
from .availability cimport Availability
from .mixing cimport mix_three


@cython.final
cdef class Spread:
    cdef object _config
    cdef int64_t _seed
    cdef Availability _availability
    cdef dict _own
    cdef dict _joined_us
    cdef dict _seen_us
    cdef dict _ranks
    cdef readonly double deviations

    cpdef void joined(self, object rendition, int64_t now_us) except *
    cpdef void met(self, object rendition, object own) except *
    cpdef void forget(self, object key) except *
    cpdef void keep(self, dict window) except *
    cpdef bint hopes(self, object rendition, int64_t now_us) except -1
    @cython.locals(try_us=int64_t, first_us=int64_t)
    cpdef int64_t safe_us(self, int64_t expected_us, double spread) except? -1
    cpdef int64_t turn_us(self, object key, int64_t now_us) except? -1
    @cython.locals(version=int64_t)
    cdef int64_t _rank(self, object key) except -1
    @cython.locals(mine=uint64_t, before=int64_t, rendition=int64_t, number=int64_t, peer=int64_t)
    cdef int64_t _rank_anew(self, object key) except -1
