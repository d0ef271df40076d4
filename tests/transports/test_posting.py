"""Poster on real sockets: what is sent arrives, the answer's status is told, and what must not be reached is not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from shoal.transports.errors import AddressRefused, ConnectFailed
from shoal.transports.interface import AddressPolicy, Poster
from shoal.transports.native.http import HttpFetcher

pytestmark = pytest.mark.real

LOCAL = AddressPolicy(allow_private=True)


def posted(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]], *, policy: AddressPolicy = LOCAL
) -> tuple[int, list[tuple[str, str, bytes]]]:
    """The status, and (path, content type, body) of each request."""
    seen: list[tuple[str, str, bytes]] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        seen.append((request.path, request.headers["Content-Type"], await request.read()))
        return await answer(request)

    async def main() -> int:
        application = web.Application()
        application.router.add_post("/{path:.*}", handle)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        fetcher = HttpFetcher(policy)
        assert isinstance(fetcher, Poster)
        try:
            url = f"http://127.0.0.1:{runner.addresses[0][1]}/events?a=1"
            return await fetcher.post(url, b"one\ntwo", "application/cmcd", timeout_us=30_000_000)
        finally:
            await fetcher.aclose()
            await runner.cleanup()

    return asyncio.run(main()), seen


@pytest.mark.parametrize("status", [204, 410, 503])
def test_what_is_posted_arrives_and_the_status_is_told(status: int) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status)

    assert posted(answer) == (status, [("/events", "application/cmcd", b"one\ntwo")])


def test_a_redirect_is_told_and_not_followed() -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    status, seen = posted(answer)
    assert (status, len(seen)) == (307, 1)


def test_private_addresses_are_refused_as_for_any_request() -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response()

    with pytest.raises(AddressRefused):
        posted(answer, policy=AddressPolicy())


def test_where_nobody_listens_it_fails() -> None:
    async def main() -> None:
        fetcher = HttpFetcher(LOCAL)
        try:
            await fetcher.post("http://127.0.0.1:9/", b"", "text/plain", timeout_us=5_000_000)
        finally:
            await fetcher.aclose()

    with pytest.raises(ConnectFailed):
        asyncio.run(main())
