cimport cython
from libc.stdint cimport int64_t
from .bandwidth cimport Estimate
from .cdn_choice cimport Cdn
from .ledger cimport Ledger
from .transfers cimport Transfer, Want
from .trials cimport Trials

cdef int64_t _LOOK_US
cdef int64_t _PIECE_BYTES


@cython.final
cdef class Races:
    cdef Ledger _book
    cdef Trials _trials

    @cython.locals(book=Ledger)
    cpdef bint may_begin(self, Transfer transfer, Want want, object rival) except -1
    cpdef object silent_us(self, Transfer transfer)
    @cython.locals(first=Transfer, rival=Transfer)
    cpdef void progressed(self, Transfer transfer, Want want, int64_t now_us, bint is_ahead) except *
    @cython.locals(first=Transfer, rival=Transfer)
    cpdef object look(self, Want want, int64_t now_us)
    cdef tuple _runners(self, Want want)
    cdef double _left_bytes(self) except? -1.0
    @cython.locals(book=Ledger, want=Want, first=Transfer, rival=Transfer, estimate=Estimate, cdn=Cdn)
    cdef void _end(self, Transfer loser, int64_t now_us) except *
