"""Behind a proxy a client is known by its own address, which it cannot choose."""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.app.tracker import Tracker
from shoal.app.tracker_core import TrackerLimits
from shoal.app.tracker_proxies import ENTRIES_MAX, Caller, TrustedProxies
from shoal.balancer.errors import ConfigurationError

from .nginx import free_port, running_nginx

PROXIES = TrustedProxies(["127.0.0.1", "10.0.0.0/8", "fd00::/8"])
PROXY = "127.0.0.1"


def named(*lines: str) -> str:
    """The client that the proxy names."""
    caller = PROXIES.caller(PROXY, lines)
    assert not caller.is_unnamed
    return caller.address


@pytest.mark.parametrize(
    ("lines", "address"),
    [
        (["192.0.2.7"], "192.0.2.7"),
        (["192.0.2.7, 10.1.2.3"], "192.0.2.7"),  # through two of ours
        (["192.0.2.7,10.1.2.3 ,\tfd00::1"], "192.0.2.7"),
        (["198.51.100.1, 192.0.2.7"], "192.0.2.7"),  # forged, or a proxy of its own
        (["127.0.0.1, 10.0.0.1, 192.0.2.7"], "192.0.2.7"),  # forged to look like ours
        (["198.51.100.1, 192.0.2.7, 10.1.2.3"], "192.0.2.7"),
        (["not an address,, 192.0.2.7"], "192.0.2.7"),
        (["198.51.100.1", "192.0.2.7"], "192.0.2.7"),  # several lines are one
        (["192.0.2.7", "10.1.2.3"], "192.0.2.7"),
        (["192.0.2.7:4711"], "192.0.2.7"),
        (["2001:db8::7"], "2001:db8::7"),
        (["[2001:db8::7]"], "2001:db8::7"),
        (["[2001:db8::7]:4711"], "2001:db8::7"),
        (["2001:DB8:0:0::7"], "2001:db8::7"),  # one address, one text
        (["fe80::7%eth0"], "fe80::7"),
        (["::ffff:192.0.2.7"], "192.0.2.7"),
        (["192.0.2.7, ::ffff:10.1.2.3"], "192.0.2.7"),
        (["10.1.2.3"], "10.1.2.3"),  # on the proxy's own machine
        (["10.9.9.9, 10.1.2.3"], "10.9.9.9"),
    ],
)
def test_the_client_is_the_nearest_that_is_no_proxy_of_ours(lines: list[str], address: str) -> None:
    assert named(*lines) == address


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [""],
        ["unknown"],
        ["_hidden"],
        ["192.0.2.7,"],
        ["192.0.2.7", ""],
        ["192.0.2.7, unknown, 10.1.2.3"],  # one of ours was asked by nobody knows whom
        ["192.0.2.256"],
        ["192.0.2.7:http"],
        ["192.0.2.7:\u0664"],
        ["[192.0.2.7]"],
        ["[2001:db8::7"],
        ["[2001:db8::7]4711"],
        ["2001:db8::7]"],
        ["for=192.0.2.7"],
        ["1"],
        [f"fe80::7%{'x' * 100}"],
        [", ".join(["192.0.2.7", *["10.1.2.3"] * ENTRIES_MAX])],
    ],
)
def test_what_says_nothing_legible_leaves_the_socket_to_its_proxy(lines: list[str]) -> None:
    assert PROXIES.caller("::ffff:127.0.0.1", lines) == Caller(PROXY, is_unnamed=True)


def test_as_many_proxies_in_a_row_as_are_allowed_are_gone_through() -> None:
    assert named(", ".join(["192.0.2.7", *["10.1.2.3"] * (ENTRIES_MAX - 1)])) == "192.0.2.7"


@pytest.mark.parametrize("remote", ["127.0.0.2", "192.0.2.1", "::1", "?", ""])
def test_nobody_else_is_asked_whose_socket_it_is(remote: str) -> None:
    assert PROXIES.caller(remote, ["198.51.100.1"]) == Caller(remote)


def test_nobody_is_trusted_unasked() -> None:
    assert TrustedProxies().caller(PROXY, ["198.51.100.1"]) == Caller(PROXY)


@pytest.mark.parametrize(
    "text", ["", "proxy.example", "10.0.0.1/8", "10.0.0.0/33", "0.0.0.0/0", "::/0", "::ffff:10.0.0.0/104"]
)
def test_what_can_be_no_proxy_is_refused_with_its_name(text: str) -> None:
    with pytest.raises(ConfigurationError, match="trusted proxy"):
        TrustedProxies(["127.0.0.1", text])


addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
ours = st.sampled_from(["127.0.0.1", "10.1.2.3", "fd00::1"])
strangers = st.sampled_from(["192.0.2.7", "198.51.100.1", "2001:db8::7"])
entries = st.one_of(addresses, ours, strangers, st.text(max_size=80))


@given(st.lists(st.lists(entries).map(",".join)), strangers, st.lists(ours, max_size=ENTRIES_MAX - 1), st.booleans())
def test_nothing_that_a_client_writes_chooses_its_address(
    forged: list[str], client: str, behind: list[str], is_one_line: bool
) -> None:
    written = ",".join([client, *behind])
    lines = [",".join([*forged, written])] if is_one_line else [*forged, written]
    assert named(*lines) == client


@given(addresses, st.lists(st.text()))
def test_an_address_is_a_sockets_own_or_one_that_was_written(remote: str, lines: list[str]) -> None:
    caller = PROXIES.caller(remote, lines)
    if caller.address != remote:
        assert caller.address == str(ipaddress.ip_address(caller.address))


# -- through nginx

SERVER = """server {{ listen 127.0.0.1:{port}; location / {{
  proxy_pass http://127.0.0.1:{tracker}; proxy_http_version 1.1;
  proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; {more}
}} }}
"""
ADDS = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"
SWARM = "s" * 20


class Clients:
    """Each comes from an address of its own, to nginx."""

    def __init__(self, stack: AsyncExitStack, port: int) -> None:
        self._stack, self._port = stack, port

    async def come(self, address: str, forged: str = "198.51.100.1") -> aiohttp.ClientWebSocketResponse:
        connector = aiohttp.TCPConnector(local_addr=(address, 0))
        session = await self._stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        connecting = session.ws_connect(f"http://127.0.0.1:{self._port}/", headers={"X-Forwarded-For": forged})
        return await self._stack.enter_async_context(connecting)


async def announced(socket: aiohttp.ClientWebSocketResponse, peer_id: str) -> Any:
    await socket.send_str(json.dumps({"action": "announce", "info_hash": SWARM, "peer_id": peer_id}))
    return json.loads(await asyncio.wait_for(socket.receive_str(), 60))


@asynccontextmanager
async def behind_nginx(home: Path, more: str) -> AsyncIterator[tuple[Tracker, Clients]]:
    tracker = Tracker(TrackerLimits(sockets_per_address_max=2), trusted_proxies=[PROXY])
    async with asyncio.timeout(120), AsyncExitStack() as stack:
        stack.push_async_callback(tracker.aclose)
        behind, port = await tracker.start(), free_port()
        await stack.enter_async_context(running_nginx(home, SERVER.format(port=port, tracker=behind, more=more), port))
        yield tracker, Clients(stack, port)


@pytest.mark.real
def test_clients_behind_nginx_are_told_apart_and_limited_apart(tmp_path: Path) -> None:
    async def run() -> None:
        async with behind_nginx(tmp_path / "nginx", ADDS) as (tracker, clients):
            first, again, other = [await clients.come(f"127.0.0.{place}") for place in (2, 2, 3)]
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await clients.come("127.0.0.2", forged="127.0.0.3")  # nor is it let in as somebody else
            assert caught.value.status == 503
            assert tracker.stats().failures == {"too_many_sockets_of_address": 1}
            assert (await announced(first, "1" * 20))["incomplete"] == 1
            assert await announced(other, "1" * 20) == {"failure reason": "peer_id is in use"}
            assert (await announced(again, "1" * 20))["incomplete"] == 1, "a page that was loaded again"
            assert tracker.stats().sockets_unnamed == 0

    asyncio.run(run())


@pytest.mark.real
def test_clients_of_a_proxy_that_does_not_name_them_are_one_and_counted(tmp_path: Path) -> None:
    async def run() -> None:
        async with behind_nginx(tmp_path / "nginx", 'proxy_set_header X-Forwarded-For "";') as (tracker, clients):
            await clients.come("127.0.0.2")
            await clients.come("127.0.0.3")
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await clients.come("127.0.0.4")
            assert tracker.stats().sockets_unnamed == 3

    asyncio.run(run())
