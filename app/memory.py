"""What this interpreter holds: its objects by type, and the biggest of them with who refers to them.

    report = memory_report()

For a page, where no debugger looks into Python: the player's page shows it, and
`memoryReport()` in the browser's console gives it with WebAssembly's own size, which never
shrinks.  Sizes are `sys.getsizeof`'s, so what C code holds beside its objects is not in them.

Cost: it looks at every object, 1 us each natively and more in a page, and the page stands
still meanwhile: some tenths of a second.  Asked for, never by itself.
"""

from __future__ import annotations

import gc
import heapq
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any, TypeAlias

import msgspec

__all__ = ["Big", "Kind", "MemoryReport", "memory_report"]

# Size; a number of its own, which decides among equals; the object; what led to it.
_Found: TypeAlias = tuple[int, int, object, object]
# Of more, a page would stand still for seconds; the report then says that it looked at so many.
_OBJECTS_MAX = 2_000_000
_KINDS = 20
_BIGGEST = 10  # each costs a look at every object for who refers to it


class Kind(msgspec.Struct, frozen=True):
    """All objects of one type."""

    name: str
    count: int
    byte_count: int


class Big(msgspec.Struct, frozen=True):
    """One object, without what it refers to."""

    name: str
    byte_count: int
    holders: tuple[str, ...]  # three at most, types or modules; none: only C code, or what runs


class MemoryReport(msgspec.Struct, frozen=True, kw_only=True):
    object_count: int
    byte_count: int
    is_whole: bool  # False: there are more objects than are looked at
    kinds: list[Kind]  # the ones with the most bytes first
    biggest: list[Big]


def memory_report(kinds_max: int | None = _KINDS) -> MemoryReport:
    """The types that take most, `kinds_max` of them or all, and the ten biggest objects."""
    counts: dict[type, list[int]] = {}
    biggest: list[_Found] = []  # a heap, least first
    number = 0
    for number, (one, size, leader) in enumerate(_sizes(), 1):
        count = counts.setdefault(type(one), [0, 0])
        count[0] += 1
        count[1] += size
        if len(biggest) < _BIGGEST:
            heapq.heappush(biggest, (size, number, one, leader))
        elif size > biggest[0][0]:
            heapq.heapreplace(biggest, (size, number, one, leader))
    kinds = sorted(counts.items(), key=lambda item: -item[1][1])
    biggest.sort(key=lambda found: -found[0])
    ours = {id(counts), id(biggest), *map(id, biggest)}
    return MemoryReport(
        object_count=number,
        byte_count=sum(size for _, size in counts.values()),
        is_whole=number < _OBJECTS_MAX,
        kinds=[Kind(_name(kind), count, size) for kind, (count, size) in kinds[:kinds_max]],
        biggest=[Big(_name(type(found[2])), found[0], _holders(found[2], found[3], ours)) for found in biggest],
    )


def _sizes() -> Iterator[tuple[object, int, object]]:
    """Every object once, and what led to it: those that the collector tracks (None led to them), and what only they
    lead to, such as text and bytes.
    """
    waiting: list[object] = gc.get_objects()
    leaders: list[object] = []  # to those above the tracked ones, in the same order
    tracked_count = len(waiting)
    seen = {id(one) for one in waiting}
    seen |= {id(waiting), id(leaders), id(seen)}
    given = 0
    while waiting and given < _OBJECTS_MAX:
        one = waiting.pop()
        leader = leaders.pop() if len(waiting) >= tracked_count else None
        tracked_count = min(tracked_count, len(waiting))
        for other in gc.get_referents(one):
            if id(other) not in seen:
                seen.add(id(other))
                waiting.append(other)
                leaders.append(one)
        given += 1
        yield one, sys.getsizeof(one, 0), leader


def _holders(one: object, leader: object, ours: set[int]) -> tuple[str, ...]:
    """Who refers to it.

    The collector knows of nobody who holds bytes or text alone, a struct, a tuple or a dict: of them only `leader` is
    known, through which it was found.
    """
    referrers = _referrers(one, ours)
    if leader is not None and id(leader) not in set(map(id, referrers)):
        referrers.append(leader)
    around = {*ours, id(referrers)}
    return tuple(_name_of_holder(other, around) for other in referrers[:3])


def _referrers(one: object, ours: set[int]) -> list[object]:
    """Those that the collector knows, without what this report made."""
    found = gc.get_referrers(one)
    return [other for other in found if id(other) not in ours and type(other).__name__ not in {"frame", "generator"}]


def _name_of_holder(holder: Any, ours: set[int]) -> str:
    if isinstance(holder, ModuleType):
        return holder.__name__
    if isinstance(holder, dict) and isinstance(holder.get("__name__"), str):
        return str(holder["__name__"])[:100]  # of a module, or of a class
    name = _name(type(holder))
    if type(holder) not in {dict, list, set, tuple}:
        return name
    others = _referrers(holder, ours)  # a list says nothing; whose list it is does
    return f"{name} of {_name(type(others[0]))}" if others else name


def _name(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
