cimport cython
from libc.stdint cimport int64_t

cdef double _LN2
cdef double _FALLEN_LEFT
cdef double _FIRST_BYTE_WEIGHT
cdef double _SPREAD_UNKNOWN
cdef double _SPREAD_WEIGHT
cdef double _SPREAD_MAX
cdef int64_t _SAMPLE_US_MIN
cdef int64_t _HALF_LIVES_MAX


@cython.locals(whole=int64_t, power=int64_t, x=double, series=double)
cpdef double half_life_decay(int64_t elapsed_us, int64_t half_life_us) except -1.0


@cython.final
cdef class _Average:
    cdef int64_t half_life_us
    cdef double left
    cdef double value

    @cython.locals(keep=double)
    cdef void sample(self, int64_t weight_us, double value) except *
    cdef double corrected(self) except -1.0


@cython.final
cdef class Estimate:
    cdef int64_t _error_half_life_us
    cdef double _error_weight
    cdef _Average _fast
    cdef double _good_weight
    cdef _Average _slow
    cdef double _variance
    cdef int64_t _weighed_us
    cdef readonly object bytes_per_s
    cdef readonly int64_t error_count
    cdef readonly dict errors
    cdef readonly object first_byte_us
    cdef readonly int64_t good_count
    cdef readonly object sampled_us
    cdef readonly double spread

    @cython.locals(rate=double)
    cpdef void sample(self, int64_t duration_us, int64_t byte_count, int64_t now_us) except *
    @cython.locals(average=_Average, fallen=double)
    cpdef void fell_to(self, double bytes_per_s) except *
    cpdef void first_byte(self, int64_t duration_us) except *
    @cython.locals(late=double)
    cpdef void took(self, int64_t duration_us, int64_t expected_us) except *
    cpdef void succeeded(self, int64_t now_us) except *
    cpdef void failed(self, int64_t now_us, object reason) except *
    @cython.locals(keep=double, errors=double)
    cpdef double error_rate(self, int64_t now_us) except -1.0
    @cython.locals(keep=double, rate=double, sampled_us=int64_t)
    cpdef double believed_bytes_per_s(self, int64_t now_us, double bytes_per_s, int64_t half_life_us) except -1.0
    @cython.locals(rate=double, start_us=double)
    cpdef int64_t expected_us(self, int64_t byte_count, int64_t now_us, double bytes_per_s, double first_byte_us,
                              int64_t half_life_us, double most_bytes_per_s=*) except -1
    @cython.locals(keep=double)
    cdef void _decay(self, int64_t now_us) except *
