"""What a session is made of: which CDNs, hosts and hashes its options mean, and what is refused at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shoal.app.session import SIDECAR_NAME, SessionOptions, Transports, open_session
from shoal.balancer.config import BalancerConfig
from shoal.balancer.errors import ConfigurationError, UnknownResource
from shoal.balancer.model import Kind, ResourceKey
from shoal.runtime import ActorSystem
from shoal.runtime.testing import run_virtual
from shoal.transports.interface import FetchRequest, FetchResponse
from shoal.transports.memory import InlineHasher, MemoryFetcher

from ..balancer.actors.world import URL, World, play, read_whole

PRIMARY = "https://one.example/v/stream.m3u8"


class Recorder:
    """A fetcher that notes what is asked, and has nothing."""

    def __init__(self) -> None:
        self.requests: list[FetchRequest] = []

    async def open(self, request: FetchRequest) -> FetchResponse:
        from shoal.transports.errors import ConnectFailed

        self.requests.append(request)
        raise ConnectFailed("nobody is here")

    async def aclose(self) -> None:
        pass


def asked_urls(**options: Any) -> list[str]:
    """Where the documents of a session are looked for, in order."""

    async def main() -> list[str]:
        fetcher = Recorder()
        async with ActorSystem(loop_delay_interval_us=None) as system:
            transports = Transports(fetcher=fetcher, hasher=InlineHasher())
            chosen = SessionOptions(**{"url": PRIMARY, "seed": 1, "hashes": "none", **options})
            async with open_session(chosen, transports=transports, system=system) as session:
                await asyncio.gather(session.playlist(), return_exceptions=True)
        return [request.url for request in fetcher.requests]

    return run_virtual(main())


def refused(**options: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        asked_urls(**options)
    return str(caught.value)


def test_the_url_alone_is_one_cdn() -> None:
    assert asked_urls() == [PRIMARY]


def test_the_place_of_the_url_is_asked_first_and_then_the_cdns_in_their_order() -> None:
    cdns = {"b": "https://b.example/films/", "a": "https://a.example/x/other.m3u8?token=1"}
    assert asked_urls(cdns=cdns) == [
        PRIMARY,
        "https://b.example/films/stream.m3u8",
        "https://a.example/x/stream.m3u8",
    ]


def test_a_cdn_that_is_the_place_of_the_url_is_not_added_again() -> None:
    cdns = {"b": "https://b.example/v/", "a": "https://one.example/v/"}
    assert sorted(asked_urls(cdns=cdns)) == ["https://b.example/v/stream.m3u8", PRIMARY]


def test_the_query_of_the_url_goes_with_it() -> None:
    assert asked_urls(url=f"{PRIMARY}?token=1") == [f"{PRIMARY}?token=1"]


@pytest.mark.parametrize(
    ("hashes", "where"),
    [
        ("auto", f"https://one.example/v/{SIDECAR_NAME}"),
        ("sums.json", "https://one.example/v/sums.json"),
        ("/sums.json", "https://one.example/sums.json"),
        ("https://keys.example/sums.json", "https://keys.example/sums.json"),
    ],
)
def test_hashes_are_looked_for_relative_to_the_url(hashes: str, where: str) -> None:
    assert sorted(asked_urls(hashes=hashes)) == sorted([PRIMARY, where])  # side by side


@pytest.mark.parametrize("url", ["", "stream.m3u8", "ftp://one.example/x", "file:///etc/passwd", "http://", "//x/y"])
def test_a_url_that_is_no_http_url_is_refused(url: str) -> None:
    assert "not an http or https URL" in refused(url=url)


def test_a_cdn_that_is_no_http_url_is_refused() -> None:
    assert "not an http or https URL" in refused(cdns={"a": "ftp://a.example/v/"})


def test_a_weight_for_a_cdn_that_does_not_exist_is_refused() -> None:
    assert "['b']" in refused(cdns={"a": "https://a.example/v/"}, weights={"b": 2.0})


def test_the_name_origin_is_kept_for_the_place_of_the_url() -> None:
    assert "call it something else" in refused(cdns={"origin": "https://a.example/v/"})


@pytest.mark.parametrize(
    "header",
    [
        ("Range", "bytes=0-"),
        ("host", "other.example"),
        ("Accept-Encoding", "br"),
        ("", "x"),
        ("X A", "x"),
        ("X-A:", "x"),
        ("X-A", "one\r\nX-B: two"),
        ("X-A\n", "x"),
    ],
)
def test_a_header_that_no_request_could_carry_is_refused_when_the_session_opens(header: tuple[str, str]) -> None:
    assert "header" in refused(headers=(header,))


def test_headers_go_to_every_cdn() -> None:
    async def main() -> None:
        fetcher = Recorder()
        options = SessionOptions(
            url=PRIMARY, cdns={"b": "https://b.example/v/"}, headers=(("Authorization", "Bearer x"),), hashes="none"
        )
        async with open_session(options, transports=Transports(fetcher=fetcher, hasher=InlineHasher())) as session:
            await asyncio.gather(session.playlist(), return_exceptions=True)
        assert [request.headers for request in fetcher.requests] == [options.headers] * 2

    run_virtual(main())


def test_nothing_is_fetched_before_the_first_request() -> None:
    async def main() -> None:
        async with World() as world, world.viewer():
            await asyncio.sleep(60)
            assert not any(origin.asked for origin in world.origins.values())

    run_virtual(main())


def test_a_session_makes_and_ends_a_system_of_its_own_when_it_is_given_none() -> None:
    async def main() -> None:
        async with World() as world:
            fetcher = MemoryFetcher(world.network.host("viewer"))
            transports = Transports(fetcher=fetcher, hasher=InlineHasher())
            async with open_session(SessionOptions(url=URL), transports=transports) as session:
                assert (await play(session, world.stream, numbers=range(3))).is_perfect
                system = session.system
            assert system.counters.actors == 0
            await fetcher.aclose()

    run_virtual(main())


def test_two_sessions_live_in_one_system_and_end_one_by_one() -> None:
    async def main() -> None:
        async with World() as world, ActorSystem(loop_delay_interval_us=None) as system:
            fetcher = MemoryFetcher(world.network.host("viewer"))
            transports = Transports(fetcher=fetcher, hasher=InlineHasher())
            async with open_session(SessionOptions(url=URL), transports=transports, system=system) as first:
                async with open_session(SessionOptions(url=URL), transports=transports, system=system) as second:
                    assert (await play(second, world.stream, numbers=range(2))).is_perfect
                assert (await play(first, world.stream, numbers=range(2))).is_perfect
            assert system.counters.actors == 0
            await fetcher.aclose()

    run_virtual(main())


def test_settings_reach_the_session() -> None:
    async def main() -> None:
        async with World() as world:
            fetcher = MemoryFetcher(world.network.host("viewer"))
            options = SessionOptions(url=URL, config=BalancerConfig(piece_bytes_max=1_000))
            async with open_session(options, transports=Transports(fetcher=fetcher, hasher=InlineHasher())) as session:
                await session.playlist()
                sizes = [len(piece.data) async for piece in session.read(ResourceKey(0, Kind.MEDIA, 0))]
                assert max(sizes) == 1_000
            await fetcher.aclose()

    run_virtual(main())


def test_a_failure_inside_the_block_is_raised_and_the_session_still_ends() -> None:
    async def main() -> None:
        async with World() as world, world.viewer() as session:
            await session.playlist()
            await read_whole(session, 99)

    with pytest.raises(UnknownResource):
        run_virtual(main())


def test_a_store_that_cannot_hold_one_segment_is_refused() -> None:
    message = refused(store="/nowhere", store_bytes_max=1000)
    assert "a store of 1000 bytes cannot hold one segment" in message
    assert "--store-max" in message
