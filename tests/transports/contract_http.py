"""The specification of a Fetcher and a Server, each the other's test; a part of contract.py."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shoal.transports import interface
from shoal.transports.errors import (
    AddressRefused,
    BodyChanged,
    BodyError,
    BodyTooLarge,
    BodyTruncated,
    ConnectFailed,
    StatusError,
    TimedOut,
)
from shoal.transports.interface import AddressPolicy, FetchRequest, ServerRequest, ServerResponse
from shoal.transports.sansio.ranges import content_range_header, requested_span

from .contract import World, assert_nothing_left, read, until

ETAG = '"v1"'
BODY = bytes(range(256)) * 1000


class Site:
    """A small origin: what the fetcher tests fetch, and what it noticed."""

    def __init__(self) -> None:
        self.requests: list[ServerRequest] = []
        self.closed_bodies = 0
        self.sent_pieces = 0

    async def handle(self, request: ServerRequest) -> ServerResponse:
        self.requests.append(request)
        name = request.path.removeprefix("/")
        handler = getattr(self, f"get_{name}", None)
        return await handler(request) if handler else ServerResponse(404, {}, b"no")

    async def get_file(self, request: ServerRequest) -> ServerResponse:
        wanted = request.headers.get("range")
        if wanted is None or request.headers.get("if-range", ETAG) != ETAG:
            return ServerResponse(200, {"etag": ETAG}, BODY)
        span = requested_span(wanted, len(BODY))
        if span is None:
            return ServerResponse(416, {"content-range": content_range_header(None, len(BODY))})
        part = BODY[span.first : span.first + span.length]
        return ServerResponse(206, {"etag": ETAG, "content-range": content_range_header(span, len(BODY))}, part)

    async def get_norange(self, request: ServerRequest) -> ServerResponse:
        return ServerResponse(200, {"etag": 'W/"weak"'}, BODY)

    async def get_changed(self, request: ServerRequest) -> ServerResponse:
        return ServerResponse(206, {"etag": '"v2"', "content-range": f"bytes 10-19/{len(BODY)}"}, BODY[10:20])

    async def get_wrongplace(self, request: ServerRequest) -> ServerResponse:
        return ServerResponse(206, {"content-range": f"bytes 0-9/{len(BODY)}"}, BODY[:10])

    async def get_shortpart(self, request: ServerRequest) -> ServerResponse:
        return ServerResponse(206, {"content-range": f"bytes 10-19/{len(BODY)}"}, BODY[10:20])

    async def get_unannounced(self, request: ServerRequest) -> ServerResponse:
        return ServerResponse(200, {}, self._pieces([b"a" * 1000] * 5))

    async def get_short(self, request: ServerRequest) -> ServerResponse:
        return ServerResponse(200, {"content-length": "1000"}, self._pieces([b"a" * 400]))

    async def get_raising(self, request: ServerRequest) -> ServerResponse:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"a" * 400
            await asyncio.sleep(0.02)
            raise ValueError("secret detail")

        return ServerResponse(200, {}, pieces())

    async def get_failing(self, request: ServerRequest) -> ServerResponse:
        raise ValueError("secret detail")

    async def get_busy(self, request: ServerRequest) -> ServerResponse:
        return ServerResponse(503, {"retry-after": "7"}, b"later")

    async def get_moved(self, request: ServerRequest) -> ServerResponse:
        return ServerResponse(302, {"location": "/file"})

    async def get_loop(self, request: ServerRequest) -> ServerResponse:
        return ServerResponse(302, {"location": "/loop"})

    async def get_gopher(self, request: ServerRequest) -> ServerResponse:
        return ServerResponse(302, {"location": "gopher://example.com/"})

    async def get_silent(self, request: ServerRequest) -> ServerResponse:
        await asyncio.sleep(3600)
        raise AssertionError("unreachable")

    async def get_stalling(self, request: ServerRequest) -> ServerResponse:
        async def pieces() -> AsyncIterator[bytes]:
            try:
                yield b"a" * 400
                await asyncio.sleep(3600)
            finally:
                self.closed_bodies += 1

        return ServerResponse(200, {"content-length": "1000"}, pieces())

    async def get_endless(self, request: ServerRequest) -> ServerResponse:
        async def pieces() -> AsyncIterator[bytes]:
            try:
                while True:
                    self.sent_pieces += 1
                    yield bytes(64 * 1024)
            finally:
                self.closed_bodies += 1

        return ServerResponse(200, {}, pieces())

    @staticmethod
    async def _pieces(pieces: list[bytes]) -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece


@contextlib.asynccontextmanager
async def site_and_fetcher(world: World, policy: AddressPolicy | None = None):
    """(site, fetcher, base URL); nothing of them is left afterwards."""
    server = world.server()
    fetcher = world.fetcher(policy or AddressPolicy(allow_private=True))
    site = Site()
    port = await server.start(site.handle, host="127.0.0.1", port=0)
    try:
        yield site, fetcher, f"http://127.0.0.1:{port}"
    finally:
        await fetcher.aclose()
        await server.aclose()
        await assert_nothing_left()


class FetcherContract:
    """A Fetcher and a Server, each the other's test."""

    @staticmethod
    def get(world: World, path: str, **fields: Any) -> tuple[interface.FetchResponse, bytes]:
        async def main():
            async with site_and_fetcher(world) as (_, fetcher, base):
                response = await fetcher.open(FetchRequest(url=base + path, **fields))
                return response, await read(response)

        return world.run(main())

    @classmethod
    def fail(cls, world: World, path: str, error: type[Exception], **fields: Any) -> Any:
        with pytest.raises(error) as caught:
            cls.get(world, path, **fields)
        assert "secret" not in str(caught.value)
        return caught.value

    def test_a_whole_file_arrives_with_its_length_and_etag(self, world):
        response, body = self.get(world, "/file")
        assert body == BODY
        assert (response.status, response.first_byte, response.total_bytes) == (200, 0, len(BODY))
        assert response.etag == ETAG
        assert isinstance(response, interface.FetchResponse)

    @pytest.mark.parametrize(
        ("first", "last", "expected"),
        [(0, 0, BODY[:1]), (10, 19, BODY[10:20]), (255_000, None, BODY[255_000:]), (255_990, 999_999, BODY[255_990:])],
    )
    def test_a_range_gives_those_bytes_and_where_they_are(self, world, first, last, expected):
        response, body = self.get(world, "/file", first_byte=first, last_byte=last, if_range=ETAG)
        assert body == expected
        assert (response.status, response.first_byte, response.total_bytes) == (206, first, len(BODY))

    def test_a_server_that_ignores_ranges_is_told_by_its_first_byte(self, world):
        response, body = self.get(world, "/norange", first_byte=100)
        assert (response.status, response.first_byte, len(body)) == (200, 0, len(BODY))

    def test_a_weak_etag_is_none(self, world):
        assert self.get(world, "/norange")[0].etag is None

    def test_the_whole_instead_of_the_rest_of_a_version_is_a_change(self, world):
        self.fail(world, "/file", BodyChanged, first_byte=10, if_range='"v0"')

    def test_a_part_of_another_version_is_a_change(self, world):
        self.fail(world, "/changed", BodyChanged, first_byte=10, last_byte=19, if_range=ETAG)

    def test_a_part_that_starts_elsewhere_is_refused(self, world):
        assert self.fail(world, "/wrongplace", BodyError, first_byte=10).reason == "body"

    def test_a_part_that_ends_before_the_rest_is_truncated(self, world):
        self.fail(world, "/shortpart", BodyTruncated, first_byte=10)

    def test_a_range_beyond_the_end_is_a_status(self, world):
        assert self.fail(world, "/file", StatusError, first_byte=10**6).status == 416

    def test_a_body_without_length_has_no_total(self, world):
        response, body = self.get(world, "/unannounced")
        assert (response.total_bytes, body) == (None, b"a" * 5000)

    @pytest.mark.parametrize("path", ["/short", "/raising"])
    def test_a_body_that_ends_early_is_truncated(self, world, path):
        self.fail(world, path, BodyTruncated)

    @pytest.mark.parametrize("path", ["/file", "/unannounced"])
    def test_a_body_above_the_limit_is_refused(self, world, path):
        self.fail(world, path, BodyTooLarge, body_bytes_max=4999)

    def test_a_handler_that_raises_is_a_500_without_details(self, world):
        assert self.fail(world, "/failing", StatusError).status == 500

    def test_a_status_carries_when_to_come_again(self, world):
        error = self.fail(world, "/busy", StatusError)
        assert (error.status, error.retry_after_us) == (503, 7_000_000)

    def test_a_redirect_is_followed_and_shown_in_the_url(self, world):
        response, body = self.get(world, "/moved")
        assert body == BODY
        assert response.url.endswith("/file")

    def test_redirects_without_end_end(self, world):
        assert self.fail(world, "/loop", StatusError).status == 302

    def test_a_redirect_to_another_scheme_is_refused(self, world):
        self.fail(world, "/gopher", AddressRefused)

    def test_headers_that_do_not_come_time_out(self, world):
        error = self.fail(world, "/silent", TimedOut, first_byte_timeout_us=50_000)
        assert (error.phase, error.timeout_us) == ("first_byte", 50_000)

    def test_a_body_that_stalls_times_out_and_its_source_is_closed(self, world):
        async def main():
            async with site_and_fetcher(world) as (site, fetcher, base):
                response = await fetcher.open(FetchRequest(url=f"{base}/stalling", stall_timeout_us=50_000))
                with pytest.raises(TimedOut) as caught:
                    await read(response)
                assert caught.value.phase == "stall"
                await until(lambda: site.closed_bodies == 1)

        world.run(main())

    def test_a_slow_reader_slows_the_source(self, world):
        async def main():
            async with site_and_fetcher(world) as (site, fetcher, base):
                response = await fetcher.open(FetchRequest(url=f"{base}/endless"))
                await asyncio.sleep(0.2)
                assert site.sent_pieces < 500  # 32 MiB: more than all socket buffers, less than a loop would make
                await response.aclose()
                await until(lambda: site.closed_bodies == 1)

        world.run(main())

    def test_cancelling_a_reader_closes_the_source(self, world):
        async def main():
            async with site_and_fetcher(world) as (site, fetcher, base):
                response = await fetcher.open(FetchRequest(url=f"{base}/stalling"))
                reader = asyncio.create_task(read(response))
                await asyncio.sleep(0.05)
                reader.cancel()
                await asyncio.wait([reader])
                assert reader.cancelled()
                await until(lambda: site.closed_bodies == 1)

        world.run(main())

    def test_cancelling_an_open_leaves_nothing(self, world):
        async def main():
            async with site_and_fetcher(world) as (site, fetcher, base):
                opening = asyncio.create_task(fetcher.open(FetchRequest(url=f"{base}/silent")))
                await until(lambda: bool(site.requests))
                opening.cancel()
                await asyncio.wait([opening])
                assert opening.cancelled()

        world.run(main())

    def test_closing_a_response_ends_another_tasks_reading(self, world):
        async def main():
            async with site_and_fetcher(world) as (_, fetcher, base):
                response = await fetcher.open(FetchRequest(url=f"{base}/stalling"))
                reader = asyncio.create_task(read(response))
                await asyncio.sleep(0.05)
                await response.aclose()
                with pytest.raises(BodyTruncated):
                    await reader

        world.run(main())

    def test_codings_are_not_asked_for_and_headers_arrive(self, world):
        async def main():
            async with site_and_fetcher(world) as (site, fetcher, base):
                url = f"{base}/file?token=a%2Bb%7E"
                response = await fetcher.open(FetchRequest(url=url, headers=(("X-Token", "t"),)))
                await read(response)
                request = site.requests[0]
                assert request.headers["accept-encoding"] == "identity"
                assert request.headers["x-token"] == "t"
                assert (request.method, request.path, request.query) == ("GET", "/file", "token=a%2Bb%7E")

        world.run(main())

    @pytest.mark.parametrize("name", ["Range", "accept-encoding", "Host"])
    def test_headers_that_are_the_fetchers_own_are_wrong_use(self, world, name):
        with pytest.raises(ValueError, match="fetcher's own"):
            self.get(world, "/file", headers=((name, "x"),))

    def test_a_weak_if_range_is_wrong_use(self, world):
        with pytest.raises(ValueError, match="strong"):
            self.get(world, "/file", first_byte=1, if_range='W/"x"')

    def test_loopback_is_refused_unless_allowed(self, world):
        async def main():
            async with site_and_fetcher(world, AddressPolicy()) as (site, fetcher, base):
                with pytest.raises(AddressRefused):
                    await fetcher.open(FetchRequest(url=f"{base}/file"))
                assert site.requests == []

        world.run(main())

    def test_only_allowed_hosts_are_asked(self, world):
        policy = AddressPolicy(allowed_hosts=frozenset({"cdn.example"}), allow_private=True)

        async def main():
            async with site_and_fetcher(world, policy) as (site, fetcher, base):
                with pytest.raises(AddressRefused):
                    await fetcher.open(FetchRequest(url=f"{base}/file"))
                assert site.requests == []

        world.run(main())

    def test_nobody_listening_is_a_failed_connection(self, world):
        async def main():
            async with site_and_fetcher(world) as (_, fetcher, base):
                port = int(base.rpartition(":")[2])
                with pytest.raises(ConnectFailed):
                    await fetcher.open(FetchRequest(url=f"http://127.0.0.1:{port - 1 if port > 49152 else port + 1}/"))

        world.run(main())

    def test_a_taken_port_is_named_with_what_to_do(self, world):
        async def main():
            async with site_and_fetcher(world) as (site, _, base):
                port = int(base.rpartition(":")[2])
                second = world.server()
                with pytest.raises(ConnectFailed, match=f"port {port} .* is taken.*port 0"):
                    await second.start(site.handle, host="127.0.0.1", port=port)
                await second.aclose()

        world.run(main())

    def test_a_closed_fetcher_says_so(self, world):
        async def main():
            fetcher = world.fetcher(AddressPolicy(allow_private=True))
            await fetcher.aclose()
            await fetcher.aclose()
            with pytest.raises(ConnectFailed):
                await fetcher.open(FetchRequest(url="http://127.0.0.1:9/"))

        world.run(main())

    def test_closing_the_server_ends_what_is_under_way(self, world):
        async def main():
            async with site_and_fetcher(world) as (_, fetcher, _base):
                server, site = world.server(), Site()
                port = await server.start(site.handle, host="127.0.0.1", port=0)
                response = await fetcher.open(FetchRequest(url=f"http://127.0.0.1:{port}/stalling"))
                await server.aclose()
                with pytest.raises(BodyTruncated):
                    await read(response)
                assert site.closed_bodies == 1

        world.run(main())
