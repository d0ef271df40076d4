cimport cython
from libc.stdint cimport int64_t


@cython.final
cdef class _Known:
    cdef readonly object name
    cdef readonly object number
    cdef int64_t place
    cdef _Swarm swarm
    cdef frozenset held
    cdef frozenset fetching
    cdef readonly bint is_told
    cdef frozenset next_held
    cdef frozenset next_fetching
    cdef frozenset known_held_news
    cdef frozenset known_fetching_news

    cdef frozenset held_news(self, frozenset held)
    cdef frozenset fetching_news(self, frozenset fetching)


@cython.final
cdef class _Swarm:
    cdef object rendition
    cdef dict peers
    cdef dict holders
    cdef dict _orders
    cdef dict fetchers
    cdef int64_t told_count
    cdef int64_t version

    cdef void change(self, _Known peer, frozenset held, frozenset fetching) except *
    @cython.locals(holders=dict)
    cdef void _hold(self, _Known peer, frozenset held) except *
    @cython.locals(count=int64_t)
    cdef void _fetch(self, _Known peer, frozenset fetching) except *
    @cython.locals(known=tuple, places=dict)
    cdef tuple in_order(self, object number)


@cython.final
cdef class Availability:
    cdef dict _swarms
    cdef dict _peers
    cdef int64_t _joined
    cdef readonly bint has_lacked

    @cython.locals(swarm=_Swarm)
    cpdef void join(self, object peer, object rendition) except *
    @cython.locals(known=_Known, swarm=_Swarm)
    cpdef void leave(self, object peer) except *
    @cython.locals(known=_Known, swarm=_Swarm)
    cpdef void announce(self, object peer, frozenset held, frozenset fetching) except *
    @cython.locals(known=_Known)
    cpdef void foresee_held(self, object peer, frozenset before, frozenset after, frozenset news) except *
    @cython.locals(known=_Known)
    cpdef void foresee_fetching(self, object peer, frozenset before, frozenset after, frozenset news) except *
    @cython.locals(known=_Known, held_news=frozenset, fetching_news=frozenset)
    cpdef frozenset news(self, object peer, frozenset held, frozenset fetching)
    @cython.locals(known=_Known)
    cpdef object rendition(self, object peer)
    @cython.locals(known=_Known)
    cpdef void lacks(self, object peer, object number) except *
    @cython.locals(swarm=_Swarm)
    cpdef int64_t peer_count(self, object rendition) except -1
    @cython.locals(swarm=_Swarm, known=_Known)
    cpdef list known_peers(self, object rendition)
    @cython.locals(swarm=_Swarm, known=_Known)
    cpdef list known_numbers(self, object rendition)
    @cython.locals(swarm=_Swarm)
    cpdef int64_t version(self, object rendition) except -1
    @cython.locals(known=_Known)
    cpdef bint holds(self, object peer, object number) except -1
    @cython.locals(known=_Known)
    cpdef int64_t held_count(self, object peer) except -1
    @cython.locals(swarm=_Swarm, holders=dict)
    cpdef int64_t holder_count(self, object rendition, object number) except -1
    @cython.locals(swarm=_Swarm)
    cpdef tuple holders(self, object rendition, object number)
    @cython.locals(swarm=_Swarm)
    cpdef bint is_being_fetched(self, object rendition, object number) except -1
