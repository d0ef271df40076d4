"""The in-memory network misbehaves exactly as it was told to, and the same way every time."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.runtime.testing import run_virtual
from shoal.transports.errors import (
    AddressRefused,
    BodyTruncated,
    ChannelClosed,
    ConnectFailed,
    TimedOut,
    TransportError,
)
from shoal.transports.interface import AddressPolicy, FetchRequest, ServerResponse
from shoal.transports.memory import Conditions, MemoryConnector, MemoryFetcher, MemoryServer, Network
from shoal.transports.memory.network import Path
from shoal.transports.memory.pipe import Pipe, PipeEnded

from .contract import assert_nothing_left, read
from .contract_http import Site

URL = "http://cdn.example/file"


def now():
    return asyncio.get_running_loop().time()


async def with_site(network, work, handler=None):
    """Run `work(fetcher)` on host `player` against a site on host `cdn.example`, port 80."""
    server = MemoryServer(network.host("cdn.example"))
    fetcher = MemoryFetcher(network.host("player"))
    await server.start(handler or Site().handle, host="0.0.0.0", port=80)
    try:
        return await work(fetcher)
    finally:
        await fetcher.aclose()
        await server.aclose()
        await assert_nothing_left()


def site(work, conditions=None, *, seed=0, handler=None, arrange=lambda network: None):
    async def main():
        network = Network(seed=seed, conditions=conditions or Conditions())
        arrange(network)
        return await with_site(network, lambda fetcher: work(network, fetcher), handler)

    return run_virtual(main())


async def get(_network, fetcher, **fields):
    return await read(await fetcher.open(FetchRequest(url=URL, **fields)))


def test_latency_is_paid_for_connecting_and_for_asking():
    async def work(network, fetcher):
        await fetcher.open(FetchRequest(url=URL))
        return now()

    assert site(work, Conditions(latency_us=50_000)) == pytest.approx(0.2)


def test_bandwidth_is_shared_by_those_on_the_path():
    async def work(network, fetcher):
        await asyncio.gather(get(network, fetcher), get(network, fetcher))
        return now()

    two_files = 2 * 256_000 / 1_000_000
    assert site(work, Conditions(latency_us=0, bytes_per_s=1_000_000)) == pytest.approx(two_files, rel=0.02)


def test_a_partition_before_connecting_times_out():
    with pytest.raises(TimedOut) as caught:
        site(get, arrange=lambda network: network.partition(["player"], ["cdn.example"]))
    assert caught.value.phase == "connect"


def test_a_partition_in_the_body_stalls_and_healing_goes_on():
    async def work(network, fetcher):
        response = await fetcher.open(FetchRequest(url=URL, stall_timeout_us=10_000_000))
        pieces = aiter(response)
        first = await anext(pieces)
        network.partition(["PLAYER"], ["cdn.example"])
        asyncio.get_running_loop().call_later(5, network.heal)
        rest = b"".join([piece async for piece in pieces])
        return len(first + rest), now()

    length, ended = site(work)
    assert length == 256_000
    assert 5 < ended < 5.1


def test_a_clog_holds_one_direction_only():
    async def work(network, fetcher):
        network.clog("cdn.example", "player")
        with pytest.raises(TimedOut):
            await get(network, fetcher)
        network.unclog("cdn.example", "player")
        network.clog("player", "elsewhere")
        return await get(network, fetcher)

    assert len(site(work)) == 256_000


def test_breaking_connections_is_noticed_at_once():
    async def work(network, fetcher):
        response = await fetcher.open(FetchRequest(url="http://cdn.example/stalling"))
        reading = asyncio.create_task(read(response))
        await asyncio.sleep(1)
        assert network.break_connections("player", "cdn.example") > 0
        with pytest.raises(BodyTruncated):
            await reading
        return now()

    assert site(work) == pytest.approx(1.0, abs=0.01)


def test_refusals_breaks_and_stalls_happen_as_often_as_they_should():
    async def count(network, fetcher):
        outcomes = {"ok": 0, "refused": 0, "broken": 0}
        for _ in range(300):
            try:
                await get(network, fetcher)
                outcomes["ok"] += 1
            except ConnectFailed:
                outcomes["refused"] += 1
            except BodyTruncated:
                outcomes["broken"] += 1
        return outcomes

    outcomes = site(count, Conditions(refuse_chance=0.2, break_chance=0.05))
    assert all(number > 20 for number in outcomes.values()), outcomes


def test_the_same_seed_gives_the_same_times_and_another_gives_others():
    async def work(network, fetcher):
        times = []
        for _ in range(20):
            await get(network, fetcher)
            times.append(now())
        return times

    rough = Conditions(jitter_us=50_000, stall_chance=0.1, bytes_per_s=5_000_000)
    assert site(work, rough, seed=1) == site(work, rough, seed=1)
    assert site(work, rough, seed=1) != site(work, rough, seed=2)


def test_a_hosts_address_is_judged_like_a_resolved_one():
    async def main():
        network = Network()
        network.host("inside.example", address="10.0.0.7")
        server = MemoryServer(network.host("inside.example"))
        await server.start(Site().handle, host="0.0.0.0", port=80)
        for url in ("http://inside.example/file", "http://10.0.0.7/file"):
            with pytest.raises(AddressRefused):
                await MemoryFetcher(network.host("player")).open(FetchRequest(url=url))
            allowed = MemoryFetcher(network.host("player"), AddressPolicy(allow_private=True))
            assert len(await read(await allowed.open(FetchRequest(url=url)))) == 256_000
        await server.aclose()

    run_virtual(main())


def test_a_name_that_there_is_not_is_told_from_a_port_where_nobody_listens():
    async def work(network, fetcher):
        with pytest.raises(ConnectFailed, match="no such name"):
            await fetcher.open(FetchRequest(url="http://nowhere.example/"))
        network.host("idle.example")
        with pytest.raises(ConnectFailed, match="nobody listens"):
            await fetcher.open(FetchRequest(url="http://idle.example/"))

    site(work)


@pytest.mark.parametrize("headers", [{f"x-{n}": "1" for n in range(200)}, {"x": "1" * 10_000}], ids=["many", "long"])
def test_more_headers_than_a_socket_would_take_are_refused_too(headers):
    async def bomb(_request):
        return ServerResponse(200, headers, b"x")

    with pytest.raises(TransportError, match="not HTTP"):
        site(get, handler=bomb)


def test_a_channel_across_a_partition_waits_and_goes_on_when_healed():
    async def main():
        network = Network(conditions=Conditions(latency_us=10_000))
        offering, answering = MemoryConnector(network.host("a")), MemoryConnector(network.host("b"))
        offer = await offering.offer("x")
        incoming = await answering.answer(offer.description)
        one, other = await asyncio.gather(offer.accept(incoming.description), incoming.channel())
        network.partition(["a"], ["b"])
        await one.send(b"late")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(20):
                await other.receive()
        assert one.buffered_bytes == 4
        network.heal()
        assert await other.receive() == b"late"
        network.break_connections("a", "b")
        with pytest.raises(ChannelClosed, match="reset"):
            await other.receive()
        await offering.aclose()
        await answering.aclose()
        await assert_nothing_left()

    run_virtual(main())


def test_a_whole_body_in_one_piece_meets_the_conditions_per_64_kib():
    async def handler(request):
        return ServerResponse(200, {}, bytes(640 * 1024))

    async def work(network, fetcher):
        await get(network, fetcher)
        return now()

    stalling = Conditions(latency_us=0, stall_chance=1.0, stall_us=100_000)
    assert site(work, stalling, handler=handler) > 0.2


@given(
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 50)), max_size=40),
    st.integers(0, 2**32),
    st.sampled_from([None, 10_000, 1_000_000]),
)
def test_a_pipe_keeps_order_and_loses_nothing(messages, seed, bytes_per_s):
    conditions = Conditions(jitter_us=100_000, stall_chance=0.3, bytes_per_s=bytes_per_s)

    async def main():
        import random

        pipe = Pipe(Path(conditions, random.Random(seed)))

        async def write():
            for number, (size, pause_ms) in enumerate(messages):
                pipe.send(number, size)
                await pipe.wait_below(8000)
                await asyncio.sleep(pause_ms / 1000)
            pipe.close("done")

        async def read_pipe():
            received = []
            while True:
                try:
                    received.append(await pipe.receive())
                except PipeEnded as ended:
                    return received, ended.is_clean

        _, (received, is_clean) = await asyncio.gather(write(), read_pipe())
        assert received == list(range(len(messages)))
        assert is_clean
        assert pipe.held_bytes == 0

    run_virtual(main())
