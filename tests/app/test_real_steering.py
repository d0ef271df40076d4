"""Our session follows our steering server over real sockets: the order turns as it plays, and the traffic with it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from shoal.app.demo.origin import Origin
from shoal.app.demo.stream import Stream
from shoal.app.session import SessionOptions, StreamSession, open_session
from shoal.app.steering import SteeringServer
from shoal.balancer.config import load

from .support import running_origins, short_stream, until

pytestmark = pytest.mark.real

RUN_TIMEOUT_S = 240.0  # 5 s on an idle machine


def with_pathways(stream: Stream, steering: str, a: Origin, b: Origin) -> str:
    """The stream's multivariant playlist with each variant on two pathways."""
    lines = [f'#EXT-X-CONTENT-STEERING:SERVER-URI="{steering}",PATHWAY-ID="a"']
    rows = (stream.folder / stream.playlist).read_text().splitlines()
    for place, row in enumerate(rows):
        if row.startswith("#EXT-X-STREAM-INF"):
            folder = stream.playlist.rpartition("/")[0]
            for pathway, origin in (("a", a), ("b", b)):
                lines += [f'{row},PATHWAY-ID="{pathway}"', f"{origin.url}/{folder}{rows[place + 1]}"]
    return "\n".join(["#EXTM3U", "#EXT-X-VERSION:7", *lines, ""])


def media_asked_of(origin: Origin) -> list[str]:
    return [row.path for row in origin.requests if row.path.endswith(".m4s")]


async def has_heard(session: StreamSession, order: str) -> bool:
    return any(f"in the order {order}" in line for line in (await session.report()).log)


def test_the_order_turns_while_it_plays_and_the_traffic_with_it(tmp_path: Path) -> None:
    stream = short_stream()
    config = tmp_path / "steering.toml"
    config.write_text('priority = ["b", "a"]\nttl_s = 1\n')
    (tmp_path / "www").mkdir()

    async def run() -> None:
        server, main = SteeringServer(config), Origin(tmp_path / "www", name="main")
        async with asyncio.timeout(RUN_TIMEOUT_S), running_origins(stream, "a", "b") as (a, b):
            try:
                steering = f"http://127.0.0.1:{await server.start('127.0.0.1', 0)}/steering.json"
                (tmp_path / "www" / "main.m3u8").write_text(with_pathways(stream, steering, a, b))
                await main.start()
                options = SessionOptions(
                    url=f"{main.url}/main.m3u8",
                    hashes="none",
                    allow_private=True,
                    headers=(("authorization", "Bearer for-cdns-only"),),
                    config=load({"prefetch_us": 1_000}),  # else all may have come before the order turns
                )
                async with open_session(options) as session:
                    await session.playlist()
                    media = (await session.playlist(0)).segments
                    await until(lambda: has_heard(session, "b, a"), "it does not follow the first manifest")
                    for segment in media[:4]:
                        assert b"".join([piece.data async for piece in session.read(segment.key)])
                    config.write_text('priority = ["a", "b"]\nttl_s = 1\n')
                    await until(lambda: has_heard(session, "a, b"), "it does not follow the manifest that changed")
                    before = len(media_asked_of(a))
                    for segment in media[4:]:
                        assert b"".join([piece.data async for piece in session.read(segment.key)])
                    assert media_asked_of(b), "nothing came from b while it was first"
                    assert len(media_asked_of(a)) > before, "nothing came from a once it was first"
                    assert server.steering.answered >= 2
            finally:
                await main.aclose()
                await server.aclose()

    asyncio.run(run())
