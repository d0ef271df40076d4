"""The actor and the hash natively."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from shoal.runtime import ActorSystem

from starter_app import native
from starter_app.actors import BYTES_MAX, Count, Hash, Hasher, TooMuch
from starter_app.benchmark import DATA, measured, natively
from starter_app.murmur3 import murmur3

Native = Callable[[bytes, int], int]
VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text())


@pytest.fixture
def compiled() -> Native:
    function = native.load()
    if function is None:
        pytest.skip("murmur3.c is not compiled; install a C compiler and run: make native")
    return function


@pytest.mark.parametrize(("data", "seed", "expected"), VECTORS)
def test_python_hashes_as_it_is_published(data: str, seed: int, expected: str) -> None:
    assert f"{murmur3(bytes.fromhex(data), seed):08x}" == expected


@pytest.mark.parametrize(("data", "seed", "expected"), VECTORS)
def test_c_hashes_as_it_is_published(compiled: Native, data: str, seed: int, expected: str) -> None:
    assert f"{compiled(bytes.fromhex(data), seed):08x}" == expected


def test_all_that_is_measured_must_end_with_one_hash(compiled: Native) -> None:
    asyncio.run(measured([natively("C", compiled, 2), natively("Python", murmur3, 2)]))
    with pytest.raises(RuntimeError, match="different hashes"):
        asyncio.run(measured([natively("C", compiled, 2), natively("wrong", lambda data, seed: seed + len(data), 2)]))


def test_the_actor_hashes_and_counts() -> None:
    async def main() -> None:
        async with ActorSystem() as system:
            hasher = system.spawn(Hasher)
            for data, seed, expected in VECTORS:
                assert f"{await hasher.ask(Hash(bytes.fromhex(data), seed), timeout_s=60):08x}" == expected
            data = DATA[: 100 * 1024 + 3]  # several pieces, and a tail
            assert await hasher.ask(Hash(data, 7), timeout_s=60) == murmur3(data, 7)
            assert await hasher.ask(Count(), timeout_s=60) == len(VECTORS) + 1
            with pytest.raises(TooMuch):
                await hasher.ask(Hash(bytes(BYTES_MAX + 1)), timeout_s=60)

    asyncio.run(main())
