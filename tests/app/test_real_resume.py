"""A session leaves a CDN in mid-body and goes on at another by Range: both servers count, and no byte comes twice."""

from __future__ import annotations

import asyncio
import re

import pytest

from shoal.app.demo.origin import Fault, Origin, RequestRecord
from shoal.app.session import SessionOptions, open_session
from shoal.balancer.model import Kind

from .support import playlist_of, running_origins, short_stream

pytestmark = pytest.mark.real

TIMEOUT_S = 240.0
_PIECE_BYTES = 16 * 1024  # what a slow origin may have on its way when it is left


def media_of(origin: Origin, name: str) -> list[RequestRecord]:
    return [record for record in origin.requests if record.path.endswith(name)]


def first_byte(record: RequestRecord) -> int:
    found = re.fullmatch(r"bytes=(\d+)-", record.range or "")
    assert found is not None, record
    return int(found[1])


@pytest.mark.parametrize("kind", ["hang-body", "reset-body", "truncate", "slow"])
def test_what_one_cdn_has_sent_no_other_sends_again(kind: str) -> None:
    stream = short_stream()

    async def run() -> None:
        async with asyncio.timeout(TIMEOUT_S), running_origins(stream, "good", "bad") as (good, bad):
            bad.schedule = [Fault(kind, 0.0, "hd_00[0-9].m4s")]
            options = SessionOptions(
                url=playlist_of(good, stream),
                cdns={origin.name: playlist_of(origin, stream) for origin in (good, bad)},
                weights={"bad": 9.0},
                allow_private=True,
            )
            left = []
            async with open_session(options) as session:
                root = await session.playlist()
                for segment in (await session.playlist(root.best)).segments:
                    if segment.key.kind is not Kind.MEDIA:
                        continue
                    name = segment.uri.rpartition("/")[2]
                    right = (stream.folder / name).read_bytes()
                    assert b"".join([piece.data async for piece in session.read(segment.key)]) == right
                    if media_of(bad, name):
                        left.append((name, len(right)))
                report = await session.report()
            assert left, "the preferred one was never asked"
            for name, byte_count in left:
                (broken,), (rest,) = media_of(bad, name), media_of(good, name)
                assert broken.fault == kind
                begun = first_byte(rest)
                on_its_way = broken.byte_count - begun
                assert 0 <= on_its_way <= (_PIECE_BYTES if kind == "slow" else 0), (name, broken, rest)
                assert 0 < begun < byte_count
                assert rest.status == 206
                assert rest.byte_count == byte_count - begun, "the rest, once"
            assert report.dropped.get("wrong_bytes_read", 0) == 0

    asyncio.run(run())
