"""How a player fares, read off its requests, in the words of CMCD (CTA-5004-B: `sta`, told with events of type `ps`).

    s   starting      it asked for a first segment, and nothing plays yet
    p   playing       what it waited for is there
    k   seeking       it asks for something elsewhere, which is not there yet
    r   rebuffering   a segment is due and not there
    e   ended         the last segment of a video is over

    asked, came, left, failed        a segment between the player and us; each gives the states that follow, in order
    due_us() / passed(now_us)        when time alone brings another; that one

Deadlines are those of windows.py, which are never later than the player's own: a rebuffering that is told may be one
that the player's last tenths of a second have bridged.  That it is paused, nobody knows but the player: it is not told,
and no end either while it may be.  Sans-IO.
"""

from __future__ import annotations

import msgspec

from .model import Kind, ResourceKey, Segment

__all__ = ["PlayerStates"]

AWAITED_MAX = 64  # segments at once; a player asks for a handful
_NEAR_SEGMENTS = 4  # a request this near to the one before is no seek: players fill picture and sound in turns


class _Awaited(msgspec.Struct, frozen=True):
    duration_us: int
    deadline_us: int | None  # None: nothing plays
    is_last: bool


class PlayerStates:
    def __init__(self) -> None:
        self.state = ""  # nothing was asked for
        self._awaited: dict[ResourceKey, _Awaited] = {}
        self._newest_us = 0  # where on the timeline the newest request was
        self._end_us: int | None = None  # when all is played

    def asked(
        self, segment: Segment, deadline_us: int | None, now_us: int, *, is_there: bool = False, is_last: bool = False
    ) -> list[str]:
        """The player wants it; `is_last`: nothing follows it, ever."""
        distance_us = abs(segment.start_us - self._newest_us)
        is_far = segment.key.kind is Kind.MEDIA and distance_us > _NEAR_SEGMENTS * segment.duration_us
        is_elsewhere = self.state == "e" or (self.state != "" and is_far)
        self._newest_us, self._end_us = segment.start_us, None
        if is_elsewhere:
            self._awaited.clear()
            deadline_us = None
        self._awaited.pop(segment.key, None)
        self._awaited[segment.key] = _Awaited(segment.duration_us, deadline_us, is_last)
        if len(self._awaited) > AWAITED_MAX:
            del self._awaited[next(iter(self._awaited))]
        new = self._to("s" if self.state == "" else "k" if is_elsewhere and self.state != "s" else self.state)
        return new + (self.came(segment.key, now_us) if is_there else [])

    def came(self, key: ResourceKey, now_us: int) -> list[str]:
        """All of it is there."""
        one = self._awaited.pop(key, None)
        if one is None:
            return []
        if one.is_last:
            self._end_us = max(now_us, one.deadline_us or 0) + one.duration_us
        is_waited_for = any(each.deadline_us is None or each.deadline_us <= now_us for each in self._awaited.values())
        return [] if is_waited_for else self._to("p")

    def left(self, key: ResourceKey) -> None:
        """The player wants it no more, or cannot have it."""
        self._awaited.pop(key, None)

    def due_us(self) -> int | None:
        """When `passed` is to be asked next; None: not before something else happens."""
        if self.state != "p":
            return None
        deadlines = [each.deadline_us for each in self._awaited.values() if each.deadline_us is not None]
        if not deadlines:
            return None if self._awaited else self._end_us
        return min(deadlines)

    def passed(self, now_us: int) -> list[str]:
        due_us = self.due_us()
        if due_us is None or now_us < due_us:
            return []
        return self._to("r" if self._awaited else "e")

    def _to(self, state: str) -> list[str]:
        if state == self.state:
            return []
        self.state = state
        return [state]
