"""The proxy's answers, without a socket: requests in, responses out, over a session in virtual time."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest

from shoal.app.proxy import Proxy
from shoal.balancer.errors import NoSource
from shoal.balancer.integrity import sidecar
from shoal.balancer.report import SessionReport
from shoal.runtime.testing import run_virtual
from shoal.transports.interface import ServerRequest, ServerResponse

from ..balancer.actors.origin import BLOCK_BYTES, SIDECAR
from ..balancer.actors.world import World, play

LOOPBACK = "127.0.0.1:8080"


def request(path: str, *, method: str = "GET", host: str | None = LOOPBACK, **headers: str) -> ServerRequest:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if host is not None:
        sent["host"] = host
    return ServerRequest(method=method, path=path, query="", headers=sent, remote="127.0.0.1")


async def body_of(response: ServerResponse) -> bytes:
    if isinstance(response.body, bytes):
        return response.body
    return b"".join([piece async for piece in response.body])


@asynccontextmanager
async def proxied(*, allowed: frozenset[str] = frozenset(), **options: object) -> AsyncIterator[tuple[World, Proxy]]:
    async with World(**options) as world, world.viewer() as session:
        yield world, Proxy(session, allowed_origins=allowed)


def answered(
    asked: ServerRequest, *, after: str | None = "/stream.m3u8", **options: object
) -> tuple[ServerResponse, bytes, World]:
    """The response to one request, with its body; `after` is asked for before."""

    async def main() -> tuple[ServerResponse, bytes, World]:
        async with proxied(**options) as (world, proxy):
            if after is not None:
                assert (await proxy.handle(request(after))).status == 200
            response = await proxy.handle(asked)
            return response, await body_of(response), world

    return run_virtual(main())


# -- who may ask: more in test_border.py


def test_without_an_origin_nothing_is_said_of_origins() -> None:
    assert not [name for name in answered(request("/stream.m3u8"))[0].headers if name.startswith("access-control")]


def test_a_preflight_allows_ranges() -> None:
    response, body, _ = answered(request("/media/0/0/s0.m4s", method="OPTIONS", origin="http://localhost:3000"))
    assert response.status == 204
    assert response.headers["access-control-allow-headers"] == "authorization, range"
    assert body == b""


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "CONNECT", "get"])
def test_other_methods_are_refused(method: str) -> None:
    assert answered(request("/stream.m3u8", method=method))[0].status == 405


# -- what there is


def test_every_path_in_the_playlist_leads_to_its_bytes() -> None:
    async def main() -> None:
        async with proxied() as (world, proxy):
            text = (await body_of(await proxy.handle(request("/stream.m3u8")))).decode()
            paths = [line for line in text.splitlines() if line and not line.startswith("#")]
            assert len(paths) == 8
            for path, truth in zip(paths, world.stream.segments, strict=True):
                response = await proxy.handle(request(path))
                assert response.headers["content-length"] == str(len(truth))
                assert await body_of(response) == truth

    run_virtual(main())


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/stream.m3u8", "application/vnd.apple.mpegurl"),
        ("/playlist/0/stream.m3u8", "application/vnd.apple.mpegurl"),
        ("/media/0/0/s0.m4s", "video/iso.segment"),
        ("/media/0/0/s0.M4S", "video/iso.segment"),
        ("/media/0/0/s0.ts", "video/mp2t"),
        ("/media/0/0/s0.mp4", "video/mp4"),
        ("/media/0/0/s0.aac", "audio/aac"),
        ("/media/0/0/s0.vtt", "text/vtt"),
        ("/media/0/0/s0.html", "application/octet-stream"),
        ("/media/0/0/s0", "application/octet-stream"),
        ("/init/0/0/init.mp4", "video/mp4"),
        ("/report.json", "application/json"),
        ("/health", "text/plain; charset=utf-8"),
        ("/ready", "text/plain; charset=utf-8"),
    ],
)
def test_content_types_are_ours_and_never_a_page(path: str, content_type: str) -> None:
    response, _, _ = answered(request(path))
    assert response.status == 200
    assert response.headers["content-type"] == content_type
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"


def test_the_report_is_the_sessions_and_counts_what_went_out() -> None:
    async def main() -> None:
        async with proxied() as (world, proxy):
            await proxy.handle(request("/stream.m3u8"))
            await body_of(await proxy.handle(request("/media/0/0/s0.m4s")))
            body = await body_of(await proxy.handle(request("/report.json")))
            report = msgspec.json.decode(body, type=SessionReport)
            assert report.segments[0].delivered_bytes == len(world.stream.segments[0])

    run_virtual(main())


@pytest.mark.parametrize(("given", "taken"), [(0, 0), (1, 0), (2, 10_000), (5, 40_000)])
def test_what_lies_in_memory_and_is_left_in_its_middle_counts_as_far_as_it_was_taken(
    monkeypatch: pytest.MonkeyPatch, given: int, taken: int
) -> None:
    async def main() -> None:
        async with proxied() as (_, proxy):
            await proxy.handle(request("/stream.m3u8"))
            whole = await body_of(await proxy.handle(request("/media/0/0/s0.m4s")))
            monkeypatch.setattr("shoal.app.proxy.WRITE_BYTES", 10_000)
            body: Any = (await proxy.handle(request("/media/0/0/s0.m4s"))).body
            parts = [await anext(body) for _ in range(given)]
            assert b"".join(parts) == whole[: 10_000 * given]
            await body.aclose()
            watched = weakref.ref(body)
            del body
            assert watched() is None, "what is over keeps its segment until the garbage is collected"
            report = msgspec.json.decode(await body_of(await proxy.handle(request("/report.json"))), type=SessionReport)
            assert report.segments[0].delivered_bytes == len(whole) + taken

    run_virtual(main())


# -- ranges and HEAD


SIZE = 200_000


@pytest.mark.parametrize(
    ("asked", "first", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=65535-65537", 65_535, 65_538),
        ("bytes=150000-", 150_000, SIZE),
        ("bytes=-1", SIZE - 1, SIZE),
        ("bytes=199999-999999", SIZE - 1, SIZE),
    ],
)
def test_a_range_is_cut_out_of_what_is_verified(asked: str, first: int, end: int) -> None:
    response, body, world = answered(request("/media/0/0/s0.m4s", range=asked))
    assert response.status == 206
    assert response.headers["content-range"] == f"bytes {first}-{end - 1}/{SIZE}"
    assert response.headers["content-length"] == str(end - first)
    assert body == world.stream.segments[0][first:end]


@pytest.mark.parametrize(
    "asked", ["bytes=0-", "bytes=0-199999", "bytes=-999999", "bytes=5-1", "bytes=0-1,4-5", "x=0-1", "y"]
)
def test_a_range_of_everything_or_one_not_understood_gives_the_whole(asked: str) -> None:
    response, body, world = answered(request("/media/0/0/s0.m4s", range=asked))
    assert response.status == 200
    assert body == world.stream.segments[0]


@pytest.mark.parametrize("asked", ["bytes=200000-", "bytes=999999-1000000", "bytes=-0"])
def test_a_range_beyond_the_end_is_not_satisfiable(asked: str) -> None:
    response, body, _ = answered(request("/media/0/0/s0.m4s", range=asked))
    assert response.status == 416
    assert response.headers["content-range"] == f"bytes */{SIZE}"
    assert body == b""


def test_head_says_what_get_would_and_sends_nothing() -> None:
    response, body, _ = answered(request("/media/0/0/s0.m4s", method="HEAD"))
    assert response.status == 200
    assert response.headers["content-length"] == str(SIZE)
    assert response.headers["accept-ranges"] == "bytes"
    assert body == b""


def test_a_body_without_a_known_length_is_sent_as_it_comes() -> None:
    async def main() -> None:
        async with World("one", hashes="none") as world:
            await world.spoil("one", "cut", at=10**9)
            async with world.viewer() as session:
                proxy = Proxy(session)
                await proxy.handle(request("/stream.m3u8"))
                response = await proxy.handle(request("/media/0/0/s0.m4s", range="bytes=10-20"))
                assert response.status == 200
                assert "content-length" not in response.headers
                assert "accept-ranges" not in response.headers
                assert await body_of(response) == world.stream.segments[0]

    run_virtual(main())


# -- errors


@pytest.mark.parametrize("path", ["/stream.m3u8", "/ready", "/playlist/0/stream.m3u8"])
def test_a_playlist_that_no_cdn_gives_is_a_bad_gateway(path: str) -> None:
    async def main() -> None:
        async with proxied() as (world, proxy):
            for origin in world.origins.values():
                origin.document_status = 503
            response = await proxy.handle(request(path))
            assert response.status == 502
            assert b"503" in await body_of(response)

    run_virtual(main())


def test_a_segment_that_no_cdn_gives_is_a_bad_gateway_and_not_a_short_body() -> None:
    async def main() -> None:
        async with proxied() as (world, proxy):
            await proxy.handle(request("/stream.m3u8"))
            for name in world.origins:
                await world.spoil(name, "404")
            response = await proxy.handle(request("/media/0/0/s0.m4s"))
            assert response.status == 502
            assert b"404" in await body_of(response)

    run_virtual(main())


def test_a_body_that_cannot_go_on_ends_short_of_its_length() -> None:
    async def main() -> None:
        async with proxied() as (world, proxy):
            await proxy.handle(request("/stream.m3u8"))
            for name in world.origins:
                await world.spoil(name, "corrupt")
            response = await proxy.handle(request("/media/0/0/s0.m4s"))
            assert response.status == 200
            assert response.headers["content-length"] == str(SIZE)
            pieces = aiter(response.body)  # type: ignore[arg-type]
            assert await anext(pieces) == world.stream.segments[0][:BLOCK_BYTES]
            with pytest.raises(NoSource):
                await anext(pieces)

    run_virtual(main())


def test_a_session_that_has_ended_is_said_to_be_gone() -> None:
    async def main() -> None:
        async with World() as world:
            async with world.viewer() as session:
                proxy = Proxy(session)
                await proxy.handle(request("/stream.m3u8"))
            for path in ("/stream.m3u8", "/media/0/0/s0.m4s", "/report.json", "/health"):
                assert (await proxy.handle(request(path))).status == 503

    run_virtual(main())


def test_no_error_ends_a_handler_with_an_exception() -> None:
    async def main() -> None:
        async with proxied() as (world, proxy):
            for origin in world.origins.values():
                origin.document_delay_s = 3600
            for path in ("/stream.m3u8", "/playlist/0/x", "/media/0/0/x"):
                assert (await proxy.handle(request(path))).status in {404, 502, 504}

    run_virtual(main())


# -- players that go away


def went_away(leave: Callable[[ServerResponse], Awaitable[None]]) -> None:
    async def main() -> None:
        async with World("one", bytes_per_s=100_000) as world, world.viewer(prefetch_segments=0) as session:
            proxy = Proxy(session)
            await proxy.handle(request("/stream.m3u8"))
            await leave(await proxy.handle(request("/media/0/0/s0.m4s")))
            await asyncio.sleep(5)
            part = (await session.report()).segments[0].parts[0]
            assert part.reason == "released"
            assert (await play(session, world.stream, numbers=range(1))).bodies

    run_virtual(main())


def test_a_player_that_goes_away_in_a_body_ends_its_transfer() -> None:
    async def leave(response: ServerResponse) -> None:
        body = response.body
        assert not isinstance(body, bytes)
        async for _ in body:
            break
        await body.aclose()  # type: ignore[attr-defined]

    went_away(leave)


def test_a_player_that_goes_away_before_its_body_began_ends_its_transfer() -> None:
    async def leave(response: ServerResponse) -> None:
        assert not isinstance(response.body, bytes)
        await response.body.aclose()  # type: ignore[attr-defined]

    went_away(leave)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "example.org", "::"])
def test_it_listens_on_loopback_only(host: str) -> None:
    async def main() -> None:
        async with proxied() as (_, proxy):
            with pytest.raises(ValueError, match="loopback only"):
                await proxy.start(host=host)

    run_virtual(main())


@pytest.mark.parametrize("first", [0, 1_786_136_377_905_810, 2**53 - 1 - 20_000])
def test_every_segment_number_that_a_playlist_may_have_leads_to_its_bytes(first: int) -> None:
    async def main() -> None:
        async with World(hashes="none") as world:
            text = world.stream.media_playlist(ended=False).decode()
            world.document("stream.m3u8", text.replace("SEQUENCE:0", f"SEQUENCE:{first}").encode())
            async with world.viewer() as session:
                proxy = Proxy(session)
                text = (await body_of(await proxy.handle(request("/stream.m3u8")))).decode()
                paths = [line for line in text.splitlines() if line and not line.startswith("#")]
                for path, truth in zip(paths, world.stream.segments, strict=True):
                    assert await body_of(await proxy.handle(request(path))) == truth

    run_virtual(main())


def test_a_file_whose_name_has_blanks_is_played() -> None:
    async def main() -> None:
        async with World() as world:
            names = {name: f"my vidéo {name}" for name in world.stream.names}
            files = world.stream.files()
            hashes = sidecar(((names.get(name, name), data) for name, data in files.items()), block_bytes=BLOCK_BYTES)
            text = world.stream.media_playlist().decode()
            for old, new in names.items():
                text = text.replace(old, new)
            world.document("stream.m3u8", text.encode())
            world.document(SIDECAR, hashes)
            for origin in world.origins.values():
                origin.files = {names.get(name, name): data for name, data in files.items()}
            async with world.viewer() as session:
                proxy = Proxy(session)
                text = (await body_of(await proxy.handle(request("/stream.m3u8")))).decode()
                paths = [line for line in text.splitlines() if line and not line.startswith("#")]
                for path, truth in zip(paths, world.stream.segments, strict=True):
                    assert await body_of(await proxy.handle(request(unquote(path)))) == truth
                report = await session.report()
            assert {story.verified for story in report.segments if story.kind == "media"} == {"blocks"}

    run_virtual(main())
