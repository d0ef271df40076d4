cimport cython
from libc.stdint cimport int64_t
from .transfer cimport CdnTransfer, PeerTransfer, Transfer
from .world cimport World


@cython.final
cdef class Neighbours:
    cdef object _viewer
    cdef World _world
    cdef readonly dict _met
    cdef dict _joined
    cdef dict _numbers
    cdef dict _told
    cdef dict _announcing

    cpdef void join(self, object rendition) except *
    cpdef void leave(self) except *
    cpdef void ban(self, object other, object rendition) except *
    cpdef void drop(self, object other, object rendition) except *
    cpdef void _connect(self, object other, object rendition) except *
    cpdef void meet(self, object other, object rendition) except *
    cpdef void hold(self, object key) except *
    cpdef void tell(self, object rendition) except *
    @cython.locals(swarm=int64_t)
    cpdef void _announce(self, int64_t rendition) except *
    @cython.locals(t=Transfer, held=frozenset, fetching=frozenset)
    cdef object _holdings(self, object rendition)
    @cython.locals(way_us=int64_t)
    cdef void _send(self, object other, object rendition, object event) except *
    cpdef void hear(self, object other, object rendition, object event) except *
