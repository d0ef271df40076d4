cimport cython
from libc.stdint cimport int64_t
cdef class Neighbours  # named before the viewer's twin is read, which names it as well

from ..availability cimport Availability
from ..policy cimport Policy
from .transfer cimport CdnTransfer, PeerTransfer, Transfer
from .viewer cimport Viewer
from .world cimport World


@cython.final
cdef class _Word:
    cdef object event
    cdef tuple whose
    cdef object peer
    cdef frozenset held
    cdef frozenset held_before
    cdef frozenset held_news
    cdef frozenset fetching
    cdef frozenset fetching_before
    cdef frozenset fetching_news
    cdef bint is_first
    cdef int64_t lowest
    cdef int64_t highest


@cython.final
cdef class Neighbours:
    cdef public bint knows_interest
    cdef Policy _policy
    cdef Availability _availability
    cdef readonly object hearing
    cdef list _unread
    cdef int64_t _from
    cdef int64_t _to
    cdef int64_t _until_us
    cdef dict _news
    cdef Viewer _viewer
    cdef World _world
    cdef readonly dict _met
    cdef dict _joined
    cdef dict _numbers
    cdef dict _told
    cdef dict _up_to_date
    cdef dict _announcing

    cpdef void join(self, object rendition) except *
    cpdef void leave(self) except *
    cpdef void ban(self, object other, object rendition) except *
    cpdef void drop(self, object other, object rendition) except *
    cpdef void _connect(self, object other, object rendition) except *
    cpdef void meet(self, object other, object rendition) except *
    cpdef void hold(self, object key) except *
    cpdef void tell(self, object rendition) except *
    @cython.locals(swarm=int64_t, word=_Word, know_it=dict, other=Viewer)
    cpdef void _announce(self, int64_t rendition) except *
    cdef void _heard_late(self, object rendition, _Word word) except *
    @cython.locals(t=Transfer, held=frozenset, fetching=frozenset)
    cdef object _holdings(self, object rendition)
    @cython.locals(way_us=int64_t)
    cdef void _send(self, Viewer other, _Word word) except *
    cpdef void hear(self, _Word word) except *
    cdef bint _may_matter(self, _Word word) except -1
    @cython.locals(unread=list, last=dict, word=_Word)
    cpdef void catch_up(self) except *
    cdef void _foresee(self, _Word word) except *


cdef bint _is_same(object before, object after) except -1
