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
from typing import Any

import msgspec

__all__ = ["Big", "Kind", "MemoryReport", "memory_report"]

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
    holders: tuple[str, ...]  # types, or names of modules, that refer to it; three at most


class MemoryReport(msgspec.Struct, frozen=True, kw_only=True):
    object_count: int
    byte_count: int
    is_whole: bool  # False: there are more objects than are looked at
    kinds: list[Kind]  # the ones with the most bytes first
    biggest: list[Big]


def memory_report(kinds_max: int | None = _KINDS) -> MemoryReport:
    """The types that take most, `kinds_max` of them or all, and the ten biggest objects."""
    counts: dict[type, list[int]] = {}
    biggest: list[tuple[int, int, object]] = []  # a heap, least first; the second number decides among equals
    number = 0
    for number, (one, size) in enumerate(_sizes(), 1):
        count = counts.setdefault(type(one), [0, 0])
        count[0] += 1
        count[1] += size
        if len(biggest) < _BIGGEST:
            heapq.heappush(biggest, (size, number, one))
        elif size > biggest[0][0]:
            heapq.heapreplace(biggest, (size, number, one))
    kinds = sorted(counts.items(), key=lambda item: -item[1][1])
    ours = {id(counts), id(biggest)}
    return MemoryReport(
        object_count=number,
        byte_count=sum(size for _, size in counts.values()),
        is_whole=number < _OBJECTS_MAX,
        kinds=[Kind(_name(kind), count, size) for kind, (count, size) in kinds[:kinds_max]],
        biggest=[
            Big(_name(type(one)), size, _holders(one, ours))
            for size, _, one in sorted(biggest, key=lambda big: -big[0])
        ],
    )


def _sizes() -> Iterator[tuple[object, int]]:
    """Every object once: those that the collector tracks, and what only they lead to, such as text and bytes."""
    waiting: list[object] = gc.get_objects()
    seen = {id(one) for one in waiting}
    seen |= {id(waiting), id(seen)}
    given = 0
    while waiting and given < _OBJECTS_MAX:
        one = waiting.pop()
        for other in gc.get_referents(one):
            if id(other) not in seen:
                seen.add(id(other))
                waiting.append(other)
        given += 1
        yield one, sys.getsizeof(one, 0)


def _holders(one: object, ours: set[int]) -> tuple[str, ...]:
    names: list[str] = []
    for holder in gc.get_referrers(one):
        if id(holder) in ours or type(holder).__name__ in {"frame", "generator"} or type(holder) is tuple:
            continue  # this report's own
        names.append(_name_of_holder(holder))
        if len(names) == 3:
            break
    return tuple(names)


def _name_of_holder(holder: Any) -> str:
    if isinstance(holder, ModuleType):
        return holder.__name__
    if isinstance(holder, dict) and isinstance(holder.get("__name__"), str):
        return str(holder["__name__"])[:100]  # of a module, or of a class
    return _name(type(holder))


def _name(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
