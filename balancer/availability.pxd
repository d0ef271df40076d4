cimport cython
from libc.stdint cimport int64_t


@cython.final
cdef class Holdings:
    cdef readonly object name
    cdef readonly object number
    cdef readonly frozenset held
    cdef readonly frozenset fetching
    cdef readonly bint is_told
    cdef object bit
    cdef _Swarm swarm
    cdef readonly list unread

    cpdef void says(self, frozenset held, frozenset fetching) except *
    cpdef void says_news(self, frozenset held, frozenset fetching, tuple news) except *
    cdef void set(self, frozenset held, frozenset fetching, tuple news) except *
    cpdef frozenset news(self, frozenset held, frozenset fetching)


@cython.final
cdef class _Swarm:
    cdef object rendition
    cdef dict peers
    cdef list unread
    cdef list _names
    cdef dict _holders
    cdef dict _fetchers
    cdef dict _orders
    cdef int64_t told_count
    cdef int64_t version

    cdef Holdings join(self, object name)
    cdef void leave(self, Holdings peer) except *
    cdef object holders(self, object number)
    cdef object fetchers(self, object number)
    @cython.locals(known=tuple)
    cdef tuple in_order(self, object number)
    @cython.locals(peer=Holdings, news=tuple)
    cdef void catch_up(self) except *
    cdef void _number(self, Holdings peer) except *
    @cython.locals(peer=Holdings)
    cdef void _number_anew(self) except *


cdef void _mark(dict index, object number, object bit, bint is_set) except *


@cython.final
cdef class Availability:
    cdef dict _swarms
    cdef dict _peers
    cdef readonly bint has_lacked

    @cython.locals(swarm=_Swarm)
    cpdef void join(self, object peer, object rendition) except *
    @cython.locals(known=Holdings)
    cpdef void leave(self, object peer) except *
    cpdef Holdings peer(self, object name)
    @cython.locals(known=Holdings)
    cpdef void announce(self, object peer, frozenset held, frozenset fetching) except *
    @cython.locals(known=Holdings)
    cpdef void lacks(self, object peer, object number) except *
    @cython.locals(swarm=_Swarm)
    cpdef int64_t peer_count(self, object rendition) except -1
    @cython.locals(swarm=_Swarm, known=Holdings)
    cpdef list known_peers(self, object rendition)
    @cython.locals(swarm=_Swarm, known=Holdings)
    cpdef list known_numbers(self, object rendition)
    @cython.locals(swarm=_Swarm)
    cpdef int64_t version(self, object rendition) except -1
    @cython.locals(known=Holdings)
    cpdef bint holds(self, object peer, object number) except -1
    @cython.locals(known=Holdings)
    cpdef int64_t held_count(self, object peer) except -1
    @cython.locals(swarm=_Swarm)
    cpdef int64_t holder_count(self, object rendition, object number) except -1
    @cython.locals(swarm=_Swarm)
    cpdef tuple holders(self, object rendition, object number)
    @cython.locals(swarm=_Swarm)
    cpdef bint is_being_fetched(self, object rendition, object number) except -1
