"""Who waits for which playlist, and for how much of it.  Sans-IO.

A player of a low-latency stream asks for a playlist before it is there (blocking
reload, formats/hls/blocking.py): it waits until the playlist has what it wants, or
until its patience ends, and then takes what there is.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from shoal.runtime import Reply

from ..formats.hls import NOTHING, Directives, Edge

__all__ = ["Waiting"]


class _Asked(msgspec.Struct, frozen=True):
    reply: Reply
    wanted: Directives
    until_us: int


class Waiting:
    """By rendition; None is the playlist that the session was given."""

    def __init__(self) -> None:
        self._asked: dict[int | None, list[_Asked]] = {}

    def __contains__(self, rendition: int | None) -> bool:
        return rendition in self._asked

    def add(self, rendition: int | None, reply: Reply, wanted: Directives, until_us: int) -> None:
        self._asked.setdefault(rendition, []).append(_Asked(reply, wanted, until_us))

    def least(self, rendition: int | None) -> Directives:
        """What the first of them is content with."""
        asked = self._asked.get(rendition, [])
        return min((one.wanted for one in asked), key=_order, default=NOTHING)

    def take(self, rendition: int | None, edge: Edge | None = None, now_us: int = 0) -> list[Reply]:
        """Those who wait no longer: since a playlist as far as `edge` is there, or their time is up; None: all."""
        asked = self._asked.pop(rendition, [])
        if edge is None:
            return [one.reply for one in asked]
        left = [one for one in asked if one.reply.is_waiting and not edge.has(one.wanted) and now_us < one.until_us]
        if left:
            self._asked[rendition] = left
        return [one.reply for one in asked if one not in left]

    def refuse(self, rendition: int | None, is_wrong: Callable[[Directives], bool]) -> list[tuple[Reply, Directives]]:
        """Those who want what is wrong to want; they wait no longer."""
        asked = self._asked.pop(rendition, [])
        left = [one for one in asked if not is_wrong(one.wanted)]
        if left:
            self._asked[rendition] = left
        return [(one.reply, one.wanted) for one in asked if is_wrong(one.wanted)]


def _order(wanted: Directives) -> tuple[int, int]:
    return (
        -1 if wanted.segment is None else wanted.segment,
        -1 if wanted.part is None else wanted.part,
    )
