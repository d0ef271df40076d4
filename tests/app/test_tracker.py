"""The tracker on real sockets."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from shoal.app import tracker as tracker_module
from shoal.app.tracker import Tracker
from shoal.app.tracker_core import TrackerLimits
from shoal.app.tracker_tokens import Tokens, sign
from shoal.transports.errors import ConnectFailed

pytestmark = pytest.mark.real

SWARM = "A" * 20


class Client:
    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def say(self, **message: Any) -> None:
        await self.socket.send_str(json.dumps({"action": "announce", "info_hash": SWARM} | message))

    async def hear(self) -> Any:
        return json.loads(await asyncio.wait_for(self.socket.receive_str(), 60))


class Meeting:
    """A running tracker, and clients that connect to it."""

    def __init__(self, tracker: Tracker, port: int, session: aiohttp.ClientSession) -> None:
        self.tracker, self.port, self.session = tracker, port, session

    async def client(self, query: str = "") -> Client:
        return Client(await self.session.ws_connect(f"http://127.0.0.1:{self.port}/announce{query}"))


@asynccontextmanager
async def meeting(limits: TrackerLimits | None = None, tokens: Tokens | None = None) -> AsyncIterator[Meeting]:
    tracker = Tracker(limits, tokens=tokens, seed=1)
    port = await tracker.start()
    async with aiohttp.ClientSession() as session:
        try:
            yield Meeting(tracker, port, session)
        finally:
            await tracker.aclose()


def run(
    story: Callable[[Meeting], Awaitable[None]], limits: TrackerLimits | None = None, tokens: Tokens | None = None
) -> None:
    async def whole() -> None:
        async with asyncio.timeout(60):
            async with meeting(limits, tokens) as place:
                await story(place)

    asyncio.run(whole())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


def test_an_offer_and_its_answer_cross_between_two_clients() -> None:
    async def story(place: Meeting) -> None:
        first, second = await place.client(), await place.client()
        await first.say(peer_id="1" * 20)
        assert (await first.hear())["incomplete"] == 1
        offer_id = bytes(range(128, 148)).decode("latin-1")
        offer = {"offer": {"type": "offer", "sdp": "v=0"}, "offer_id": offer_id}
        await second.say(peer_id="2" * 20, offers=[offer], numwant=1)
        heard = await first.hear()
        assert (heard["peer_id"], heard["offer_id"], heard["offer"]["sdp"]) == ("2" * 20, offer_id, "v=0")
        assert (await second.hear())["incomplete"] == 2
        answer = {"type": "answer", "sdp": "v=1"}
        await first.say(peer_id="1" * 20, to_peer_id="2" * 20, offer_id=offer_id, answer=answer)
        assert (await second.hear())["answer"] == answer

    run(story)


def test_a_client_that_goes_away_leaves_its_swarms() -> None:
    async def story(place: Meeting) -> None:
        client = await place.client()
        await client.say(peer_id="1" * 20)
        await client.hear()
        assert place.tracker.stats().peers == 1
        await client.socket.close()
        await until(lambda: place.tracker.stats().sockets == 0)
        assert place.tracker.stats().peers == 0

    run(story)


def test_a_plain_request_is_told_what_this_is() -> None:
    async def story(place: Meeting) -> None:
        async with place.session.get(f"http://127.0.0.1:{place.port}/") as response:
            assert response.status == 426
            assert "WebSocket" in await response.text()

    run(story)


def test_more_clients_than_allowed_are_refused_until_one_leaves() -> None:
    async def story(place: Meeting) -> None:
        client = await place.client()
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await place.client()
        assert caught.value.status == 503
        await client.socket.close()
        await until(lambda: place.tracker.stats().sockets == 0)
        await place.client()

    run(story, TrackerLimits(sockets_max=1))


@pytest.mark.parametrize("kind", ["binary", "too large"])
def test_a_client_that_sends_no_such_texts_is_closed(kind: str) -> None:
    async def story(place: Meeting) -> None:
        client = await place.client()
        if kind == "binary":
            await client.socket.send_bytes(b"{}")
        else:
            await client.socket.send_str("x" * 2000)
        message = await asyncio.wait_for(client.socket.receive(), 60)
        assert message.type is aiohttp.WSMsgType.CLOSE
        await until(lambda: place.tracker.stats().sockets == 0)

    run(story, TrackerLimits(message_bytes_max=1000))


class Deaf:
    """Joins, and reads nothing from then on."""

    def __init__(self, client: Client, peer_id: str) -> None:
        self.client, self._peer_id = client, peer_id  # kept, since a client that is let go of is closed

    @classmethod
    async def at(cls, place: Meeting, sign: str) -> "Deaf":
        deaf = cls(await place.client(), sign * 20)
        await deaf.client.say(peer_id=deaf._peer_id)
        await deaf.client.hear()
        assert deaf.client.socket._response.connection is not None
        transport = deaf.client.socket._response.connection.transport
        assert isinstance(transport, asyncio.ReadTransport)
        transport.pause_reading()
        return deaf

    def abandon(self) -> None:
        connection = self.client.socket._response.connection
        if connection is not None and connection.transport is not None:
            connection.transport.abort()

    async def say_again(self) -> None:
        await self.client.say(peer_id=self._peer_id)


async def shout(place: Meeting, count: int) -> None:
    """Offers for others, until `count` sockets are left."""
    other = await place.client()
    offer = {"offer": {"type": "offer", "sdp": "v" * 16_000}, "offer_id": "o" * 20}
    for _ in range(4000):  # the kernel's buffers take a few megabytes for each that does not read
        await other.say(peer_id="2" * 20, offers=[offer] * 8)
        await other.hear()
        if place.tracker.stats().sockets == count:
            return
        assert place.tracker._unsent.byte_count <= place.tracker.limits.queues_bytes_max
    raise AssertionError(f"{place.tracker.stats().sockets} sockets are left")


LOUD = {"messages_per_second_max": 100_000, "messages_burst": 100_000}


def test_a_client_that_does_not_read_is_cut_by_what_waits_for_it_and_the_others_go_on() -> None:
    async def story(place: Meeting) -> None:
        deaf = await Deaf.at(place, "1")
        await shout(place, 1)
        deaf.abandon()
        assert place.tracker.stats().failures == {"client_too_slow": 1}
        assert place.tracker.stats().peers == 1
        await until(lambda: place.tracker._unsent.byte_count == 0)

    run(story, TrackerLimits(queue_bytes_max=64_000, **LOUD))


def test_clients_that_do_not_read_may_have_so_much_waiting_together_and_who_has_most_is_cut() -> None:
    async def story(place: Meeting) -> None:
        deaf = [await Deaf.at(place, sign_) for sign_ in "13456"]
        await shout(place, 2)
        for one in deaf:
            one.abandon()
        assert place.tracker.stats().failures == {"queues_full": 4}

    run(story, TrackerLimits(queue_bytes_max=1_000_000, queues_bytes_max=200_000, **LOUD))


def test_a_client_that_talks_and_reads_nothing_is_noticed_and_one_that_only_reads_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tracker_module, "HEARTBEAT_S", 0.6)

    async def story(place: Meeting) -> None:
        quiet, deaf = await place.client(), await Deaf.at(place, "1")
        hearing = asyncio.create_task(quiet.hear())
        async with asyncio.timeout(30):
            while place.tracker.stats().sockets == 2:
                with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                    await deaf.say_again()
                await asyncio.sleep(0.05)
        assert place.tracker.stats().failures == {"client_silent": 1}
        await asyncio.sleep(3)
        assert place.tracker.stats().sockets == 1
        hearing.cancel()

    run(story, TrackerLimits(**LOUD))


def test_with_tokens_only_who_has_one_comes_in_and_not_too_often() -> None:
    key = b"k" * 32
    good, old = sign(key, 4_000_000_000, "viewer"), sign(key, 1, "viewer")

    async def story(place: Meeting) -> None:
        for query in ("", "?token=", f"?token={old}", f"?token={good[:-1]}x"):
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await place.client(query)
            assert caught.value.status == 403
        client = await place.client(f"?token={good}")
        await client.say(peer_id="1" * 20)
        assert (await client.hear())["incomplete"] == 1
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await place.client(f"?token={good}")
        assert caught.value.status == 503
        await client.socket.close()
        await until(lambda: place.tracker.stats().sockets == 0)
        await place.client(f"?token={good}")
        failures = {"no_token": 2, "expired_token": 1, "bad_token": 1, "too_many_sockets_of_token": 1}
        assert place.tracker.stats().failures == failures

    run(story, TrackerLimits(sockets_per_subject_max=1), Tokens((key,)))


def test_a_socket_is_closed_when_its_token_has_ended_and_its_grace_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracker_module, "HEARTBEAT_S", 0.3)
    key = b"k" * 32

    async def story(place: Meeting) -> None:
        ends_s = int(time.time()) + 2
        client = await place.client(f"?token={sign(key, ends_s, 'viewer')}")
        other = await place.client(f"?token={sign(key, 4_000_000_000, 'other')}")
        for number, one in enumerate((client, other)):
            await one.say(peer_id=str(number) * 20)
            await one.hear()
        hearing = asyncio.create_task(other.hear())
        message = await asyncio.wait_for(client.socket.receive(), 30)
        assert time.time() >= ends_s + 1
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, aiohttp.WSCloseCode.POLICY_VIOLATION)
        assert "token has ended" in message.extra
        await until(lambda: place.tracker.stats().sockets == 1)
        assert place.tracker.stats().failures == {"token_ended": 1}
        assert place.tracker.stats().peers == 1
        hearing.cancel()

    run(story, TrackerLimits(token_grace_s=1.0), Tokens((key,)))


def test_figures_are_served_at_an_address_of_their_own() -> None:
    async def story(place: Meeting) -> None:
        port = await place.tracker.start_metrics()
        client = await place.client()
        await client.say(peer_id="1" * 20)
        await client.hear()
        await client.say(peer_id="too short")
        await client.hear()
        async with place.session.get(f"http://127.0.0.1:{port}/metrics") as response:
            text = await response.text()
        values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        assert values["shoal_tracker_sockets"] == "1"
        assert values["shoal_tracker_peers"] == "1"
        assert values["shoal_tracker_announces_total"] == "1"
        assert values['shoal_tracker_failures_total{reason="invalid_peer_id"}'] == "1"
        async with place.session.get(f"http://127.0.0.1:{place.port}/metrics") as response:
            assert response.status == 426

    run(story)


def test_closing_says_goodbye_and_frees_the_port() -> None:
    async def whole() -> None:
        tracker = Tracker()
        port = await tracker.start()
        async with aiohttp.ClientSession() as session:
            socket = await session.ws_connect(f"http://127.0.0.1:{port}/")
            closing = asyncio.create_task(tracker.aclose())
            message = await asyncio.wait_for(socket.receive(), 60)
            assert message.type is aiohttp.WSMsgType.CLOSE
            await closing
            await tracker.aclose()
        again = Tracker()
        assert await again.start(port=port) == port
        with pytest.raises(ConnectFailed, match="choose another port"):
            await Tracker().start(port=port)
        await again.aclose()

    asyncio.run(whole())
