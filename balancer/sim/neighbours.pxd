cimport cython
from libc.stdint cimport int64_t
cdef class Neighbours  # named before the viewer's twin is read, which names it as well

from ..availability cimport Holdings
from ..choking cimport Account
from ..policy cimport Policy
from .transfer cimport CdnTransfer, PeerTransfer, Transfer
from .viewer cimport Viewer
from .world cimport World


@cython.final
cdef class _Word:
    cdef object event
    cdef frozenset held
    cdef frozenset held_before
    cdef frozenset fetching
    cdef frozenset fetching_before
    cdef tuple news
    cdef bint is_first
    cdef int64_t lowest
    cdef int64_t highest


@cython.final
cdef class _Channel:
    cdef Neighbours own
    cdef Holdings _said
    cdef Account _account
    cdef bint is_open
    cdef int64_t way_us
    cdef int64_t rendition
    cdef object tell
    cdef object hearing
    cdef Viewer other

    cdef void opened(self, Holdings said, Account account) except *
    cdef void close(self) except *
    @cython.locals(said=Holdings)
    cpdef void hear(self, _Word word) except *


@cython.final
cdef class Neighbours:
    cdef public bint knows_interest
    cdef int64_t _from
    cdef int64_t _to
    cdef int64_t _until_us
    cdef Policy _policy
    cdef World _world
    cdef readonly Viewer viewer
    cdef dict _news
    cdef readonly dict _met
    cdef dict _joined
    cdef dict _numbers
    cdef dict _told
    cdef dict _up_to_date
    cdef dict _announcing

    cpdef void join(self, object rendition) except *
    @cython.locals(channel=_Channel)
    cpdef void leave(self) except *
    cpdef void ban(self, Viewer other, object rendition) except *
    cpdef void drop(self, Viewer other, object rendition) except *
    @cython.locals(channel=_Channel)
    cdef bint _closed(self, Viewer other, object rendition) except -1
    @cython.locals(near=_Channel, far=_Channel)
    cpdef void connect(self, Viewer other, object rendition) except *
    cdef void _meet(self, _Channel channel) except *
    cpdef void hold(self, object key) except *
    cpdef void tell(self, object rendition) except *
    @cython.locals(word=_Word, know_it=dict, channel=_Channel, arguments=tuple)
    cpdef void _announce(self, int64_t rendition) except *
    cdef void _heard_late(self, object rendition, _Word word) except *
    @cython.locals(t=Transfer, held=frozenset, fetching=frozenset)
    cdef object _holdings(self, object rendition)
    cdef void _send(self, _Channel channel, tuple arguments) except *
    @cython.locals(policy=Policy, now_us=int64_t)
    cdef bint heeds(self, _Word word) except -1


cdef bint _is_same(object before, object after) except -1
