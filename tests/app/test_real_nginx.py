"""nginx, which many CDNs are made of, as origins: a slow one, and one that fails in each of its ways."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shoal.app.demo.stream import Stream
from shoal.app.session import SessionOptions, open_session
from shoal.balancer.model import Kind

from .nginx import free_port, running_nginx
from .support import short_stream, sources_of

pytestmark = pytest.mark.real

# What a server does with segments -> what the report says of it; None where nobody has to notice.
FAULTS = {
    "return 503;": "status 503",
    "return 444;": "connect",  # it hangs up
    "return 302 $uri;": "status 302",  # to itself
    "limit_req zone=few; limit_req_status 429;": "status 429",
    "deny all;": "status 403",
    'return 200 "ok";': "changed",  # another length than the other's
    "limit_rate 1k;": None,  # it is left for a faster one before it has failed, or stalls, as it comes
    "max_ranges 0;": None,
}
HTTP = """gzip on; gzip_min_length 1; gzip_types *; keepalive_timeout 5s; root {root};
  limit_req_zone $server_port zone=few:32k rate=1r/m;
  {servers}"""
SERVER = "server {{ listen 127.0.0.1:{port}; location / {{ {what} }} location ~ m4s$ {{ {fault} }} }}\n"


@contextlib.asynccontextmanager
async def nginx(stream: Stream, home: Path, servers: list[str]) -> AsyncIterator[list[str]]:
    """Servers of the stream, each with its own directives for segments: the URLs of their multivariant playlists."""
    ports = [free_port() for _ in servers]
    rows = "  ".join(SERVER.format(port=port, what="", fault=fault) for port, fault in zip(ports, servers, strict=True))
    async with running_nginx(home, HTTP.format(root=stream.folder, servers=rows), ports[-1]):
        yield [f"http://127.0.0.1:{port}/{stream.playlist}" for port in ports]


async def errors_met(stream: Stream, good: str, bad: str) -> dict[str, int]:
    """Every segment comes, and is right; what the report says of the bad one."""
    options = SessionOptions(url=good, cdns={"good": good, "bad": bad}, weights={"bad": 9.0}, allow_private=True)
    async with open_session(options) as session:
        await session.playlist()
        segments = (await session.playlist(0)).segments
        media = [segment for segment in segments if segment.key.kind is Kind.MEDIA]
        assert len(media) == stream.segment_count
        for segment in media:
            came = b"".join([piece.data async for piece in session.read(segment.key)])
            assert came == (stream.folder / segment.uri.rpartition("/")[2]).read_bytes(), segment.uri
        report = await session.report()
    return next(source.errors for source in sources_of(report, "cdn") if source.name == "cdn:bad")


def test_a_stream_comes_whole_from_an_nginx_while_another_one_fails_in_its_way(tmp_path: Path) -> None:
    stream = short_stream()

    async def run() -> None:
        async with asyncio.timeout(240), nginx(stream, tmp_path / "nginx", ["limit_rate 4m;", *FAULTS]) as (good, *bad):
            met = await asyncio.gather(*(errors_met(stream, good, each) for each in bad))
        for (fault, error), errors in zip(FAULTS.items(), met, strict=True):
            assert error is None or error in errors, (fault, errors)

    asyncio.run(run())
