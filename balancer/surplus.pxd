cimport cython
from libc.stdint cimport int64_t
from .ledger cimport Ledger
from .transfers cimport Transfer, Want

cdef int64_t _NEVER_US


@cython.final
cdef class Surplus:
    cdef Ledger _book

    cpdef bint has_room(self, object deadline_us, object bytes_per_s, int64_t now_us) except -1
    @cython.locals(last=Transfer, transfer=Transfer, want=Want)
    cpdef Transfer to_yield(self, int64_t now_us)
    @cython.locals(one_us=int64_t, other_us=int64_t)
    cdef bint _is_later(self, Transfer one, Transfer other) except -1
    cdef int64_t _deadline(self, Transfer transfer) except? -1
    @cython.locals(book=Ledger, want=Want, transfer=Transfer)
    cdef bint _fits(self, object deadline_us, list more, object share, int64_t now_us) except -1
    cdef bint _plays_before(self, object key, object deadline_us) except -1
