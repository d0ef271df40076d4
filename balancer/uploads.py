"""Who of the peers is served now, and with how much at a time.

    may_begin(peer, ...)    why its request is refused for now, or None: it is served
    turn(peer, ...)         how many bytes go next, and after how long; None: others come first, ask again
    ended(peer, sent)       its upload is over, after so many bytes
    state(peer)             what it is told before it asks: free, busy or choked
    is_full                 whether whoever is not served yet finds it busy

Without a cap nobody waits but free riders (choking.py), and pieces are as large as channels take.

With one, uploads share it piece by piece, and a piece is so small that everybody who is served gets one each
`_ROUND_US`.  Else a cap of 128 KiB/s that sends 64 KiB at a time leaves three peers without a byte for a second
and a half: ours then take a source for stalled after 0.7 s, and p2p-media-loader cuts a peer that was silent for
two seconds three times.  What is left for each shrinks with their number, and below `_EACH_BYTES_PER_S` nobody is
helped: whoever comes then is refused, and asks somebody else at once.  That counts only while the cap is used up,
so that those who ask and hardly read keep nobody out.

Free riders have what nobody else wants, and no more.  Between two segments to one viewer lies a round trip, and a line
is not idle for that: they wait until it has rested for `_REST_US`, and their pieces are so small that whoever comes
while one is on its way hardly waits for it.  Without that each segment to somebody else began behind such a piece,
seemed slow, and its source was left; who has one or two of them then takes most from a CDN.

Memory: a few numbers for each peer that is served.
"""

from __future__ import annotations

from typing import NamedTuple

from .choking import Choking
from .rates import Pace

__all__ = ["Turn", "Uploads"]

_ROUND_US = 200_000  # a third of what our own peers take for silence, a tenth of what the package does
_PIECE_BYTES_MIN = 1024  # a packet; 32 peers at 128 KiB/s then have one each 250 ms
_EACH_BYTES_PER_S = 16 * 1024  # a segment of 100 kB in 6 s: a prefetch has 20
_REST_US = 1_000_000  # who wants something asks again well within that; a line that rests longer has room
_RIDER_ROUND_US = 20_000  # of a piece to a free rider: no more than a packet takes on a slow line
_BUSY_US = 100_000  # so far behind is a cap only when several wait for it
_RIDERS_BUSY_US = _RIDER_ROUND_US // 2  # the same where all of them ride free


class Turn(NamedTuple):
    byte_count: int
    delay_us: int


class Uploads:
    def __init__(self, bytes_per_s: int | None) -> None:
        self.choking = Choking()
        self._bytes_per_s = bytes_per_s
        self._pace = None if bytes_per_s is None else Pace(bytes_per_s)
        self._served_max = 0 if bytes_per_s is None else max(1, bytes_per_s // _EACH_BYTES_PER_S)
        self._used_us: int | None = None  # until when an upload to somebody has run who does not ride free
        self._paced_bytes: dict[str, int] = {}  # of uploads that run: what the pace has counted

    def may_begin(self, peer: str, now_us: int, *, hears_why: bool) -> str | None:
        """Why a request is refused (a word of extension.Refusal), or None: then its upload runs until `ended`.

        A free rider that would have to wait is told so if it `hears_why`; another would take a refusal for good.
        """
        state = self.state(peer, now_us)
        if state == "busy" or (state == "choked" and hears_why):
            return state
        self.choking.begin(peer)
        return None

    def state(self, peer: str, now_us: int) -> str:
        if self.is_full(now_us, besides=peer):
            return "busy"
        return "choked" if self._must_wait(peer, now_us) else "free"

    def is_full(self, now_us: int, *, besides: str | None = None) -> bool:
        """Whether the cap is used up by as many as it can help, for everybody, or for the peer `besides` these.

        Free riders wait for all others, so that who gives is not kept out by those whom it comes before.
        """
        if self._pace is None or self.choking.running_count(besides=besides) < self._served_max:
            return False
        rides_free = besides is not None and self.choking.rides_free(besides)
        if not rides_free and self.choking.giving_count(besides=besides) < self._served_max:
            return False
        return self._pace.behind_us(now_us) >= (_RIDERS_BUSY_US if rides_free else _BUSY_US)

    def turn(self, peer: str, byte_count: int, now_us: int, *, is_patient: bool) -> Turn | None:
        """What of `byte_count` bytes goes next."""
        self.choking.begin(peer)
        if is_patient and self._must_wait(peer, now_us):
            return None
        rides_free = self.choking.rides_free(peer)
        delay_us = 0
        if self._pace is not None and self._bytes_per_s is not None:
            round_us = _RIDER_ROUND_US if rides_free else _ROUND_US
            share = self._bytes_per_s * round_us // 1_000_000 // self.choking.running_count()
            byte_count = min(byte_count, max(_PIECE_BYTES_MIN, share))
            self._paced_bytes[peer] = self._paced_bytes.get(peer, 0) + byte_count
            delay_us = self._pace.delay_us(byte_count, now_us)
        if not rides_free:
            self._used_us = now_us + delay_us
        return Turn(byte_count, delay_us)

    def _must_wait(self, peer: str, now_us: int) -> bool:
        """Whether it rides free, and others are served, or were just now."""
        if not self.choking.rides_free(peer):
            return False
        is_used = self._used_us is not None and now_us < self._used_us + _REST_US
        return is_used or self.choking.must_wait(peer)

    def ended(self, peer: str, sent_bytes: int) -> None:
        self.choking.end(peer)
        paced_bytes = self._paced_bytes.pop(peer, 0)
        if self._pace is not None and paced_bytes > sent_bytes:
            # It was cancelled before its turn.  Who asks and cancels without end would have all turns else.
            self._pace.give_back(paced_bytes - sent_bytes)

    def leave(self, peer: str) -> None:
        self.choking.leave(peer)
        self._paced_bytes.pop(peer, None)
