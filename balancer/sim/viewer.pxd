cimport cython
from libc.stdint cimport int64_t
cdef class Viewer  # named before the twins are read that name it as well

from ..choking cimport Choking
from ..policy cimport Policy
from .flows cimport Link
from .neighbours cimport Neighbours
from .player cimport Player
from .transfer cimport CdnTransfer, PeerTransfer, Transfer
from .world cimport Cdn, World


@cython.final
cdef class Viewer:
    cdef readonly World world
    cdef readonly object place
    cdef readonly object spec
    cdef readonly int64_t rtt_us
    cdef readonly Link down
    cdef readonly Link up
    cdef readonly Player player
    cdef readonly object strategy
    cdef Policy _policy
    cdef readonly bint verifies
    cdef readonly object audits
    cdef readonly object outcome
    cdef readonly bint is_here
    cdef readonly dict transfers
    cdef readonly dict uploads
    cdef readonly Choking choking
    cdef readonly dict held
    cdef readonly dict parts
    cdef dict _wrong
    cdef readonly Neighbours neighbours
    cdef dict _connected
    cdef bint _is_behind
    cdef int64_t _wake_us
    cdef object _armed_us
    cdef int64_t _player_wake
    cdef int64_t _moving
    cdef int64_t _busy_since_us
    cdef int64_t _busy_us
    cdef int64_t _busy_bytes
    cdef object _line_rate

    cpdef object name_in(self, object rendition)
    cpdef void arrive(self) except *
    @cython.locals(transfer=Transfer)
    cpdef void leave(self) except *
    cpdef void finish(self) except *
    cpdef void _begin(self) except *
    @cython.locals(world=World)
    cpdef void _reload(self) except *
    cpdef void _follow_trace(self) except *
    cpdef void _play_on(self) except *
    cpdef void _look(self, int64_t wake) except *
    cpdef void _ask_again(self, object key) except *
    @cython.locals(player=Player)
    cpdef void _hand_over(self, object key) except *
    cpdef void _seek(self, object segment) except *
    cpdef void _pause(self, int64_t length_us) except *
    cpdef void feed(self, object event) except *
    @cython.locals(policy=Policy)
    cpdef void note(self, object event) except *
    cpdef void look(self) except *
    @cython.locals(policy=Policy)
    cpdef void progressed(self, int64_t transfer, int64_t byte_count, int64_t repeated_bytes) except *
    @cython.locals(policy=Policy, now_us=int64_t)
    cdef void _decide(self, object event) except *
    @cython.locals(policy=Policy)
    cpdef void hear(self, object event) except *
    @cython.locals(transfer=Transfer)
    cdef void _tell_progress(self) except *
    @cython.locals(world=World)
    cdef void _carry_out(self, object action) except *
    @cython.locals(transfer=Transfer)
    cdef void _cancel(self, object action) except *
    cdef void _arm(self, int64_t time_us) except *
    cpdef void _woken(self, int64_t armed_us) except *
    cdef void _started(self, Transfer transfer) except *
    @cython.locals(upload=PeerTransfer)
    cpdef void choke(self) except *
    cpdef void moves(self, int64_t change) except *
    cpdef void came(self, int64_t byte_count) except *
    @cython.locals(busy_us=int64_t)
    cpdef double line_bytes_per_s(self, int64_t byte_count) except? -1.0
    @cython.locals(most=int64_t, part=Transfer)
    cpdef int64_t end_bytes(self, Transfer transfer) except -1
    cpdef void blamed(self, Transfer transfer) except *
    @cython.locals(wrong=Transfer, part=Transfer, used=int64_t, left=int64_t, size=int64_t, keep=int64_t)
    cpdef void completed(self, object key) except *
    cpdef tuple wrong_of(self, object key)
    @cython.locals(part=Transfer, kept=int64_t)
    cpdef void discard(self, object key, int64_t keep_bytes) except *
