cimport cython
from libc.stdint cimport int64_t

cdef int64_t _SLOT_BITS
cdef int64_t _RING


@cython.final
cdef class Agenda:
    cdef int64_t _count
    cdef int64_t _slot
    cdef list _begun
    cdef list _late
    cdef list _ring
    cdef int64_t _in_ring
    cdef dict _far
    cdef list _slots

    @cython.locals(entry=tuple, slot=int64_t, entries=list)
    cpdef void put(self, int64_t time_us, object callback, tuple arguments=*) except *
    cpdef tuple take(self, int64_t before_us)
    @cython.locals(slot=int64_t, place=int64_t, begun=list)
    cdef bint _begin(self, int64_t before_us) except -1
    @cython.locals(far=int64_t, slot=int64_t, entries=list)
    cdef int64_t _next(self) except? -2
