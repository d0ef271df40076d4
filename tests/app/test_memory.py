"""What an interpreter holds: by type, and the biggest with who refers to them."""

from __future__ import annotations

import gc
from collections.abc import Callable

import msgspec
import pytest

from shoal.app.memory import MemoryReport, memory_report


class Holder:
    """Of the bytes that the tests look for."""

    __slots__ = ("__weakref__", "data")

    def __init__(self, byte_count: int) -> None:
        self.data = bytes(byte_count)


def test_the_biggest_object_is_named_with_who_refers_to_it() -> None:
    holder = Holder(64 * 1024 * 1024)
    biggest = memory_report().biggest[0]
    assert biggest.name == "bytes"
    assert len(holder.data) < biggest.byte_count < len(holder.data) + 100
    assert any(name.endswith("Holder") for name in biggest.holders)


class Received(msgspec.Struct, frozen=True):
    """Bytes and nothing else, so that the garbage collector does not know of it, nor of who holds them."""

    data: bytes


@pytest.mark.parametrize(
    ("wrap", "named"),
    [
        (Received, f"{Received.__module__}.Received"),
        (lambda data: (data,), "tuple of list"),
        (lambda data: [data], "list of list"),
    ],
)
def test_what_the_collector_does_not_know_is_named_too(wrap: Callable[[bytes], object], named: str) -> None:
    kept = [wrap(bytes(64 * 1024 * 1024))]
    gc.collect()  # which stops to follow a tuple of bytes
    biggest = memory_report().biggest[0]
    assert biggest.name == "bytes"
    assert biggest.holders == (named,)
    assert len(kept) == 1


def test_what_is_held_by_many_small_objects_is_counted_by_type() -> None:
    before = memory_report(None)
    holders = [Holder(1000) for _ in range(5000)]
    after = memory_report(None)

    def count(report: MemoryReport, name: str) -> int:
        return next((kind.count for kind in report.kinds if kind.name == name), 0)

    name = f"{Holder.__module__}.Holder"
    assert count(after, name) - count(before, name) == len(holders)
    grown = {kind.name: kind.byte_count for kind in after.kinds}["bytes"]
    assert grown - {kind.name: kind.byte_count for kind in before.kinds}["bytes"] > 4_900_000


def test_a_report_is_bounded_and_goes_through_json() -> None:
    report = memory_report(5)
    assert len(report.kinds) == 5
    assert len(report.biggest) == 10
    assert report.is_whole
    assert report.byte_count >= sum(kind.byte_count for kind in report.kinds)
    sizes = [kind.byte_count for kind in report.kinds]
    assert sizes == sorted(sizes, reverse=True)
    assert msgspec.json.decode(msgspec.json.encode(report), type=MemoryReport) == report
