"""The viewers of one rendition's swarm, as its tracker knows them."""

from __future__ import annotations

from heapq import nsmallest
from typing import Generic, Protocol, TypeVar

from ..mixing import mix

__all__ = ["Members"]

_DRAWS_EACH = 8  # for one neighbour: nearly all of a swarm only just larger than the neighbours are found so


class _Placed(Protocol):
    @property
    def place(self) -> int: ...


V = TypeVar("V", bound=_Placed)


class Members(Generic[V]):
    """The viewers of one swarm.  Joining, leaving and meeting cost the same in a swarm of any size."""

    def __init__(self) -> None:
        self._viewers: list[V] = []
        self._places: dict[int, int] = {}  # in the list, by the viewer's own place

    def join(self, viewer: V) -> None:
        self._places[viewer.place] = len(self._viewers)
        self._viewers.append(viewer)

    def leave(self, viewer: V) -> None:
        """Its place goes to the last of the list; who is not here has none."""
        place = self._places.pop(viewer.place, None)
        if place is None:
            return
        last = self._viewers.pop()
        if last is not viewer:
            self._viewers[place] = last
            self._places[last.place] = place

    def some(self, most: int, *numbers: int) -> list[V]:
        """At most so many of them, drawn by the numbers; of a small swarm all."""
        if len(self._viewers) <= most:
            return nsmallest(most, self._viewers, key=lambda viewer: mix(*numbers, viewer.place))
        drawn: dict[int, None] = {}
        for draw in range(_DRAWS_EACH * most):
            drawn[mix(*numbers, draw) % len(self._viewers)] = None
            if len(drawn) == most:
                break
        return [self._viewers[place] for place in drawn]
