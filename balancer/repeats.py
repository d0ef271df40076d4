"""How much of each segment one peer was sent, so that nobody takes more of our upload than watching needs.

    may_send(number, byte_count, whole_bytes)   whether so much more of it is within the peer's share
    sent(number, byte_count)                    it was sent

A viewer needs each segment once, and again where the first came too late or was thrown away.  A peer that asks
for the same ones without end takes a line that nobody capped (uploads.py) for as long as it likes, and all of
what others leave of a capped one.  So each segment goes to one peer `times_max` times its length at most: then it
is `absent` for that peer.  What a peer can take of us is bounded by what we hold, whatever it asks for.

It says nothing of who comes back under another name, which costs a tracker's answer and a new connection each time.

Memory: a number for each segment that was sent, of the newest `_NUMBERS_MAX`.
"""

from __future__ import annotations

__all__ = ["Repeats"]

_NUMBERS_MAX = 4096  # two hours of a live stream in segments of 2 s: what is older has left windows and stores


class Repeats:
    def __init__(self, times_max: int) -> None:
        self._times_max = times_max
        self._sent_bytes: dict[int, int] = {}

    def may_send(self, number: int, byte_count: int, whole_bytes: int) -> bool:
        return self._sent_bytes.get(number, 0) + byte_count <= self._times_max * whole_bytes

    def sent(self, number: int, byte_count: int) -> None:
        if byte_count:
            self._sent_bytes[number] = self._sent_bytes.pop(number, 0) + byte_count
            if len(self._sent_bytes) > _NUMBERS_MAX:
                del self._sent_bytes[next(iter(self._sent_bytes))]
