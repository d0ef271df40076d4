cimport cython
from libc.stdint cimport int64_t
from ..mixing cimport mix_three
from .agenda cimport Agenda

cdef int64_t _LIVE_LAG
cdef int64_t _PART_OF_PLAYLIST_RTTS
cdef int64_t _CONNECT_RTTS
cdef int64_t _RING
cdef list _BITS
cdef int64_t _DOUBLINGS_MAX


@cython.final
cdef class _Want:
    cdef int64_t number
    cdef int64_t seen_us
    cdef int64_t turn_us
    cdef int64_t armed_us
    cdef bint is_asked


@cython.final
cdef class _Neighbour:
    cdef _Viewer viewer
    cdef int64_t asked
    cdef int64_t slow_until_us
    cdef int64_t in_vain


@cython.final
cdef class _Viewer:
    cdef readonly object place
    cdef int64_t rtt_us
    cdef int64_t arrives_us
    cdef int64_t send_us
    cdef int64_t take_us
    cdef int64_t up_free_us
    cdef int64_t down_free_us
    cdef int64_t safe_us
    cdef bint has_connected
    cdef int64_t asked
    cdef list neighbours
    cdef int64_t held
    cdef int64_t fetching
    cdef int64_t next
    cdef int64_t needed
    cdef int64_t dry_us
    cdef dict wants
    cdef object outcome


@cython.final
cdef class _World:
    cdef object _scenario
    cdef object _config
    cdef Agenda _agenda
    cdef int64_t _now_us
    cdef int64_t _event_count
    cdef object _members
    cdef dict _peaks
    cdef int64_t _segment_us
    cdef int64_t _size_bytes
    cdef int64_t _turn_us
    cdef int64_t _retry_us
    cdef int64_t _cdn_rtt_us
    cdef double _cdn_us
    cdef double _cdn_free_us
    cdef list _viewers

    @cython.locals(agenda=Agenda, end_us=int64_t, viewer=_Viewer)
    cpdef object run(self)
    cpdef void _arrive(self, _Viewer viewer) except *
    cpdef void _begin(self, _Viewer viewer) except *
    @cython.locals(known=_Neighbour)
    cpdef void _connect(self, _Viewer viewer, _Viewer other) except *
    cdef int64_t _available(self) except -1
    cpdef void _reload(self, _Viewer viewer) except *
    @cython.locals(end=int64_t, want=_Want)
    cdef void _look(self, _Viewer viewer) except *
    cpdef void _again(self, _Viewer viewer, _Want want) except *
    @cython.locals(now_us=int64_t, bit=int64_t, plays_us=int64_t, safe_us=int64_t, best=_Neighbour, is_known=bint)
    cdef void _find(self, _Viewer viewer, _Want want) except *
    @cython.locals(best=_Neighbour, known=_Neighbour, other=_Viewer, is_known=bint)
    cdef tuple _longest_ago(self, _Viewer viewer, int64_t bit)
    @cython.locals(known=_Neighbour, before=int64_t)
    cdef int64_t _rank(self, _Viewer viewer, int64_t number) except -1
    @cython.locals(peer=_Viewer, begins_us=int64_t, ends_us=int64_t, part=double)
    cdef void _from_peer(self, _Viewer viewer, _Want want, _Neighbour known, int64_t safe_us) except *
    cpdef void _rescue(self, _Viewer viewer, _Want want, _Viewer peer, double part) except *
    @cython.locals(rtts=int64_t, answers_us=int64_t, ends_us=int64_t)
    cdef void _from_cdn(self, _Viewer viewer, _Want want, double part) except *
    @cython.locals(bit=int64_t, old=int64_t, byte_count=int64_t, known=_Neighbour, other=_Viewer, want=_Want,
                   way_us=int64_t)
    cpdef void _came(self, _Viewer viewer, int64_t number, _Viewer peer, double part) except *
    cdef void _deliver(self, _Viewer viewer) except *
    cdef void _finish(self, _Viewer viewer) except *
