"""How many peers each rendition of a session may have, and which renditions' swarms are left.

    use(rendition, now_us)      it is asked for, and is in use from now on
    enter(rendition), exit(...) one peer more, or less
    is_full(rendition)          whether it may have no more
    limit(rendition)            how many it may have, with those that it has
    debtor(rendition)           whose peer goes so that this one has one more; None: there is a place
    idle()                      the renditions whose swarms are to be left; leave(rendition) says that one was

Peers' protocol has a swarm for each stream, so a peer serves one rendition; what it costs is paid by the session, whose
`places_max` is for all renditions together.  Each that is in use has a share of them, all the same, and may have what
the others leave of theirs.  So the first one may take all, and the next one has its share from its first moment on: a
place that the first one has beyond its own is given up for it.

A rendition is in use until another one was asked for more than `idle_us` after it.  That time passes is not enough: who
pauses, or serves what it holds, asks for nothing, and is to stay.
"""

from __future__ import annotations

from collections import Counter

__all__ = ["Places"]


class Places:
    __slots__ = ("_counts", "_idle_us", "_places_max", "_used_us")

    def __init__(self, places_max: int, idle_us: int | None) -> None:
        """With `idle_us` None whatever was in use once stays so."""
        self._places_max = places_max
        self._idle_us = idle_us
        self._used_us: dict[int, int] = {}  # of renditions in use: when they were last asked for
        self._counts: Counter[int] = Counter()  # of peers, by rendition

    def use(self, rendition: int, now_us: int) -> None:
        self._used_us[rendition] = now_us

    def idle(self) -> list[int]:
        if self._idle_us is None or not self._used_us:
            return []
        since_us = max(self._used_us.values()) - self._idle_us
        return [rendition for rendition, used_us in self._used_us.items() if used_us < since_us]

    def leave(self, rendition: int) -> None:
        """It is in use no more.  Peers of it that are still here are counted until they go."""
        self._used_us.pop(rendition, None)

    def enter(self, rendition: int) -> None:
        self._counts[rendition] += 1

    def exit(self, rendition: int) -> None:
        self._counts[rendition] -= 1

    def is_full(self, rendition: int) -> bool:
        return self._counts[rendition] >= self.limit(rendition)

    def limit(self, rendition: int) -> int:
        if rendition not in self._used_us:
            return 0
        others = (self._kept(other) for other in self._counts if other != rendition)
        return max(0, self._places_max - sum(others))

    def debtor(self, rendition: int) -> int | None:
        """Asked while it is not full: then another one has more than it keeps, if all places are taken."""
        if self._counts.total() < self._places_max:
            return None
        others = [other for other in self._counts if other != rendition]
        return max(others, key=lambda other: self._counts[other] - self._kept(other))

    def _kept(self, rendition: int) -> int:
        """How many of its peers no other rendition can claim."""
        if rendition not in self._used_us:
            return 0
        return min(self._counts[rendition], max(1, self._places_max // len(self._used_us)))
