"""The contract of transports, over the fetch, crypto, WebSocket and RTCPeerConnection of a page in Chromium.

The tests and their servers are native; what they test runs in the page, compiled to
WebAssembly (`tests/browser/chromium_world.py`).  Cross-origin rules are off in the
first page, as for an origin that allows everything; `TestOrigins` has them on.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shoal.transports.errors import AddressRefused, ChannelClosed, ConnectFailed, CrossOriginRefused, TimedOut
from shoal.transports.interface import AddressPolicy, FetchRequest, ServerRequest, ServerResponse
from shoal.transports.native.server import HttpServer
from shoal.transports.sansio.limits import ChannelLimits

from ..browser.chromium_world import RemotePage, what_is_missing
from .contract import ChannelContract, HasherContract, SignalingContract, read, two_channels, until
from .contract_http import FetcherContract, site_and_fetcher
from .test_native_contract import NativeEngineWorld, NativeWorld

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from channels.link import Link  # noqa: E402 - the folder of the benchmarks is no package

sys.path.remove(str(BENCHMARKS))

pytest.importorskip("playwright.async_api", reason="no playwright; run: tools/install-test-tools")
pytestmark = [pytest.mark.real, pytest.mark.skipif(what_is_missing() is not None, reason=str(what_is_missing()))]


class BrowserWorld(NativeWorld):
    """What is left is counted here and in the page: by our own counters, and by the browser's connections."""

    hides_addresses = True

    def __init__(self, page: RemotePage) -> None:
        super().__init__()
        self.page = page

    def left(self) -> dict[str, int]:
        of_page: dict[str, int] = json.loads(self.page.now(do="left"))
        return super().left() | {f"{name} in the page": count for name, count in of_page.items()}

    def fetcher(self, policy: AddressPolicy | None = None) -> Any:
        return self.page.make("fetcher", policy=policy)

    def connector(self, *, connect_timeout_us: int = 10_000_000) -> Any:
        return self.page.make("connector", connect_timeout_us=connect_timeout_us)

    def signaling(self) -> Any:
        return self.page.make("signaling")

    def hasher(self) -> Any:
        return self.page.make("hasher")


@pytest.fixture(scope="module")
def page() -> Iterator[RemotePage]:
    page = RemotePage(flags=("--disable-web-security",))
    yield page
    page.close()


@pytest.fixture
def world(page: RemotePage) -> Iterator[BrowserWorld]:
    yield BrowserWorld(page)
    # Functions that JavaScript would hold for ever are among it.
    assert set(json.loads(page.now(do="left")).values()) == {0}


@pytest.fixture(scope="module")
def strict() -> Iterator[RemotePage]:
    """A page with cross-origin rules."""
    page = RemotePage()
    yield page
    page.close()


@pytest.fixture(scope="module")
def worker() -> Iterator[RemotePage]:
    """A page whose worker has the transports."""
    page = RemotePage(flags=("--disable-web-security",), in_worker=True)
    yield page
    page.close()


class OfAWorker:
    """The same in a module worker."""

    @pytest.fixture
    def world(self, worker: RemotePage) -> Iterator[BrowserWorld]:
        yield BrowserWorld(worker)
        assert set(json.loads(worker.now(do="left")).values()) == {0}


class TestFetch(FetcherContract):
    """But for what a page is not told, or may not say, and for what the browser reads ahead."""

    def test_a_slow_reader_slows_the_source(self, world):
        async def main():
            async with site_and_fetcher(world) as (site, fetcher, base):
                response = await fetcher.open(FetchRequest(url=f"{base}/endless"))
                before = -1
                while before != site.sent_pieces:  # until the browser has enough: 64 MiB, in Chromium
                    before = site.sent_pieces
                    assert before < 2_000
                    await asyncio.sleep(0.5)
                await response.aclose()
                await until(lambda: site.closed_bodies == 1)

        world.run(main())

    def test_redirects_without_end_end(self, world):
        self.fail(world, "/loop", ConnectFailed)

    def test_a_redirect_to_another_scheme_is_refused(self, world):
        self.fail(world, "/gopher", ConnectFailed)

    def test_codings_are_not_asked_for_and_headers_arrive(self, world):
        async def main():
            async with site_and_fetcher(world) as (site, fetcher, base):
                url = f"{base}/file?token=a%2Bb%7E"
                await read(await fetcher.open(FetchRequest(url=url, headers=(("X-Token", "t"),), first_byte=1)))
                request = site.requests[0]
                assert request.headers["accept-encoding"] == "identity"  # of a range, the browser itself
                assert request.headers["x-token"] == "t"
                assert (request.method, request.path, request.query) == ("GET", "/file", "token=a%2Bb%7E")

        world.run(main())


class TestFetchOfAWorker(OfAWorker, TestFetch):
    pass


class TestDataChannels(ChannelContract):
    pass


class TestDataChannelsOfAWorker(OfAWorker, ChannelContract):
    """Workers have no RTCPeerConnection: the page owns it, and what webrtc.py asks of it crosses a port."""


class TestWhatIsHeld:
    """The counters that each contract is held to do count."""

    def test_what_a_page_has_open_is_seen_until_it_is_closed(self, world):
        async def main():
            connector, signaling = world.connector(), world.signaling()
            await connector.offer("x")
            async with world.echo_tracker() as url:
                await signaling.connect(url)
                held = world.left()
                for name in ("connections", "RTCPeerConnection", "WebSocket"):
                    assert held[f"{name} in the page"] == 1
                assert held["proxies in the page"] > 0
                await signaling.aclose()
            await connector.aclose()

        world.run(main())


class TestWhatIsHeldOfAWorker(OfAWorker, TestWhatIsHeld):
    pass


class TestAPeerThatMisbehaves:
    """A native one, with a channel to the page."""

    @pytest.mark.parametrize("page_offers", [True, False])
    def test_a_second_channel_ends_the_connection(self, world: BrowserWorld, page_offers: bool) -> None:
        async def main() -> None:
            page, native = world.connector(), NativeWorld.connector(world)
            offering, answering = (page, native) if page_offers else (native, page)
            offer = await offering.offer("p2p")
            incoming = await answering.answer(offer.description)
            channels = await asyncio.gather(offer.accept(incoming.description), incoming.channel())
            (link,) = native._links
            link.connection.createDataChannel("more")
            with pytest.raises(ChannelClosed, match="a second channel"):
                await channels[0 if page_offers else 1].receive()
            await page.aclose()
            await native.aclose()

        world.run(main())

    @pytest.mark.parametrize("page_offers", [True, False])
    def test_one_that_vanished_is_noticed_within_five_seconds(self, world: BrowserWorld, page_offers: bool) -> None:
        assert self.noticed_s(world, world.connector(), page_offers=page_offers) < 5

    def test_one_that_vanished_is_noticed_where_nothing_is_counted(self, world: BrowserWorld) -> None:
        """By the browser's `disconnected`, which is all that Firefox has: here no silence is too long for a look."""
        page = world.page.make("connector", limits=ChannelLimits(dead_after_us=60_000_000))
        assert self.noticed_s(world, page, page_offers=True) < 10

    @staticmethod
    def noticed_s(world: BrowserWorld, page: Any, *, page_offers: bool) -> float:
        """How long it takes `page` to notice that nothing comes any more."""

        async def main() -> float:
            link, native = Link(), NativeWorld.connector(world)
            offering, answering = (page, native) if page_offers else (native, page)
            offer = await offering.offer("p2p")
            incoming = await answering.answer(link.pass_offer(offer.description))
            answer = link.pass_answer(incoming.description)
            with link.running(thread=True):
                channels = await asyncio.gather(offer.accept(answer), incoming.channel())
                of_page = channels[0 if page_offers else 1]
                await channels[1 if page_offers else 0].send(b"here")
                assert await of_page.receive() == b"here"
                link.cut.set()
                began_s = asyncio.get_running_loop().time()
                with pytest.raises(ChannelClosed, match="silent") as closed:
                    await of_page.receive()
                assert not closed.value.is_fault  # it may come again at once
                took_s = asyncio.get_running_loop().time() - began_s
                await page.aclose()
                await native.aclose()
            return took_s

        return world.run(main())

    def test_one_that_never_comes_is_given_up_within_ten_seconds(self, world: BrowserWorld) -> None:
        async def main() -> None:
            page, native = world.page.make("connector"), NativeWorld.connector(world)
            incoming = await page.answer((await native.offer("p2p")).description)
            began_s = asyncio.get_running_loop().time()
            with pytest.raises(TimedOut):
                await incoming.channel()
            assert asyncio.get_running_loop().time() - began_s < 10
            await page.aclose()
            await native.aclose()

        world.run(main())


class TestAPeerThatMisbehavesInAWorker(OfAWorker, TestAPeerThatMisbehaves):
    pass


class MixedWorld(BrowserWorld):
    """Every other connector is native: a page and a native peer."""

    def __init__(self, page: RemotePage, native: NativeWorld, *, page_first: bool) -> None:
        super().__init__(page)
        self._native = native
        self.connectors = native.connectors  # those of the page are counted there
        self._is_pages_turn = page_first

    def connector(self, *, connect_timeout_us: int = 10_000_000) -> Any:
        self._is_pages_turn = not self._is_pages_turn
        if self._is_pages_turn:
            return self._native.connector(connect_timeout_us=connect_timeout_us)
        return super().connector(connect_timeout_us=connect_timeout_us)


@pytest.mark.parametrize("page_first", [True, False], ids=["the page offers", "the page answers"])
class TestAPageAndANativePeer(ChannelContract):
    @pytest.fixture
    def world(self, page: RemotePage, page_first: bool) -> MixedWorld:
        return MixedWorld(page, NativeWorld(), page_first=page_first)

    def test_a_peer_that_has_nothing_to_say_is_kept(self, world: MixedWorld) -> None:
        async def main() -> None:
            async with two_channels(world) as (one, other):
                await asyncio.sleep(8)  # twice the silence after which a peer is dead
                await one.send(b"still here")
                assert await other.receive() == b"still here"

        world.run(main())


class TestAPageAndANativeEngine(TestAPageAndANativePeer):
    """Chromium, and what of it the optional engine is."""

    @pytest.fixture
    def world(self, page: RemotePage, page_first: bool) -> MixedWorld:
        return MixedWorld(page, NativeEngineWorld(), page_first=page_first)

    def test_two_megabytes_each_way_at_once_arrive_as_they_were_sent(self, world: MixedWorld) -> None:
        chance = random.Random(5)
        sent = [chance.randbytes(chance.choice((10, 1_000, 30_000, 60_000))) for _ in range(90)]

        async def send(channel: Any) -> None:
            for message in sent:
                await channel.send(message)

        async def main() -> None:
            async with two_channels(world) as (one, other):
                sending = asyncio.gather(send(one), send(other))
                for channel in (one, other):
                    assert [await channel.receive() for _ in sent] == sent
                await sending

        world.run(main())


class TestWebSockets(SignalingContract):
    @pytest.mark.parametrize(
        "url",
        [
            *("ws://127.0.0.1:1/", "ws://0x7f.1:1/", "ws://[::1]:1/", "ws://[::ffff:127.0.0.1]:1/", "ws://10.1.2.3/"),
            *("ws://localhost:1/", "wss://tracker.localhost/", "ws://u:p@93.184.216.34/", "ftp://x/", "ws:///"),
        ],
    )
    def test_a_policy_holds_for_trackers_too(self, world, url):
        async def main():
            signaling = world.page.make("signaling", policy=AddressPolicy())
            with pytest.raises(AddressRefused):
                await signaling.connect(url)
            await signaling.aclose()

        world.run(main())

    def test_only_allowed_trackers_are_asked(self, world):
        async def main():
            policy = AddressPolicy(allowed_hosts=frozenset({"::1", "127.0.0.1:1"}), allow_private=True)
            signaling = world.page.make("signaling", policy=policy)
            for url in ("ws://[::1]:1/", "ws://127.0.0.1:1/"):
                with pytest.raises(ConnectFailed):
                    await signaling.connect(url)
            with pytest.raises(AddressRefused):
                await signaling.connect("ws://127.0.0.1:2/")
            await signaling.aclose()

        world.run(main())


class TestWebSocketsOfAWorker(OfAWorker, TestWebSockets):
    pass


class TestSubtle(HasherContract):
    @pytest.mark.parametrize("is_subtle_used", [True, False])
    def test_large_data_is_digested_with_and_without_a_secure_context(self, world, is_subtle_used):
        data = bytes(range(256)) * 4096

        async def main():
            hasher = world.page.make("hasher", is_subtle_used=is_subtle_used)
            assert await hasher.sha256(data) == hashlib.sha256(data).digest()
            await hasher.aclose()

        asyncio.run(main())


class TestSubtleOfAWorker(OfAWorker, TestSubtle):
    pass


class TestOrigins:
    """What a server lets a page of another origin read."""

    @staticmethod
    def fetched(page: RemotePage, headers: dict[str, str], **fields: Any) -> Any:
        async def handle(request: ServerRequest) -> ServerResponse:
            if "range" in request.headers:
                return ServerResponse(206, {**headers, "content-range": "bytes 2-9/10"}, b"23456789")
            return ServerResponse(200, dict(headers), b"0123456789")

        async def main() -> Any:
            server, fetcher = HttpServer(), page.make("fetcher", policy=AddressPolicy(allow_private=True))
            port = await server.start(handle, host="127.0.0.1", port=0)
            try:
                response = await fetcher.open(FetchRequest(url=f"http://127.0.0.1:{port}/x", **fields))
                return response, await read(response)
            finally:
                await fetcher.aclose()
                await server.aclose()

        return asyncio.run(main())

    def test_a_server_that_allows_the_page_is_read(self, strict):
        response, body = self.fetched(strict, {"access-control-allow-origin": strict.origin})
        assert (response.status, body) == (200, b"0123456789")

    def test_a_server_that_does_not_is_there_and_refuses(self, strict):
        with pytest.raises(CrossOriginRefused, match="Access-Control-Allow-Origin"):
            self.fetched(strict, {})

    def test_a_server_that_was_read_since_is_not_taken_for_one_that_refuses(self, strict):
        headers: dict[str, str] = {}

        async def handle(_: ServerRequest) -> ServerResponse:
            return ServerResponse(200, dict(headers), b"0123456789")

        async def main() -> None:
            server, fetcher = HttpServer(), strict.make("fetcher", policy=AddressPolicy(allow_private=True))
            request = FetchRequest(url=f"http://127.0.0.1:{await server.start(handle, host='127.0.0.1', port=0)}/x")
            try:
                with pytest.raises(CrossOriginRefused):
                    await fetcher.open(request)
                headers["access-control-allow-origin"] = strict.origin
                assert await read(await fetcher.open(request)) == b"0123456789"
                await server.aclose()
                with pytest.raises(ConnectFailed) as caught:
                    await fetcher.open(request)
                assert not isinstance(caught.value, CrossOriginRefused)
            finally:
                await fetcher.aclose()
                await server.aclose()

        asyncio.run(main())

    def test_a_part_whose_place_is_hidden_from_the_page_is_taken_for_what_was_asked(self, strict):
        response, body = self.fetched(strict, {"access-control-allow-origin": "*"}, first_byte=2)
        assert (response.status, response.first_byte, body) == (206, 2, b"23456789")

    def test_who_cannot_be_reached_is_no_matter_of_origins(self, strict):
        async def main() -> None:
            fetcher = strict.make("fetcher", policy=AddressPolicy(allow_private=True))
            with pytest.raises(ConnectFailed) as caught:
                await fetcher.open(FetchRequest(url="http://127.0.0.1:9/"))
            assert not isinstance(caught.value, CrossOriginRefused)
            await fetcher.aclose()

        asyncio.run(main())
