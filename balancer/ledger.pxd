cimport cython
from libc.stdint cimport int64_t
from .availability cimport Availability
from .bandwidth cimport Estimate
from .cdn_choice cimport Cdn
from .line cimport Line
from .peer_choice cimport Peer
from .spread cimport Spread
from .transfers cimport Transfer, Want
from .windows cimport Timeline

cdef int64_t _WAKE_US_MIN


@cython.final
cdef class Ledger:
    cdef readonly object config
    cdef readonly object seed
    cdef readonly Availability availability
    cdef readonly object reputation
    cdef readonly object returning
    cdef readonly Spread spread
    cdef readonly Line line
    cdef readonly dict cdns
    cdef readonly dict peers
    cdef readonly object audits
    cdef readonly dict past_peers
    cdef readonly dict timelines
    cdef readonly dict wants
    cdef readonly dict open
    cdef readonly dict transfers
    cdef readonly int64_t transfer_count
    cdef readonly dict media_bytes_per_s
    cdef readonly dict too_small
    cdef public int64_t busy_until_us
    cdef public int64_t came_bytes
    cdef public int64_t repeated_bytes
    cdef public list actions
    cdef public object wake_us

    @cython.locals(want=Want, peer=Peer, cdn=Cdn, estimate=Estimate)
    cpdef void close(self, Transfer transfer, int64_t now_us, bint succeeded) except *
    cdef bint _fell_behind(self, Transfer transfer, Estimate estimate, int64_t now_us) except -1
    cpdef Want cancel(self, Transfer transfer, object reason, int64_t now_us)
    cpdef Want stop(self, Want want, object reason, int64_t now_us)
    cpdef void want_again(self, Want want) except *
    cpdef void leave(self, Want want) except *
    @cython.locals(peer=Peer)
    cpdef void verified(self, Want want) except *
    @cython.locals(peer=Peer)
    cpdef void settle(self, Want want) except *
    @cython.locals(transfer=Transfer, peer=Peer, first_byte_limit_us=int64_t, stall_limit_us=int64_t)
    cpdef void start(self, Want want, object source, object why, int64_t now_us, tuple beside=*) except *
    @cython.locals(timeline=Timeline)
    cpdef tuple grows(self, object key, int64_t now_us)
    cpdef tuple limits(self, Want want, Estimate estimate, int64_t now_us)
    @cython.locals(transfer=Transfer)
    cpdef void hurry(self, Want want, int64_t now_us) except *
    cpdef void later(self, int64_t time_us, int64_t now_us) except *
    @cython.locals(timeline=Timeline)
    cpdef object deadline_us(self, object key)
    @cython.locals(timeline=Timeline)
    cpdef object part(self, object key)
    cpdef Estimate estimate(self)
    cpdef Estimate estimate_of(self, Transfer transfer)
    cpdef object demand(self, Transfer transfer)
    @cython.locals(timeline=Timeline)
    cpdef bint is_hashed(self, object key) except -1
    @cython.locals(timeline=Timeline)
    cpdef bint is_audited(self, object key) except -1
    cpdef bint is_shared(self, Want want, Timeline timeline) except -1
    @cython.locals(timeline=Timeline, whole_bytes=int64_t, rate=double, duration_us=int64_t)
    cpdef int64_t size_bytes(self, Want want, object segment=*) except -1
    cpdef bint is_mostly_there(self, Want want) except -1
    @cython.locals(timeline=Timeline)
    cpdef bint is_gone(self, object key) except -1
