"""Who may ask the proxy: tables of what was ever tried, without a socket; and what nobody can make it fetch."""

from __future__ import annotations

import asyncio

import pytest

from shoal.app.border import Border
from shoal.app.proxy import Proxy
from shoal.balancer.errors import BalancerError, ConfigurationError
from shoal.runtime.testing import run_virtual

from ..balancer.actors.world import World
from .border_tables import BAD_HOSTS, BAD_ORIGINS, BAD_PATHS, GOOD_HOSTS, GOOD_ORIGINS
from .test_proxy import body_of, proxied, request

TOKEN = "0123456789abcdefGHIJ"


def status(border: Border, **asked: object) -> int:
    refusal = border.refusal(request("/stream.m3u8", **asked))  # type: ignore[arg-type]
    return 200 if refusal is None else refusal.status


def test_the_tables_are_as_large_as_they_are_said_to_be() -> None:
    assert len(set(GOOD_HOSTS)) + len(set(BAD_HOSTS)) >= 60
    assert len(set(BAD_PATHS)) >= 200


@pytest.mark.parametrize("host", GOOD_HOSTS)
def test_a_loopback_host_is_answered(host: str) -> None:
    assert status(Border(), host=host) == 200


@pytest.mark.parametrize("host", BAD_HOSTS)
def test_any_other_host_is_refused_whatever_address_it_resolves_to(host: str | None) -> None:
    assert status(Border(), host=host) == 421


def test_a_host_that_was_let_in_lets_in_no_other() -> None:
    border = Border()
    asked = ["127.0.0.1:1", "evil.example", "127.0.0.1:1", "", None, "localhost", "localhost.evil.example"]
    assert [status(border, host=host) for host in asked] == [200, 421, 200, 421, 421, 200, 421]


def test_a_refused_host_reaches_nothing() -> None:
    async def main() -> None:
        async with proxied() as (world, proxy):
            for path in ("/stream.m3u8", "/health", "/ready", "/report.json", "/media/0/0/s0.m4s"):
                response = await proxy.handle(request(path, host="evil.example"))
                assert response.status == 421
                assert b"127.0.0.1" in await body_of(response)
            assert not any(origin.asked for origin in world.origins.values())

    run_virtual(main())


def test_none_of_two_hundred_paths_makes_it_ask_anybody() -> None:
    async def main() -> None:
        async with proxied() as (world, proxy):
            await proxy.handle(request("/stream.m3u8"))
            before = {name: list(origin.asked) for name, origin in world.origins.items()}
            for path in BAD_PATHS:
                response = await proxy.handle(request(path))
                assert response.status == 404, path
                assert (await body_of(response)).count(b"\n") == 1, path
            assert {name: list(origin.asked) for name, origin in world.origins.items()} == before

    run_virtual(main())


@pytest.mark.parametrize("origin", GOOD_ORIGINS)
def test_a_page_that_may_read_is_told_so(origin: str) -> None:
    async def main() -> None:
        async with proxied(allowed=frozenset({"https://tv.example"})) as (_, proxy):
            response = await proxy.handle(request("/stream.m3u8", origin=origin))
            assert response.status == 200
            assert response.headers["access-control-allow-origin"] == origin
            assert response.headers["vary"] == "origin"
            assert "content-range" in response.headers["access-control-expose-headers"]

    run_virtual(main())


@pytest.mark.parametrize("origin", BAD_ORIGINS)
def test_a_page_of_another_origin_is_refused(origin: str) -> None:
    assert status(Border(allowed_origins=["https://tv.example"]), origin=origin) == 403


def test_a_refused_page_is_not_let_read_the_refusal() -> None:
    async def main() -> None:
        async with proxied() as (_, proxy):
            response = await proxy.handle(request("/stream.m3u8", origin="https://evil.example"))
            assert "access-control-allow-origin" not in response.headers

    run_virtual(main())


@pytest.mark.parametrize(
    ("site", "destination", "expected"),
    [
        ("cross-site", "video", 403),
        ("cross-site", "script", 403),
        ("cross-site", "iframe", 403),
        ("cross-site", "", 403),
        ("cross-site", "document", 200),  # somebody followed a link, or typed it
        ("same-origin", "empty", 200),
        ("same-site", "video", 200),
        ("none", "document", 200),
    ],
)
def test_a_page_that_embeds_us_without_saying_who_it_is_is_refused(site: str, destination: str, expected: int) -> None:
    assert status(Border(), sec_fetch_site=site, sec_fetch_dest=destination) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        (f"Bearer  {TOKEN} ", 200),
        (TOKEN, 401),
        (f"Basic {TOKEN}", 401),
        (f"Bearer {TOKEN}x", 401),
        (f"Bearer {TOKEN[:-1]}", 401),
        (f"Bearer {TOKEN}, Bearer {TOKEN}", 401),
        ("Bearer", 401),
        ("Bearer é", 401),
        ("Bearer \udcff", 401),
        ("", 401),
    ],
)
def test_where_a_token_is_set_a_request_must_carry_it(header: str, expected: int) -> None:
    assert status(Border(token=TOKEN), authorization=header) == expected


def test_a_request_without_the_token_is_told_what_to_send_and_its_page_may_read_that() -> None:
    async def main() -> None:
        async with World() as world, world.viewer() as session:
            proxy = Proxy(session, token=TOKEN)
            response = await proxy.handle(request("/stream.m3u8", origin="http://localhost:3000"))
            assert response.status == 401
            assert response.headers["www-authenticate"].startswith("Bearer")
            assert response.headers["access-control-allow-origin"] == "http://localhost:3000"
            assert TOKEN.encode() not in await body_of(response)

    run_virtual(main())


@pytest.mark.parametrize(("method", "path"), [("OPTIONS", "/stream.m3u8"), ("GET", "/health")])
def test_a_preflight_and_the_health_need_no_token(method: str, path: str) -> None:
    assert Border(token=TOKEN).refusal(request(path, method=method)) is None


@pytest.mark.parametrize("token", ["", "short", "0123456789 abcdefGHIJ", "0123456789abcdefGHI\n", "é" * 20])
def test_a_token_that_could_be_guessed_or_not_be_sent_is_refused(token: str) -> None:
    with pytest.raises(ConfigurationError, match="characters"):
        Border(token=token)


def test_an_allowed_origin_that_no_page_has_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"https://tv\.example/"):
        Border(allowed_origins=["https://tv.example/"])


# -- limits, health, and the end


def test_health_answers_at_once_while_a_playlist_hangs() -> None:
    async def main() -> None:
        async with proxied() as (world, proxy):
            for origin in world.origins.values():
                origin.document_delay_s = 3600
            waiting = asyncio.ensure_future(proxy.handle(request("/ready")))
            await asyncio.sleep(1)
            before = asyncio.get_running_loop().time()
            assert (await proxy.handle(request("/health"))).status == 200
            assert asyncio.get_running_loop().time() == before
            assert (await waiting).status in {502, 504}

    run_virtual(main())


def test_a_request_too_many_is_told_to_come_again_and_health_still_answers() -> None:
    async def main() -> None:
        async with World() as world, world.viewer() as session:
            proxy = Proxy(session, requests_max=2)
            await proxy.handle(request("/stream.m3u8"))
            bodies = [(await proxy.handle(request(f"/media/0/{number}/x"))).body for number in range(2)]
            response = await proxy.handle(request("/media/0/2/x"))
            assert response.status == 503
            assert response.headers["retry-after"] == "1"
            assert proxy.refused_requests == 1
            assert (await proxy.handle(request("/health"))).status == 200
            await bodies[0].aclose()  # type: ignore[union-attr]
            again = await proxy.handle(request("/media/0/2/x"))
            assert await body_of(again) == world.stream.segments[2]
            await bodies[1].aclose()  # type: ignore[union-attr]

    run_virtual(main())


def test_a_client_that_takes_nothing_does_not_count_against_those_that_do() -> None:
    async def main() -> None:
        async with World() as world, world.viewer() as session:
            proxy = Proxy(session, requests_max=1)
            await proxy.handle(request("/stream.m3u8"))
            stuck = (await proxy.handle(request("/media/0/0/x"))).body
            first = await anext(stuck)  # type: ignore[arg-type]
            assert (await proxy.handle(request("/media/0/1/x"))).status == 503
            await asyncio.sleep(1)
            assert await body_of(await proxy.handle(request("/media/0/1/x"))) == world.stream.segments[1]
            rest = b"".join([piece async for piece in stuck])  # type: ignore[union-attr]
            assert bytes(first) + rest == world.stream.segments[0]

    run_virtual(main())


def test_draining_lets_a_body_end_and_takes_nothing_new() -> None:
    async def main() -> None:
        async with proxied() as (world, proxy):
            await proxy.handle(request("/stream.m3u8"))
            response = await proxy.handle(request("/media/0/0/x"))
            draining = asyncio.ensure_future(proxy.drain(60))
            await asyncio.sleep(1)
            assert not draining.done()
            assert (await proxy.handle(request("/health"))).status == 503
            assert (await proxy.handle(request("/media/0/1/x"))).status == 503
            assert await body_of(response) == world.stream.segments[0]
            assert await draining

    run_virtual(main())


def test_draining_has_an_end_of_its_own() -> None:
    async def main() -> None:
        async with proxied() as (_, proxy):
            await proxy.handle(request("/stream.m3u8"))
            response = await proxy.handle(request("/media/0/0/x"))
            assert not await proxy.drain(2)
            await response.body.aclose()  # type: ignore[union-attr]
            assert await proxy.drain(0.1)

    run_virtual(main())


def test_a_request_that_fails_or_is_given_up_is_not_under_way_any_more() -> None:
    async def main() -> None:
        async with proxied() as (world, proxy):
            await proxy.handle(request("/stream.m3u8"))
            assert (await proxy.handle(request("/none"))).status == 404
            for name in world.origins:
                await world.spoil(name, "corrupt")
            with pytest.raises(BalancerError):
                await body_of(await proxy.handle(request("/media/0/0/x")))
            for origin in world.origins.values():
                origin.document_delay_s = 3600
            asked = asyncio.ensure_future(proxy.handle(request("/playlist/0/x")))
            await asyncio.sleep(1)
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
            assert await proxy.drain(0.1)

    run_virtual(main())
