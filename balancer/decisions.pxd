cimport cython
from libc.stdint cimport int64_t
from .bandwidth cimport Estimate
from .ledger cimport Ledger
from .peer_choice cimport Peer
from .racing cimport Races
from .selection cimport Selection
from .surplus cimport Surplus
from .transfers cimport Transfer, Want
from .trials cimport Trials
from .windows cimport Timeline

cdef int64_t _SLICE_US_MIN
cdef int64_t _PROJECTION_US_MIN


@cython.final
cdef class _Ahead:
    cdef Want want
    cdef object segment
    cdef Timeline timeline
    cdef object deadline_us
    cdef int64_t size_bytes


@cython.final
cdef class Decisions:
    cdef Ledger _book
    cdef Races _races
    cdef Trials _trials
    cdef Selection _select
    cdef Surplus _surplus
    cdef int64_t _safe_bytes
    cdef int64_t _safe_for_us
    cdef int64_t _planned_us
    cdef object _plan_us
    cdef bint _is_crowded

    cdef void rank_peers(self, int64_t priority) except *
    @cython.locals(transfer=Transfer, is_flowing=bint, is_full=bint, is_cdn=bint)
    cpdef void take(self, int64_t now_us, bint is_news=*) except *
    cdef bint _is_plan_good(self, int64_t now_us) except -1
    @cython.locals(want=Want, timeline=Timeline, window=dict)
    cdef void _plan(self, int64_t now_us) except *
    @cython.locals(size_bytes=int64_t)
    cdef bint may_ask(self, Peer peer, object key, Want want, Timeline timeline, int64_t now_us) except -1
    cdef void _look_anew(self) except *
    @cython.locals(want=Want, due_us=int64_t, missing_bytes=int64_t, needed_us=int64_t, is_long=bint, seen_us=int64_t,
                   safe_us=int64_t, target_us=int64_t, enough_us=int64_t, soon_us=int64_t, first_us=int64_t, look_at_us=int64_t, is_playing=bint,
                   lonely_us=int64_t, is_held=bint, patient_us=int64_t)
    cdef void _supervise(self, Transfer transfer, int64_t now_us) except *
    cdef int64_t _patient_us(self, Transfer transfer, Want want, object other, int64_t now_us) except? -1
    cdef bint _is_dearer(self, Transfer transfer, object other) except -1
    cdef void _start(self, Want want, object source, object why, int64_t now_us, tuple beside=*) except *
    cdef void _race_silent(self, Transfer transfer, Want want, int64_t now_us) except *
    @cython.locals(transfer=Transfer, want=Want)
    cdef void _yield(self, int64_t now_us) except *
    @cython.locals(timeline=Timeline)
    cdef void _overtake(self, Transfer transfer, Want want, int64_t needed_us, int64_t now_us) except *
    cdef tuple _alternative(self, Transfer transfer, Want want, int64_t now_us, bint any_peer,
                            bint is_long=*, int64_t enough_us=*)
    @cython.locals(t=Transfer)
    cdef object _line_left(self, Transfer transfer)
    @cython.locals(want=Want, estimate=Estimate)
    cdef void _move(self, Transfer transfer, object reason, int64_t now_us, object to=*) except *
    @cython.locals(timeline=Timeline)
    cdef void _serve(self, Want want, int64_t now_us) except *
    cdef object _cheaper_again_us(self, Want want, object chosen, object slack_us, int64_t now_us)
    @cython.locals(timeline=Timeline, size_bytes=int64_t, lead_us=int64_t, slack_us=int64_t, until_us=int64_t)
    cdef bint _can_wait(self, Want want, int64_t deadline_us, int64_t now_us) except -1
    @cython.locals(safe_us=int64_t, peer=Peer)
    cdef tuple _prefetch_peers(self, Want want, Timeline timeline, int64_t size_bytes, object slack_us, int64_t now_us)
    @cython.locals(expected_us=int64_t)
    cdef int64_t _safe_us(self, int64_t size_bytes, int64_t now_us) except? -1
    cdef void _give_up(self, Want want, object reason) except *
    @cython.locals(want=Want)
    cdef void _release(self, dict window, int64_t now_us) except *
    @cython.locals(transfer=Transfer, idle=Want, ahead=_Ahead, want=Want, timeline=Timeline, peer=Peer,
                   peer_room=int64_t, cdn_room=int64_t)
    cdef void _prefetch(self, dict window, int64_t now_us) except *
    cdef bint _has_room(self, object deadline_us, object bytes_per_s, int64_t now_us) except -1
    @cython.locals(book=Ledger, want=Want, timeline=Timeline, ahead=_Ahead)
    cdef list _in_order(self, dict window, int64_t now_us)
    cdef bint _is_busy_with(self, _Ahead ahead, int64_t now_us) except -1
    @cython.locals(book=Ledger, near_us=int64_t, safe_us=int64_t)
    cdef int64_t _cdn_lead_us(self, Want want, int64_t deadline_us, int64_t now_us, bint is_shared,
                              int64_t size_bytes) except? -1
    cdef bint _is_line_busy(self, Want want, Timeline timeline, int64_t now_us) except -1
