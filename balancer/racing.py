"""Two sources for one resource, for a moment: who is sooner stays.

A transfer that is silent for longer than its source usually is, or slow while another
source promises to be sooner, need not be left on suspicion.  The other begins beside it,
from the byte that was reached, and is its *rival*.  The first goes on meanwhile, so
nothing is lost if the other does no better:

    silent   whoever brings the next byte stays
    slow     whoever is ahead, or clearly faster after a look at both; the rival if it passes, the
             first if the two only share the viewer's line

A rival is a CDN: peers that are tried one after the other share what little they have to send, and
meanwhile it gets late.  Bytes of the one that is behind come twice.  They are counted, and may be `race_share` of
all that came: without that much in hand a transfer is moved instead, or waited for, and a
race that used it up is decided at once.  A CDN is a rival of a silent one only from the
last safe moment on: before that, waiting costs nothing.  (J. Dean and L. A. Barroso, "The Tail at
Scale", 2013, call this a hedged request.)

Without hashes a peer has no rival: bytes of two would have to be told apart without knowing
which are right.  Nor have several peers that bring ranges: what came of later ones would come twice.
"""

from __future__ import annotations

from .cdn_choice import Cdn
from .ledger import Ledger
from .peer_choice import Peer
from .transfers import Transfer, Want
from .trials import Trials

__all__ = ["Races"]

_LOOK_US = 400_000  # at both, as for any projection of a finish
_SILENT_TIMES = 3  # the usual wait for a first byte: past nearly all of them, and before it counts as a failure
_PIECE_BYTES = 65_536  # what one that answers late after all has sent when it is stopped


class Races:
    __slots__ = ("_book", "_trials")

    def __init__(self, book: Ledger, trials: Trials) -> None:
        self._book = book
        self._trials = trials

    def may_begin(self, transfer: Transfer, want: Want, rival: Cdn | Peer) -> bool:
        """Whether `rival` may begin beside the transfer, as far as bytes that come twice go.  Only CDNs are rivals."""
        book = self._book
        if want.rival is not None or isinstance(rival, Peer) or transfer.beside:
            return False
        if transfer.is_peer and not book.is_hashed(want.key):
            return False
        answer_us = rival.estimate.first_byte_us or book.config.unmeasured_first_byte_us
        ahead_bytes = (transfer.bytes_per_s or 0.0) * (answer_us + _LOOK_US) / 1_000_000
        return max(ahead_bytes, _PIECE_BYTES) <= self._left_bytes()

    def silent_us(self, transfer: Transfer) -> int | None:
        """When a transfer without an answer has been silent long enough for a race; None: never."""
        config = self._book.config
        if transfer.first_byte_us is not None or self._left_bytes() < _PIECE_BYTES:
            return None
        usual_us = self._book.estimate_of(transfer).first_byte_us or config.unmeasured_first_byte_us
        return transfer.started_us + max(config.first_byte_limit_us_min, int(_SILENT_TIMES * usual_us))

    def progressed(self, transfer: Transfer, want: Want, now_us: int, is_ahead: bool) -> None:
        """One of two that race brought something; `is_ahead`: some of it was not there."""
        first, rival = self._runners(want)
        if self._left_bytes() < 0:
            self._end(first if transfer is rival and is_ahead else rival, now_us)
        elif is_ahead and transfer is rival:
            self._end(first, now_us)
        elif is_ahead and first.first_byte_us is not None and first.first_byte_us >= rival.started_us:
            self._end(rival, now_us)  # it was only silent

    def look(self, want: Want, now_us: int) -> int | None:
        """Decide a race of which enough is seen; else when to look again, None while one of the two is silent."""
        first, rival = self._runners(want)
        if first.first_byte_us is None or rival.first_byte_us is None:
            return None
        due_us = max(first.first_byte_us, rival.first_byte_us) + _LOOK_US
        if now_us < due_us:
            return due_us
        is_faster = (first.bytes_per_s or 0.0) < self._book.config.move_gain * (rival.bytes_per_s or 0.0)
        self._end(first if is_faster else rival, now_us)
        return None

    def _runners(self, want: Want) -> tuple[Transfer, Transfer]:
        assert want.transfer is not None
        assert want.rival is not None
        return self._book.transfers[want.transfer], self._book.transfers[want.rival]

    def _left_bytes(self) -> float:
        """How many may still come twice."""
        return self._book.config.race_share * self._book.came_bytes - self._book.repeated_bytes

    def _end(self, loser: Transfer, now_us: int) -> None:
        """Stop it, and remember of its source why it lost."""
        book, want = self._book, loser.want
        first, rival = self._runners(want)
        estimate = book.estimate_of(loser)
        if loser.first_byte_us is None:
            estimate.first_byte(now_us - loser.started_us)
        if loser is rival and loser.first_byte_us is not None:
            # It promised more than it kept: as after a move, the next one waits a little longer.
            want.moves += 1
            want.slow_until_us = now_us + (_LOOK_US << min(want.moves, 8))
            self._trials.in_vain(now_us)
        elif loser is first and loser.first_byte_us is not None:
            estimate.fell_to(loser.bytes_per_s or 0.0)
            self._trials.gained()
            if not loser.is_peer:
                book.cdns[loser.label].falls += 1
        book.cancel(loser, "raced", now_us)
        if loser is first and not rival.is_peer:
            book.cdns[rival.label].last_used = rival.number
