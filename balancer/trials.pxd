cimport cython
from libc.stdint cimport int64_t
from .cdn_choice cimport Cdn
from .ledger cimport Ledger
from .transfers cimport Accusation, Transfer, Want


@cython.final
cdef class Trials:
    cdef Ledger _book
    cdef int64_t _vain
    cdef public int64_t hold_until_us

    @cython.locals(want=Want, accusation=Accusation)
    cpdef void accuse(self, Transfer transfer, object reason, int64_t now_us) except *
    @cython.locals(accusation=Accusation, body_us=int64_t, rate=double, least=double, is_guilty=bint)
    cpdef void hear(self, Transfer transfer, int64_t now_us, bint is_over=*) except *
    cdef int64_t _prompt_us(self, Transfer transfer) except? -1
    cpdef void in_vain(self, int64_t now_us) except *
    cpdef void gained(self) except *
    @cython.locals(cdn=Cdn)
    cdef void _convict(self, Accusation accusation, int64_t now_us) except *
