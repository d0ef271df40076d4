"""Parts that are not listed: those that come next, and those that a late player still asks for.  Sans-IO.

A playlist of a low-latency stream hints at the part that comes next, and a player asks
for it at once.  The request waits here until the playlist has the part: from then on its
range is known, and it is a resource as any other, to be had from any CDN.  An open request
to one CDN instead would save its way there and back, and could neither be moved to
another nor told from one that hangs.
"""

from __future__ import annotations

from collections.abc import Iterable

from shoal.runtime import Reply

from ..errors import UnknownResource
from ..model import ResourceKey
from .messages import Listed

__all__ = ["Hinted"]

# Of a rendition: ten seconds of parts of a third of a second.  A player that is later than that has run dry.
PARTS_KEPT = 32


class Hinted:
    def __init__(self) -> None:
        self._keys: dict[int, frozenset[ResourceKey]] = {}  # by rendition: one or two, and no more than a playlist may
        self._asked: dict[ResourceKey, list[tuple[int, Reply]]] = {}
        self._unlisted: dict[int, dict[ResourceKey, None]] = {}  # in the order in which they went

    def take(self, key: ResourceKey, reader: int, reply: Reply) -> bool:
        """Whether it waits here from now on; False for what nothing hints at."""
        if key not in self._keys.get(key.rendition, ()):
            return False
        still = [(number, asked) for number, asked in self._asked.get(key, ()) if asked.is_waiting]
        self._asked[key] = [*still, (reader, reply)]
        return True

    def listed(self, listed: Listed) -> list[tuple[ResourceKey, int, Reply]]:
        """Whose part is there now; fails those whose part will not come after all."""
        self._keys[listed.rendition] = listed.hinted
        now = {segment.key for segment in listed.segments}
        there: list[tuple[ResourceKey, int, Reply]] = []
        for key in [key for key in self._asked if key.rendition == listed.rendition and key not in listed.hinted]:
            for reader, reply in self._asked.pop(key):
                if key in now:
                    there.append((key, reader, reply))
                else:
                    reply.fail(UnknownResource(f"{key} was hinted at and did not come; load the playlist", key=key))
        return there

    def passed(self, rendition: int, keys: Iterable[ResourceKey]) -> frozenset[ResourceKey]:
        """`keys` are parts that are listed no longer: those of them which nobody will ask for again."""
        before = self._unlisted.get(rendition, {})
        now = dict.fromkeys(keys)
        kept = {key: None for key in before if key in now} | now
        gone = [*kept][: max(0, len(kept) - PARTS_KEPT)]
        self._unlisted[rendition] = kept
        return frozenset(gone)
