"""What an interpreter holds: by type, and the biggest with who refers to them.

Each in an interpreter of its own: one that has all tests in it holds a million objects, and a report looks at each.
"""

from __future__ import annotations

import functools
import gc
import subprocess
import sys
from collections.abc import Callable

import msgspec
import pytest

from shoal.app.memory import MemoryReport, memory_report


def in_a_small_interpreter(test: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(**parameters: str) -> None:
        command = [sys.executable, __file__, test.__name__, *parameters.values()]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        assert done.returncode == 0, done.stderr

    return run


class Holder:
    """Of the bytes that the tests look for."""

    __slots__ = ("__weakref__", "data")

    def __init__(self, byte_count: int) -> None:
        self.data = bytes(byte_count)


@in_a_small_interpreter
def test_the_biggest_object_is_named_with_who_refers_to_it() -> None:
    holder = Holder(64 * 1024 * 1024)
    biggest = memory_report().biggest[0]
    assert biggest.name == "bytes"
    assert len(holder.data) < biggest.byte_count < len(holder.data) + 100
    assert any(name.endswith("Holder") for name in biggest.holders)


class Received(msgspec.Struct, frozen=True):
    """Bytes and nothing else, so that the garbage collector does not know of it, nor of who holds them."""

    data: bytes


WRAPS: dict[str, tuple[Callable[[bytes], object], str]] = {
    "struct": (Received, f"{Received.__module__}.Received"),
    "tuple": (lambda data: (data,), "tuple of list"),
    "list": (lambda data: [data], "list of list"),
}


@pytest.mark.parametrize("kind", WRAPS)
@in_a_small_interpreter
def test_what_the_collector_does_not_know_is_named_too(kind: str) -> None:
    wrap, named = WRAPS[kind]
    kept = [wrap(bytes(64 * 1024 * 1024))]
    gc.collect()  # which stops to follow a tuple of bytes
    biggest = memory_report().biggest[0]
    assert biggest.name == "bytes"
    assert biggest.holders == (named,)
    assert len(kept) == 1


@in_a_small_interpreter
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


@in_a_small_interpreter
def test_a_report_is_bounded_and_goes_through_json() -> None:
    report = memory_report(5)
    assert len(report.kinds) == 5
    assert len(report.biggest) == 10
    assert report.is_whole
    assert report.byte_count >= sum(kind.byte_count for kind in report.kinds)
    sizes = [kind.byte_count for kind in report.kinds]
    assert sizes == sorted(sizes, reverse=True)
    assert msgspec.json.decode(msgspec.json.encode(report), type=MemoryReport) == report


if __name__ == "__main__":  # in the small interpreter
    globals()[sys.argv[1]].__wrapped__(*sys.argv[2:])
