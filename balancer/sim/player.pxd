cimport cython
from libc.stdint cimport int64_t


@cython.final
cdef class Player:
    cdef object _stream
    cdef int64_t _buffer_us
    cdef int64_t _duration_us
    cdef int64_t _length_us
    cdef public object position
    cdef public int64_t rendition
    cdef public tuple waiting
    cdef int64_t _media_end_us
    cdef int64_t _head_us
    cdef int64_t _ticked_us
    cdef readonly bint is_playing
    cdef public int64_t paused_until_us
    cdef readonly bint has_begun
    cdef readonly int64_t stall_us
    cdef readonly int64_t stalls
    cdef readonly int64_t played_us
    cdef list _rates

    cpdef void start(self, int64_t segment, int64_t now_us) except *
    cpdef int64_t buffered_us(self) except? -1
    cpdef int64_t left_us(self, int64_t now_us) except -1
    cpdef bint has_played_all(self, int64_t now_us) except -1
    cpdef tuple next_segment(self, int64_t available)
    cpdef int64_t room_us(self) except -1
    @cython.locals(mean=double, place=int64_t)
    cpdef void delivered(self, int64_t now_us, double bytes_per_s) except *
    cpdef void pause(self, int64_t now_us, int64_t until_us) except *
    cpdef object runs_dry_us(self)
    @cython.locals(from_us=int64_t, played=int64_t)
    cpdef void tick(self, int64_t now_us) except *
