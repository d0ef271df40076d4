cimport cython
from libc.stdint cimport int64_t
from .availability cimport Availability
from .cdn_choice cimport Cdn
from .line cimport Line
from .peer_choice cimport InTime, Peer
from .transfers cimport Transfer, Want
from .windows cimport Timeline


@cython.final
cdef class Selection:
    cdef object _config
    cdef object _seed
    cdef public int64_t peers_priority
    cdef dict _cdns
    cdef dict _peers
    cdef Availability _availability
    cdef object _reputation
    cdef Line _line
    cdef object _is_shared
    cdef int64_t _known_bytes
    cdef bint _is_any
    cdef int64_t soonest_us
    cdef double soonest_spread
    cdef int64_t _busy_bytes
    cdef int64_t _busy_us
    cdef bint _is_busy
    cdef object _greeted
    cdef InTime _in_time
    cdef double _rate
    cdef double _first_byte_us
    cdef int64_t _half_life_us

    @cython.locals(peer=Peer)
    cpdef object urgent(self, Want want, Timeline timeline, object size_bytes, object slack_us, int64_t now_us,
                        bint is_busy=*)
    @cython.locals(ready=list, left_us=int64_t, margin_us=int64_t, limit_us=int64_t)
    cpdef Peer prefetch_peer(self, Want want, Timeline timeline, int64_t size_bytes, int64_t now_us, object slack_us,
                             int64_t safe_us)
    cpdef tuple ready_cdn(self, Want want, Timeline timeline, object size_bytes, object slack_us, int64_t now_us)
    @cython.locals(peer=Peer)
    cpdef tuple together(self, Want want, Timeline timeline, int64_t size_bytes, int64_t limit_us, int64_t now_us)
    cpdef tuple expected(self, int64_t size_bytes, int64_t now_us, object line_bytes_per_s)
    cpdef int64_t expected_us(self, int64_t size_bytes, int64_t now_us, object line_bytes_per_s) except? -1
    @cython.locals(expected_us=int64_t)
    cpdef bint is_line_busy(self, int64_t size_bytes, int64_t duration_us, int64_t now_us) except -1
    cpdef void look_anew(self) except *
    @cython.locals(cdn=Cdn, soonest=Cdn, expected_us=int64_t)
    cpdef bint find_soonest(self, int64_t size_bytes, int64_t now_us) except -1
    @cython.locals(cdn=Cdn)
    cpdef bint may_share(self, Want want, Timeline timeline, int64_t now_us, object but=*) except -1
    cdef object _most(self, bint is_unknown=*)
    @cython.locals(cdn=Cdn)
    cdef bint have_all_failed(self, Want want, int64_t now_us, object but=*) except -1
    @cython.locals(cdn=Cdn)
    cdef list _ready_cdns(self, Want want, int64_t now_us)
    @cython.locals(ready=list, is_clean=bint, is_audited=bint, on_probation=bint, peer=Peer)
    cdef list _ready_peers(self, Want want, Timeline timeline, int64_t now_us, object but=*)


@cython.locals(rate=double)
cdef int64_t _line_us(int64_t size_bytes, object line_bytes_per_s) except? -1
