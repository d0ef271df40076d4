"""Running numbers of what has no number of its own in a playlist: init sections, keys, parts.

The same name, a URI and a range, has the same number for as long as it is listed, and then for as long as no more
than `NAMES_MAX` names left after it.  Two names of one load have two numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shoal.balancer.model import ByteRange, Kind

__all__ = ["NAMES_MAX", "SEVERAL", "Listed", "Name", "Names"]

# Remembered besides those of the playlist at hand.  A key for each 6 s segment makes
# 600 an hour; a player comes back for one within its buffer, seconds to minutes long.
# Parts are listed for three target durations, and asked for while they are.
NAMES_MAX = 1024
SEVERAL = -1  # no number, since it would be more than one

Name = tuple[Kind, str, ByteRange | None]
Listed = tuple[Kind, int]


class Use:
    """What the load at hand says of a number."""

    __slots__ = ("count", "first", "name")

    def __init__(self, name: Name, first: int) -> None:
        self.name = name
        self.first = first  # segment that names it
        self.count = 1  # how often it is named


class Names:
    def __init__(self) -> None:
        self.uses: dict[Listed, Use] = {}
        self._numbers: dict[Name, int] = {}
        self._left: dict[Name, None] = {}  # the first to leave first
        self._fewer: dict[Listed, Name] = {}  # what the load before named, and this one may not
        self._next = {Kind.INIT: 0, Kind.KEY: 0, Kind.PART: 0}

    def __len__(self) -> int:
        return len(self._numbers)

    def number(self, name: Name) -> int | None:
        """None for a name that the load at hand does not have."""
        number = self._numbers.get(name)
        use = None if number is None else self.uses.get((name[0], number))
        return number if use is not None and use.name == name else None

    def begin(self) -> None:
        """A load begins of which all is read."""
        self._fewer = {listed: use.name for listed, use in self.uses.items()}
        self.uses = {}

    def lessen(self, less: Mapping[Listed, int]) -> None:
        """A load begins that names these so much less often, before it names others."""
        for listed, count in less.items():
            use = self.uses[listed]
            use.count -= count
            if not use.count:
                self._fewer[listed] = use.name
                del self.uses[listed]

    def use(self, name: Name, first: int, renewed: int) -> tuple[int, bool]:
        """The number of this name, `renewed` if that is new and there is one; and whether this load has it first."""
        number = self._remembered(name, None if renewed == SEVERAL else renewed)
        use = self.uses.get((name[0], number))
        if use is not None and use.name != name:  # this load has both names: to a player they are two
            del self._numbers[name]
            number, use = self._remembered(name, None), None
        if use is None:
            self.uses[name[0], number] = Use(name, first)
        else:
            use.count += 1
        return number, use is None

    def use_again(self, named: Iterable[Listed]) -> None:
        """What `use` gave for the segment above, whose names this one has."""
        for listed in named:
            self.uses[listed].count += 1

    def finish(self) -> None:
        """The load has ended."""
        for listed in sorted(self._fewer):
            if self.number(self._fewer[listed]) is None:
                self._left[self._fewer[listed]] = None
        self._fewer.clear()
        while len(self._left) > NAMES_MAX:
            name = next(iter(self._left))
            del self._left[name], self._numbers[name]

    def _remembered(self, name: Name, renewed: int | None) -> int:
        number = self._numbers.get(name, renewed)
        if number is None:
            number = self._next[name[0]]
            self._next[name[0]] += 1
        self._numbers[name] = number
        self._left.pop(name, None)
        return number
