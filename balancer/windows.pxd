cimport cython
from libc.stdint cimport int64_t


@cython.final
cdef class Timeline:
    cdef object _config
    cdef public tuple segments
    cdef readonly object parts
    cdef public bint is_live
    cdef dict _places
    cdef int64_t _first
    cdef dict _keys
    cdef readonly object newest
    cdef tuple _window
    cdef public object requested_us
    cdef public object origin_us
    cdef object _delivered_us
    cdef int64_t _usual_lead_us
    cdef dict _elsewhere_us

    cpdef list replace(self, tuple segments, bint is_live)
    @cython.locals(dropped=int64_t, left=int64_t, added=tuple, gone=list)
    cdef list _slide(self, tuple segments)
    cpdef bint is_hashed(self, object key) except -1
    cpdef object listed(self, object key)
    cpdef object find(self, object key)
    cpdef object key_of(self, object number)
    cpdef void requested(self, object key, int64_t now_us) except *
    cpdef void part_requested(self, object key, int64_t now_us) except *
    cpdef void delivered(self, object key, int64_t now_us) except *
    cpdef void requested_elsewhere(self, object segment) except *
    cpdef void switched_away(self) except *
    cpdef void take_over(self, Timeline other) except *
    cpdef bint is_active(self, int64_t now_us) except -1
    cpdef object deadline_us(self, object key)
    cpdef object starts_us(self, object segment)
    cpdef tuple ahead(self, int64_t now_us)
    @cython.locals(end_us=int64_t)
    cdef tuple _after(self, object newest)
