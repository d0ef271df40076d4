cimport cython
from libc.stdint cimport int64_t

cdef int64_t _SLOT_BITS
cdef int64_t _SLOT_US
cdef int64_t _RING
cdef int64_t _PLACE_BITS
cdef int64_t _PLACE_MASK


@cython.final
cdef class _Slot:
    cdef list keys
    cdef list calls

    @cython.locals(place=int64_t)
    cdef void put(self, int64_t within_us, object callback, tuple arguments) except *
    @cython.locals(count=int64_t, key=int64_t)
    cdef void add(self, _Slot other) except *


@cython.final
cdef class Agenda:
    cdef readonly int64_t time_us
    cdef readonly object callback
    cdef readonly tuple arguments
    cdef int64_t _count
    cdef int64_t _slot
    cdef _Slot _begun
    cdef list _late
    cdef list _ring
    cdef int64_t _in_ring
    cdef dict _far
    cdef list _slots

    @cython.locals(number=int64_t, slot=_Slot)
    cpdef void put(self, int64_t time_us, object callback, tuple arguments=*) except *
    @cython.locals(keys=list, calls=list, begun_us=int64_t, late_us=int64_t, key=int64_t, place=int64_t)
    cpdef bint take(self, int64_t before_us) except -1
    @cython.locals(number=int64_t, place=int64_t, begun=_Slot, far=_Slot)
    cdef bint _begin(self, int64_t before_us) except -1
    @cython.locals(far=int64_t, number=int64_t, slot=_Slot)
    cdef int64_t _next(self) except? -2
