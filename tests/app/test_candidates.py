"""Which of our addresses viewers learn that a tracker picks: the rule, and what really stands in a description."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.app.candidates import Hidden, candidates_for, is_local
from shoal.app.peering import PeerOptions, make_connector
from shoal.transports import registry
from shoal.transports.errors import NoAddress
from shoal.transports.interface import Connector
from shoal.transports.memory import MemoryConnector, Network
from shoal.transports.sansio.addresses import is_public

from .support import skip_without_an_address

NEAR = (
    *("ws://127.0.0.1:8000/announce", "ws://127.9.9.9", "ws://localhost:8000", "wss://LOCALHOST/", "ws://[::1]:80/x"),
    *("ws://10.0.0.1", "ws://172.16.0.1", "ws://172.31.255.255", "wss://192.168.1.20:443/announce"),
    *("ws://169.254.7.7", "ws://[fe80::1]:80", "ws://[fe80::1%25eth0]", "ws://[fd00::7]", "ws://[::ffff:10.0.0.1]"),
)
FAR = (
    *("wss://tracker.example/announce", "wss://8.8.8.8", "ws://172.32.0.1", "ws://11.0.0.1", "ws://100.64.0.1"),
    *("ws://[2606:4700::1]", "ws://[::ffff:8.8.8.8]", "ws://0.0.0.0", "ws://[::]", "ws://192.0.2.1", "ws://224.0.0.1"),
    # Names, whatever they look like or resolve to.
    *("ws://localhost.evil.example", "ws://evil.localhost", "ws://127.0.0.1.example", "ws://tracker.local", "ws://nas"),
    *("ws://127.1", "ws://2130706433", "ws://0x7f000001", "ws://127.0.0.1@tracker.example", "", "ws://", "ws://[::1"),
)


@pytest.mark.parametrize(("urls", "local"), [(NEAR, True), (FAR, False)])
def test_a_tracker_is_local_by_its_literal_address_alone(urls: tuple[str, ...], local: bool) -> None:
    assert {url: is_local(url) for url in urls} == dict.fromkeys(urls, local)


def test_private_addresses_are_for_swarms_whose_trackers_are_all_local() -> None:
    assert candidates_for("auto", NEAR) == "all"
    assert candidates_for("auto", (*NEAR, FAR[0])) == "public"
    assert candidates_for("auto", ()) == "public"


@given(st.lists(st.sampled_from((*NEAR, *FAR))), st.sampled_from(["all", "public", "relay"]))
def test_what_is_set_counts_and_else_one_stranger_is_enough(trackers, setting) -> None:
    assert candidates_for(setting, trackers) == setting
    told = candidates_for("auto", trackers)
    assert (told == "all") == (bool(trackers) and not set(trackers) & set(FAR))
    assert candidates_for("auto", [*trackers, "wss://t.example"]) == "public"


@given(st.ip_addresses())
def test_no_address_of_the_public_internet_is_local(ip) -> None:
    host = f"[{ip}]" if isinstance(ip, ipaddress.IPv6Address) else str(ip)
    assert not (is_local(f"wss://{host}:8000/announce") and is_public(str(ip)))


def test_in_a_page_the_browser_hides_by_itself_and_is_asked_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []
    monkeypatch.setattr(registry, "resolve_connector", lambda _: lambda **kwargs: asked.append(kwargs))
    monkeypatch.setattr(registry, "platform", lambda: "browser")
    make_connector(PeerOptions(), FAR)
    assert asked == [{}]


class _Nowhere(MemoryConnector):
    """On a machine that has no address for others."""

    async def offer(self, label: str):
        raise NoAddress("none")

    async def answer(self, offer: str):
        raise NoAddress("none")


def test_who_can_be_met_by_nobody_is_told_once_and_how_to_mend_it(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        connector = Hidden(_Nowhere(Network().host("here")))
        for attempt in (connector.offer("x"), connector.answer("y"), connector.offer("z")):
            with pytest.raises(NoAddress, match=r"--stun or --turn.*--candidates all"):
                await attempt
        await connector.aclose()

    with caplog.at_level(logging.ERROR):  # what the commands show
        asyncio.run(main())
    (said,) = caplog.messages
    assert "no public address" in said


def _addresses(description: str) -> list[str]:
    return [line.split(" ")[4] for line in description.splitlines() if line.startswith("a=candidate:")]


def _run_with(trackers: tuple[str, ...], main: Callable[[Connector, Connector], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(60):
            one, other = make_connector(PeerOptions(), trackers), make_connector(PeerOptions(), trackers)
            try:
                await main(one, other)
            finally:
                await asyncio.gather(one.aclose(), other.aclose())

    asyncio.run(run())


@pytest.mark.real
def test_in_a_local_swarm_viewers_meet_by_private_addresses() -> None:
    pytest.importorskip("aiortc", reason="peers need WebRTC: pip install 'shoal[webrtc]'")
    skip_without_an_address()

    async def meet(one: Connector, other: Connector) -> None:
        offer = await one.offer("p2p")
        incoming = await other.answer(offer.description)
        here, there = await asyncio.gather(offer.accept(incoming.description), incoming.channel())
        await here.send(b"hello")
        assert await there.receive() == b"hello"

    _run_with(("ws://127.0.0.1:8000/announce",), meet)


@pytest.mark.real
def test_on_a_public_tracker_no_private_address_is_in_a_description(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("aiortc", reason="peers need WebRTC: pip install 'shoal[webrtc]'")
    skip_without_an_address()
    from aioice import Candidate, ice

    async def names_public_ones_only(one: Connector, other: Connector) -> None:
        gathered = ice.Connection.get_component_candidates
        public = "8.8.4.4"

        async def with_public(self, *args, **kwargs):
            """As on a machine that has a public address beside its private ones."""
            found = await gathered(self, *args, **kwargs)
            return [*found, Candidate.from_sdp(found[0].to_sdp().replace(found[0].host, public))]

        monkeypatch.setattr(ice.Connection, "get_component_candidates", with_public)
        offer = await one.offer("p2p")
        incoming = await other.answer(offer.description)
        for description in (offer.description, incoming.description):
            assert _addresses(description) == [public]
            assert "c=IN IP4 0.0.0.0" in description

    _run_with(("wss://tracker.example/announce", "ws://127.0.0.1:8000"), names_public_ones_only)


@pytest.mark.real
@pytest.mark.parametrize("webrtc", [None, "webrtc-apart"])
def test_a_machine_with_private_addresses_alone_says_what_to_do(webrtc: str | None) -> None:
    pytest.importorskip("aiortc", reason="peers need WebRTC: pip install 'shoal[webrtc]'")
    from aioice import ice

    if any(map(is_public, ice.get_host_addresses(use_ipv4=True, use_ipv6=True))):
        pytest.skip("this machine has a public address")

    async def main() -> None:
        connector = make_connector(PeerOptions(webrtc=webrtc), ("wss://tracker.example",))
        try:
            with pytest.raises(NoAddress, match=r"--candidates all"):
                await connector.offer("p2p")
        finally:
            await connector.aclose()

    asyncio.run(main())
