cimport cython
from libc.stdint cimport int64_t
# Named before the viewer's twin is read, which names them as well.
cdef class Transfer
cdef class CdnTransfer(Transfer)
cdef class PeerTransfer(Transfer)

from .flows cimport Flow
from .viewer cimport Viewer
from .world cimport Cdn, World

cdef double _SLOW_BYTES_PER_S
cdef double _CHOKED_BYTES_PER_S


cdef class Transfer:
    cdef readonly Viewer viewer
    cdef readonly World world
    cdef readonly int64_t number
    cdef readonly object key
    cdef readonly object label
    cdef readonly bint fills_line
    cdef readonly int64_t size_bytes
    cdef readonly int64_t first_byte
    cdef public int64_t kept_bytes
    cdef public list parts
    cdef public bint is_wrong
    cdef public tuple wrong
    cdef object _due_us
    cdef object _armed_us
    cdef bint _hangs
    cdef public bint is_choked
    cdef double _unchoked_cap
    cdef Flow _flow
    cdef int64_t _flow_bytes
    cdef int64_t _told_bytes

    cpdef bint is_running(self) except -1
    cpdef int64_t end_bytes(self) except -1
    cpdef void begin(self) except *
    cpdef void due_at(self, object time_us) except *
    cpdef void _arrived(self, int64_t armed_us) except *
    @cython.locals(came=int64_t, new=int64_t)
    cpdef void tell_progress(self) except *
    cpdef void failed(self, object reason, object status=*) except *
    cpdef void stop(self) except *
    @cython.locals(rest=int64_t)
    cdef void _start_flow(self, tuple links, int64_t rtt_us, double loss, object cap=*) except *
    cdef int64_t _flow_bytes_now(self) except? -1
    @cython.locals(came=int64_t)
    cdef void _count(self) except *
    cdef void _sent(self, int64_t byte_count) except *
    cdef void _end_flow(self) except *
    cdef void _gone(self) except *


cdef class CdnTransfer(Transfer):
    cdef readonly Cdn cdn
    cdef bint _is_first
    cdef int64_t _rtt_us

    cpdef void begin(self) except *
    cpdef void _answer(self) except *
    cdef void _sent(self, int64_t byte_count) except *


cdef class PeerTransfer(Transfer):
    cdef readonly Viewer peer
    cdef object _peer_name
    cdef bint _gave
    cdef int64_t _rtt_us
    cdef readonly object who

    cpdef void begin(self) except *
    cpdef void _answer(self) except *
    @cython.locals(flow=Flow)
    cpdef void choke(self, bint is_choked) except *
    cdef void _sent(self, int64_t byte_count) except *
    cpdef void failed(self, object reason, object status=*) except *
    cpdef void refused(self) except *
    cdef void _gone(self) except *
