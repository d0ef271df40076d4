"""The one specification of transports; `test_memory_contract.py`, `test_native_contract.py`, `test_apart.py` and
`test_browser_contract.py` run it, and `test_what_has_a_contract.py` says which transport where.

Each class takes a `world`: how to run a coroutine, and how to make each kind of
transport there.  A test that holds in one world only does not belong here.
After each test nothing may be left of what it began: no task, and nothing in what the world counts.
Fetcher and Server are in `contract_http.py`, Connector, Signaling, Hasher and Shelf here.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ipaddress
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Protocol

import pytest

from shoal.transports import interface
from shoal.transports.errors import (
    AddressRefused,
    ChannelClosed,
    ConnectFailed,
    MessageTooLarge,
    ShelfUnusable,
    TimedOut,
)
from shoal.transports.interface import AddressPolicy


class World(Protocol):
    """What a platform must offer to be specified."""

    hides_addresses: bool  # whether a channel may not tell who is at its other end

    def run(self, main: Coroutine[Any, Any, Any]) -> Any: ...
    def fetcher(self, policy: AddressPolicy | None = None) -> interface.Fetcher: ...
    def server(self) -> interface.Server: ...
    def connector(self, *, connect_timeout_us: int = 10_000_000) -> interface.Connector: ...
    def signaling(self) -> interface.Signaling: ...
    def hasher(self) -> interface.Hasher: ...
    def shelf(self, folder: Path, *, bytes_max: int) -> interface.Shelf: ...
    def echo_tracker(self) -> contextlib.AbstractAsyncContextManager[str]: ...

    def left(self) -> dict[str, int]:
        """What this world's transports hold now, by name: connections, queued bytes, sockets; what it can count."""
        ...


async def assert_nothing_left() -> None:
    """No task but this one, after the loop had some turns to end those that were cancelled."""
    for _ in range(20):
        if len(asyncio.all_tasks()) == 1:
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"left behind: {asyncio.all_tasks() - {asyncio.current_task()}}")


async def leaving_nothing(main: Coroutine[Any, Any, Any], world: World) -> Any:
    """What `main` returns or raises; afterwards there is no task, and no counter above what it was before."""
    before = world.left()
    try:
        return await main
    finally:
        await assert_nothing_left()
        await assert_counters_back(world, before)


async def assert_counters_back(world: World, before: dict[str, int]) -> None:
    more: dict[str, int] = {}
    for _ in range(400):  # a library's own threads may be closing sockets yet
        more = {name: count for name, count in world.left().items() if count > before.get(name, 0)}
        if not more:
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"still held two seconds after the test: {more}, before it {before}")


def held_by(connectors: list[Any]) -> dict[str, int]:
    """What their own statistics say."""
    found = [connector.statistics() for connector in connectors]
    return {
        name: sum(getattr(one, name) for one in found) for name in ("connections", "buffered_bytes", "unread_bytes")
    }


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what another task does; the outer bound is generous, the steps are small."""
    for _ in range(6000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not happen within 30 s")


async def read(response: interface.FetchResponse) -> bytes:
    return b"".join([piece async for piece in response])


@contextlib.asynccontextmanager
async def two_channels(world: World, label: str = "p2p"):
    """(offering side, answering side), connected."""
    offering, answering = world.connector(), world.connector()
    try:
        offer = await offering.offer(label)
        incoming = await answering.answer(offer.description)
        yield await asyncio.gather(offer.accept(incoming.description), incoming.channel())
    finally:
        await offering.aclose()
        await answering.aclose()
        await assert_nothing_left()


async def read_all(channel: interface.Channel) -> tuple[list[bytes], str]:
    """Every message until the end, and why it ended."""
    messages = []
    while True:
        try:
            messages.append(await channel.receive())
        except ChannelClosed as error:
            return messages, error.detail


async def flood(channel: interface.Channel) -> None:
    """60 MB: far above the 8 MiB that may be unread."""
    for _ in range(1000):
        await channel.send(bytes(60_000))
        assert channel.buffered_bytes < 1_000_000
        await asyncio.sleep(0)


async def taken_by(channel: interface.Channel, *, urgent: bool) -> int:
    """How many bytes it takes of messages that nobody reads, until it ends."""
    taken = 0
    with contextlib.suppress(ChannelClosed):
        while taken < 32 * 1024 * 1024:
            await channel.send(bytes(60_000), urgent=urgent)
            taken += 60_000
    return taken


class ChannelContract:
    """A Connector and its channels."""

    def test_messages_arrive_whole_and_in_order_both_ways(self, world):
        async def main():
            async with two_channels(world) as (one, other):
                sent = [bytes([number % 256]) * (number * 37 % 3000 + 1) for number in range(200)]
                for message in sent:
                    await one.send(message)
                    await other.send(message[::-1])
                assert [await other.receive() for _ in sent] == sent
                assert [await one.receive() for _ in sent] == [message[::-1] for message in sent]

        world.run(main())

    def test_a_channel_says_what_it_is(self, world):
        async def main():
            async with two_channels(world, label="some label") as (one, other):
                for channel in (one, other):
                    assert isinstance(channel, interface.Channel)
                    assert channel.label == "some label"
                    address = channel.remote_address
                    if address is None:
                        assert world.hides_addresses
                    else:  # bans and limits go by it: a name that stands for many would be taken for one host
                        assert str(ipaddress.ip_address(address)) == address
                    assert channel.is_relayed is False
                    assert channel.fingerprint
                    assert channel.fingerprint.startswith("sha-256 ")
                    assert channel.max_message_bytes == 65_535

        world.run(main())

    def test_empty_and_largest_messages_pass_and_a_larger_one_is_our_mistake(self, world):
        async def main():
            async with two_channels(world) as (one, other):
                for message in (b"", bytes(65_535), bytearray(b"ab"), memoryview(b"cd")):
                    await one.send(message)
                    received = await other.receive()
                    assert type(received) is bytes
                    assert received == bytes(message)
                with pytest.raises(MessageTooLarge):
                    await one.send(bytes(65_536))
                await one.send(b"still open")
                assert await other.receive() == b"still open"

        world.run(main())

    def test_what_was_sent_before_the_first_read_is_there(self, world):
        async def main():
            async with two_channels(world) as (one, other):
                await one.send(b"early")
                await asyncio.sleep(0.1)
                assert await other.receive() == b"early"

        world.run(main())

    def test_close_delivers_what_was_handed_over(self, world):
        async def main():
            async with two_channels(world) as (one, other):
                reading = asyncio.create_task(read_all(other))
                for _ in range(50):
                    await one.send(bytes(20_000))
                await one.close("enough")
                messages, detail = await reading
                assert len(messages) == 50
                assert "peer" in detail

        world.run(main())

    def test_after_close_both_sides_say_why(self, world):
        async def main():
            async with two_channels(world) as (one, other):
                await one.close("enough")
                await one.close("again")
                with pytest.raises(ChannelClosed, match="enough"):
                    await one.send(b"x")
                with pytest.raises(ChannelClosed, match="enough"):
                    await one.receive()
                with pytest.raises(ChannelClosed, match="peer"):
                    await other.receive()
                with pytest.raises(ChannelClosed):
                    await other.send(b"x")

        world.run(main())

    def test_a_reader_waiting_on_its_own_closed_channel_is_woken(self, world):
        async def main():
            async with two_channels(world) as (one, _):
                reading = asyncio.create_task(read_all(one))
                await asyncio.sleep(0.02)
                await one.close("enough")
                assert "enough" in (await reading)[1]

        world.run(main())

    def test_a_flood_that_nobody_reads_ends_the_channel(self, world):
        async def main():
            async with two_channels(world) as (one, other):
                with pytest.raises(ChannelClosed):
                    await flood(one)
                messages, detail = await read_all(other)
                assert "flooded" in detail
                with pytest.raises(ChannelClosed) as closed:
                    await other.receive()
                assert closed.value.is_fault
                assert sum(map(len, messages)) <= 8 * 1024 * 1024

        world.run(main())

    @pytest.mark.parametrize("urgent", [False, True], ids=["bulk", "urgent"])
    def test_of_what_a_peer_does_not_read_no_more_than_4_MiB_wait_on_our_side(self, world, urgent):
        async def main():
            async with two_channels(world) as (one, _):
                taken = await taken_by(one, urgent=urgent)
                # The peer ends it when 8 MiB are there.
                assert taken <= (8 + 4) * 1024 * 1024

        world.run(main())

    def test_an_answer_is_not_an_offer(self, world):
        async def main():
            connector = world.connector()
            for nonsense in ("", "nonsense", "v=0\r\nm=audio 9 RTP/AVP 0\r\n", "x" * 100_000):
                with pytest.raises(ConnectFailed):
                    await connector.answer(nonsense)
            offer = await connector.offer("x")
            with pytest.raises(ConnectFailed):
                await offer.accept("nonsense")
            await connector.aclose()
            await assert_nothing_left()

        world.run(main())

    def test_an_offer_that_nobody_takes_times_out_at_the_answering_side(self, world):
        async def main():
            offering = world.connector()
            answering = world.connector(connect_timeout_us=100_000)
            offer = await offering.offer("x")
            incoming = await answering.answer(offer.description)
            with pytest.raises(TimedOut) as caught:
                await incoming.channel()
            assert (caught.value.phase, caught.value.timeout_us) == ("connect", 100_000)
            await offering.aclose()
            await answering.aclose()
            await assert_nothing_left()

        world.run(main())

    def test_closing_the_connector_ends_pending_and_open(self, world):
        async def main():
            async with two_channels(world) as (one, _):
                connector = world.connector()
                offer = await connector.offer("x")
                incoming = await connector.answer(offer.description)
                waiting = asyncio.create_task(incoming.channel())
                await asyncio.sleep(0)
                await connector.aclose()
                with pytest.raises(ConnectFailed):
                    await waiting
                with pytest.raises(ConnectFailed):
                    await connector.offer("y")
                await one.send(b"others are not touched")

        world.run(main())

    def test_cancelling_a_connecting_task_leaves_nothing(self, world):
        async def main():
            connector = world.connector()
            offer = await connector.offer("x")
            incoming = await connector.answer(offer.description)
            waiting = asyncio.create_task(incoming.channel())
            await asyncio.sleep(0.02)
            waiting.cancel()
            await asyncio.wait([waiting])
            assert waiting.cancelled()
            await offer.close()
            await assert_nothing_left()
            await connector.aclose()

        world.run(main())


class SignalingContract:
    """A Signaling against a tracker that echoes, closes on `bye` and sends 1000 characters on `big`."""

    def test_messages_come_back_in_order(self, world):
        async def main():
            signaling = world.signaling()
            async with world.echo_tracker() as url:
                socket = await signaling.connect(url)
                assert isinstance(socket, interface.TextSocket)
                sent = [f"message {number} ü" for number in range(100)]
                for text in sent:
                    await socket.send(text)
                assert [await socket.receive() for _ in sent] == sent
                await signaling.aclose()
            await assert_nothing_left()

        world.run(main())

    def test_a_tracker_that_closes_is_told_with_a_reason(self, world):
        async def main():
            signaling = world.signaling()
            async with world.echo_tracker() as url:
                socket = await signaling.connect(url)
                await socket.send("bye")
                with pytest.raises(ChannelClosed, match="closed by") as caught:
                    await socket.receive()
                assert caught.value.detail
                with pytest.raises(ChannelClosed):
                    await socket.send("x")
                await signaling.aclose()
            await assert_nothing_left()

        world.run(main())

    def test_our_own_close_is_told_as_ours(self, world):
        async def main():
            signaling = world.signaling()
            async with world.echo_tracker() as url:
                socket = await signaling.connect(url)
                await socket.close()
                await socket.close()
                with pytest.raises(ChannelClosed, match="closed here"):
                    await socket.receive()
                await signaling.aclose()
            await assert_nothing_left()

        world.run(main())

    def test_our_own_too_long_message_is_our_mistake(self, world):
        async def main():
            signaling = world.signaling()
            async with world.echo_tracker() as url:
                socket = await signaling.connect(url, message_bytes_max=100)
                with pytest.raises(MessageTooLarge):
                    await socket.send("ü" * 51)
                await signaling.aclose()

        world.run(main())

    def test_the_trackers_too_long_message_closes(self, world):
        async def main():
            signaling = world.signaling()
            async with world.echo_tracker() as url:
                socket = await signaling.connect(url, message_bytes_max=100)
                await socket.send("big")
                with pytest.raises(ChannelClosed):
                    await socket.receive()
                await signaling.aclose()

        world.run(main())

    def test_nobody_listening_is_a_failed_connection_and_other_schemes_are_refused(self, world):
        async def main():
            signaling = world.signaling()
            with pytest.raises(ConnectFailed):
                await signaling.connect("ws://127.0.0.1:1/")
            with pytest.raises(AddressRefused):
                await signaling.connect("http://127.0.0.1:1/")
            await signaling.aclose()
            with pytest.raises(ConnectFailed):
                await signaling.connect("ws://127.0.0.1:1/")
            await assert_nothing_left()

        world.run(main())


class HasherContract:
    """A Hasher."""

    @pytest.mark.parametrize("size", [0, 1, 2047, 2048, 100_000])
    def test_digests_are_sha256(self, world, size):
        async def main():
            hasher = world.hasher()
            data = bytes(size)
            assert await hasher.sha256(data) == hashlib.sha256(data).digest()
            await hasher.aclose()
            await hasher.aclose()

        world.run(main())

    def test_many_at_once_all_come_out(self, world):
        async def main():
            hasher = world.hasher()
            blocks = [bytes([number % 256]) * 5000 for number in range(200)]
            digests = await asyncio.gather(*map(hasher.sha256, blocks))
            assert digests == [hashlib.sha256(block).digest() for block in blocks]
            await hasher.aclose()

        world.run(main())

    def test_a_closed_hasher_says_so(self, world):
        async def main():
            hasher = world.hasher()
            await hasher.aclose()
            with pytest.raises(RuntimeError, match="closed"):
                await hasher.sha256(b"x")

        world.run(main())


class ShelfContract:
    """A Shelf."""

    def test_what_was_put_is_read_back(self, world, tmp_path):
        async def run() -> None:
            shelf = world.shelf(tmp_path, bytes_max=100)
            await shelf.open()
            shelved = await shelf.put(b"body", worth=1)
            assert shelved == interface.Shelved(hashlib.sha256(b"body").digest(), (), 4, 1)
            assert await shelf.read(shelved.digest) == b"body"
            assert await shelf.sizes([shelved.digest, bytes(32)]) == {shelved.digest: 4}
            assert await shelf.read(bytes(32)) is None
            await shelf.aclose()

        world.run(run())

    def test_what_is_worth_least_goes_first(self, world, tmp_path):
        async def run() -> None:
            shelf = world.shelf(tmp_path, bytes_max=30)
            await shelf.open()
            digests = [(await shelf.put(bytes([place]) * 10, worth=1)).digest for place in range(3)]
            await shelf.mark({digests[1]: 0})
            assert (await shelf.put(bytes(10) + b"x", worth=1)).gone == (digests[1], digests[0])
            assert await shelf.read(digests[1]) is None
            assert await shelf.read(digests[2]) == bytes([2]) * 10
            await shelf.aclose()

        world.run(run())

    def test_many_at_once_are_each_answered(self, world, tmp_path):
        async def run() -> None:
            shelf = world.shelf(tmp_path, bytes_max=10_000_000)
            await shelf.open()
            bodies = [bytes([place]) * 10_000 for place in range(100)]
            shelved = await asyncio.gather(*(shelf.put(body, worth=1) for body in bodies))
            assert await asyncio.gather(*(shelf.read(one.digest) for one in shelved)) == bodies
            await shelf.aclose()

        world.run(run())

    def test_a_closed_shelf_says_so(self, world, tmp_path):
        async def run() -> None:
            shelf = world.shelf(tmp_path, bytes_max=100)
            await shelf.open()
            await shelf.aclose()
            with pytest.raises(ShelfUnusable, match="closed"):
                await shelf.put(b"body", worth=1)

        world.run(run())
