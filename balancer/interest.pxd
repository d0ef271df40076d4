cimport cython
from libc.stdint cimport int64_t
from .availability cimport Holdings
from .decisions cimport Decisions
from .ledger cimport Ledger
from .peer_choice cimport Peer
from .transfers cimport Want
from .windows cimport Timeline


@cython.final
cdef class Interest:
    cdef Ledger _book
    cdef Decisions _decisions

    cpdef bint is_due(self, int64_t now_us) except -1
    @cython.locals(book=Ledger, said=Holdings, timeline=Timeline, want=Want, peer=Peer, is_held=bint,
                   held=frozenset, fetching=frozenset)
    cpdef bint heeds(self, object announced, int64_t now_us) except -1
    @cython.locals(book=Ledger, timeline=Timeline, want=Want, lowest=int64_t, highest=int64_t,
                   number=int64_t, first=int64_t, last=int64_t)
    cpdef tuple numbers(self, int64_t now_us)
