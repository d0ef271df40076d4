"""What a session's peer options become: the connector's arguments, and a relay that is really used."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import pytest

from shoal.app.peering import PeerOptions, TurnServer, make_connector
from shoal.balancer.errors import ConfigurationError
from shoal.transports import registry
from shoal.transports.errors import TransportMissing
from shoal.transports.interface import Connector

from .support import skip_without_an_address, until

NEAR, FAR = ("ws://127.0.0.1:8000/announce",), ("wss://tracker.example/announce",)
TURN = TurnServer("turn:relay.example:3478", "viewer", "secret")
RELAY = "127.0.0.1"  # our coturn's address


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        (PeerOptions(), {"candidates": "public"}),
        (PeerOptions(candidates="all"), {}),
        (
            PeerOptions(stun_servers=("stun:a.example",)),
            {"stun_servers": ("stun:a.example",), "candidates": "public"},
        ),
        (
            PeerOptions(turn_servers=(TURN,), candidates="relay"),
            {"turn_servers": (TURN,), "candidates": "relay"},
        ),
        (PeerOptions(candidates="public"), {"candidates": "public"}),
        (
            PeerOptions(line_bytes_per_s=500_000, candidates="all"),
            {"upload_bytes_per_second": 500_000},
        ),
    ],
)
def test_an_implementation_is_asked_for_nothing_but_what_was_given(
    monkeypatch: pytest.MonkeyPatch, options: PeerOptions, arguments: dict[str, object]
) -> None:
    given: list[dict[str, object]] = []
    monkeypatch.setattr(registry, "resolve_connector", lambda _: lambda **kwargs: given.append(kwargs))
    make_connector(options, FAR)
    assert given == [arguments]


def test_what_an_implementation_cannot_do_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def plain() -> None:
        """Takes no arguments."""

    monkeypatch.setattr(registry, "resolve_connector", lambda _: plain)
    with pytest.raises(ConfigurationError, match="the connector native does not take upload_bytes_per_second"):
        make_connector(PeerOptions(line_bytes_per_s=500_000), NEAR)


@pytest.mark.real
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (PeerOptions(stun_servers=("stuns:a.example",)), "no STUN server over TLS"),
        (PeerOptions(stun_servers=("stun:[2001:db8::1]:3478",)), "no IPv6 address"),
        (PeerOptions(turn_servers=(TurnServer("turn:[2001:db8::1]", "a", "b"),)), "no IPv6 address"),
        (PeerOptions(stun_servers=("stun:a.example", "stun:b.example")), "one STUN server"),
        (PeerOptions(turn_servers=(TURN, TURN)), "one TURN server"),
        (PeerOptions(turn_servers=(TurnServer("turns:a.example?transport=udp", "a", "b"),)), "not DTLS"),
    ],
)
def test_what_aiortc_would_pass_over_in_silence_is_refused_at_the_start(options: PeerOptions, message: str) -> None:
    pytest.importorskip("aiortc", reason="peers need WebRTC: pip install 'shoal[webrtc]'")
    with pytest.raises(TransportMissing, match=message):
        make_connector(options, NEAR)


@contextlib.asynccontextmanager
async def running_relay(folder: Path) -> AsyncIterator[TurnServer]:
    """Debian's coturn, on this machine's loopback, with one account."""
    with socket.create_server(("127.0.0.1", 0)) as free:  # coturn takes no port 0
        port = free.getsockname()[1]
    log = folder / "turn.log"
    process = await asyncio.create_subprocess_exec(
        *("turnserver", "-n", "--no-cli", "--no-tls", "--no-dtls", "-L", "127.0.0.1", "-E", "127.0.0.1"),
        *("-p", str(port), "--lt-cred-mech", "--user", "viewer:secret", "--realm", "shoal", "--allow-loopback-peers"),
        *("--log-file", str(log), "--simple-log", "--pidfile", str(folder / "turn.pid"), "--verbose"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )

    async def listens() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    try:
        await until(listens, "coturn does not listen")
        yield TurnServer(f"turn:127.0.0.1:{port}", "viewer", "secret")
    finally:
        process.terminate()
        await process.wait()


def skip_without_what_relays_need(webrtc: str | None) -> None:
    if shutil.which("turnserver") is None:
        pytest.skip("coturn is missing; Debian, as root: apt-get install coturn")
    pytest.importorskip("aiortc", reason="peers need WebRTC: pip install 'shoal[webrtc]'")
    if webrtc == "webrtc-native":
        pytest.importorskip("wrtc", reason="it is optional: pip install 'shoal[webrtc-native]'")
    skip_without_an_address()


ENGINES = pytest.mark.parametrize("webrtc", [None, "webrtc-native"])


@pytest.mark.real
@ENGINES
def test_through_a_relay_alone_two_viewers_meet_and_learn_no_address_of_each_other(
    tmp_path: Path, webrtc: str | None
) -> None:
    skip_without_what_relays_need(webrtc)

    async def meet(one: Connector, other: Connector) -> None:
        offer = await one.offer("p2p")
        incoming = await other.answer(offer.description)
        for description in (offer.description, incoming.description):
            candidates = [line for line in description.splitlines() if line.startswith("a=candidate:")]
            assert candidates
            assert all(" typ relay" in line for line in candidates)
            assert all(" raddr 0.0.0.0 " in f"{line} " for line in candidates if " raddr " in line)
        here, there = await asyncio.gather(offer.accept(incoming.description), incoming.channel())
        for number in range(4):
            await here.send(bytes([number]) * 50_000)
        assert [await there.receive() for _ in range(4)] == [bytes([number]) * 50_000 for number in range(4)]

    async def run() -> None:
        async with asyncio.timeout(60), running_relay(tmp_path) as relay:
            options = PeerOptions(turn_servers=(relay,), candidates="relay", webrtc=webrtc)
            one, other = make_connector(options, FAR), make_connector(options, FAR)
            try:
                await meet(one, other)
            finally:
                await asyncio.gather(one.aclose(), other.aclose())

    asyncio.run(run())
    # The relay itself says that it gave both an address.
    log = (tmp_path / "turn.log").read_text()
    assert log.count("ALLOCATE processed, success") >= 2, log[-2000:]


class Ear(asyncio.DatagramProtocol):
    """Hears who sends to it, by address."""

    def __init__(self) -> None:
        self.heard: set[str] = set()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.heard.add(addr[0])


@pytest.mark.real
@ENGINES
@pytest.mark.parametrize("candidates", ["relay", "all"])
def test_who_uses_a_relay_alone_sends_nothing_to_others_from_its_own_address(
    tmp_path: Path, webrtc: str | None, candidates: Literal["relay", "all"]
) -> None:
    """What a description leaves out, the checks of ICE would still tell to whom they go."""
    skip_without_what_relays_need(webrtc)

    async def run() -> None:
        async with asyncio.timeout(60), running_relay(tmp_path) as relay:
            one = make_connector(PeerOptions(turn_servers=(relay,), candidates=candidates, webrtc=webrtc), FAR)
            other = make_connector(PeerOptions(candidates="all"), FAR)
            transport, ear = await asyncio.get_running_loop().create_datagram_endpoint(Ear, ("0.0.0.0", 0))
            try:
                offer = await one.offer("p2p")
                incoming = await other.answer(offer.description)
                port = transport.get_extra_info("sockname")[1]
                own, answer = with_candidate(incoming.description, port)
                here, there = await asyncio.gather(offer.accept(answer), incoming.channel())
                await here.send(b"met")
                assert await there.receive() == b"met"
                await until(lambda: ear.heard, "nothing came to the ear")
                await asyncio.sleep(1)  # what would come by another way has its time to
                if candidates == "relay":
                    assert ear.heard == {RELAY}
                else:
                    assert own in ear.heard
            finally:
                transport.close()
                await asyncio.gather(one.aclose(), other.aclose())

    asyncio.run(run())


def with_candidate(description: str, port: int) -> tuple[str, str]:
    """This machine's address, and the description with that port of it as one candidate more."""
    lines = description.splitlines()
    place, words = next(
        (place, line.split(" "))
        for place, line in enumerate(lines)
        if line.startswith("a=candidate:") and " udp " in line and line.endswith(" typ host") and "." in line
    )
    more = " ".join(["a=candidate:99", *words[1:5], str(port), "typ", "host"])
    return words[4], "\r\n".join([*lines[:place], more, *lines[place:]]) + "\r\n"
