cimport cython
from libc.stdint cimport int64_t
from .cdn_choice cimport Cdn
from .decisions cimport Decisions
from .interest cimport Interest
from .ledger cimport Ledger
from .peer_choice cimport Peer
from .racing cimport Races
from .transfers cimport Mark, Transfer, Want
from .trials cimport Trials
from .windows cimport Timeline


cdef class Policy:
    cdef readonly Ledger _book
    cdef Races _races
    cdef Trials _trials
    cdef Decisions _decisions
    cdef readonly Interest interest
    cdef object _asked_us
    cdef bint _is_behind

    @cython.locals(is_news=bint)
    cpdef list handle(self, object event, int64_t now_us)
    cpdef bint note(self, object event, int64_t now_us) except -1
    cpdef bint note_progress(self, int64_t transfer, int64_t byte_count, int64_t repeated_bytes,
                             int64_t now_us) except -1
    @cython.locals(book=Ledger)
    cdef bint _take_in(self, object event, int64_t now_us) except -1
    @cython.locals(book=Ledger, cdn=Cdn, known=Cdn)
    cdef void _added(self, object event) except *
    @cython.locals(transfer=Transfer, want=Want)
    cdef bint _started(self, object event, int64_t now_us) except -1
    @cython.locals(byte_count=int64_t, sent_bytes=int64_t)
    cdef void _progressed(self, object event, int64_t now_us) except *
    @cython.locals(book=Ledger, transfer=Transfer, want=Want, cdn=Cdn, came_bytes=int64_t)
    cdef void _came(self, object number, int64_t byte_count, int64_t sent_bytes, int64_t repeated_bytes,
                    int64_t now_us) except *
    @cython.locals(transfer=Transfer, want=Want)
    cdef void _ended(self, object event, int64_t now_us) except *
    @cython.locals(transfer=Transfer, want=Want, mark=Mark, cdn=Cdn)
    cdef void _failed(self, object event, int64_t now_us) except *
    @cython.locals(timeline=Timeline, want=Want)
    cdef void _requested(self, object key, int64_t now_us) except *
    @cython.locals(other=Timeline)
    cdef void _tell_the_others(self, Timeline timeline, object key) except *
    @cython.locals(timeline=Timeline, want=Want)
    cdef void _released(self, object key, int64_t now_us) except *
    @cython.locals(timeline=Timeline, want=Want)
    cdef void _completed(self, object event, int64_t now_us) except *
    @cython.locals(want=Want)
    cdef void _dropped(self, object key) except *
    @cython.locals(timeline=Timeline, want=Want)
    cdef void _listed(self, object event, int64_t now_us) except *
    @cython.locals(want=Want)
    cdef void _restart(self, object rendition, int64_t now_us) except *
    @cython.locals(want=Want)
    cdef void _audit(self, object event, int64_t now_us) except *
    @cython.locals(want=Want, mark=Mark, peer=Peer, cdn=Cdn)
    cdef void _blamed(self, object event, int64_t now_us) except *
    @cython.locals(want=Want)
    cdef void _discarded(self, object key, tuple suspects, int64_t keep_bytes, int64_t now_us) except *
    @cython.locals(peer=Peer)
    cdef void _joined(self, object event, int64_t now_us) except *
    @cython.locals(peer=Peer)
    cdef void _left(self, object name, object reason, int64_t now_us, bint is_fault) except *


cdef object _wrong(Ledger book, object key)
