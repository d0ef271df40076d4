"""Hashes that their publisher signed: a viewer with the key believes no other, whatever a CDN makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from shoal.balancer.signed import sealed
from shoal.runtime.testing import run_virtual

from .origin import SIDECAR
from .world import World, play

ed25519: Any = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")

KEY = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
PUBLIC = KEY.public_key().public_bytes_raw().hex()
OTHER = ed25519.Ed25519PrivateKey.from_private_bytes(b"1" * 32)


@pytest.mark.parametrize(
    ("signed_by", "verified"),
    [(KEY, "blocks"), (OTHER, "unverified"), (None, "unverified")],
    ids=["its", "another", "no"],
)
def test_hashes_count_if_they_are_signed_with_the_key(signed_by: Any, verified: str) -> None:
    async def main() -> None:
        async with World("one") as world:
            hashes = world.stream.sidecar(has_blocks=True)
            world.document(SIDECAR, hashes if signed_by is None else sealed(hashes, signed_by.sign(hashes)))
            async with world.viewer(hashes_key=PUBLIC) as session:
                assert (await play(session, world.stream)).is_perfect
                report = await session.report()
            assert {segment.verified for segment in report.segments} == {verified}

    run_virtual(main())


def test_without_a_key_signed_hashes_are_read_as_any() -> None:
    async def main() -> None:
        async with World("one") as world:
            hashes = world.stream.sidecar(has_blocks=True)
            world.document(SIDECAR, sealed(hashes, OTHER.sign(hashes)))
            async with world.viewer() as session:
                assert (await play(session, world.stream)).is_perfect
                report = await session.report()
            assert {segment.verified for segment in report.segments} == {"blocks"}

    run_virtual(main())
