"""Whatever a swarm has begun when it is stopped, at whatever moment, nothing of it is left open."""

from __future__ import annotations

import asyncio
import json
import os
from itertools import pairwise
from typing import Any

import pytest

from shoal.balancer.actors.messages import ChannelOpened, Noted
from shoal.balancer.actors.swarm import Swarm, _AnswerMade, _Text
from shoal.balancer.config import BalancerConfig, load
from shoal.runtime import Actor, ActorSystem
from shoal.runtime.testing import run_virtual
from shoal.transports.errors import ConnectFailed, StatusError

INFO_HASH, US, THEM = "i" * 20, "u" * 20, "t" * 20
STEP_S = 0.1  # each of the connector's steps
TRACKER = "ws://tracker/"


class Channel:
    def __init__(self, half: Half) -> None:
        self.half = half

    async def close(self, detail: str = "done") -> None:
        await self.half.close()


class Half:
    """An OutgoingOffer and an IncomingChannel, whose other side takes its time and then is there."""

    def __init__(self, connector: Connector) -> None:
        self._open = connector.open
        self.description = "v=0"
        self._open.add(self)

    async def accept(self, _answer: str) -> Channel:
        return await self.channel()

    async def channel(self) -> Channel:
        try:
            await asyncio.sleep(STEP_S)
        except BaseException:
            await self.close()
            raise
        if self not in self._open:
            raise ConnectFailed("it was closed")
        return Channel(self)

    async def close(self) -> None:
        await asyncio.sleep(STEP_S / 10)
        self._open.discard(self)


class Connector:
    def __init__(self) -> None:
        self.open: set[Half] = set()
        self.made = 0

    async def offer(self, _label: str) -> Half:
        await asyncio.sleep(STEP_S)
        self.made += 1
        return Half(self)

    async def answer(self, _offer: str) -> Half:
        return await self.offer("")

    async def aclose(self) -> None: ...


class Tracker:
    """A Signaling and its one socket: somebody answers each announce's first offer, and makes one of its own."""

    def __init__(self) -> None:
        self.texts: asyncio.Queue[str] = asyncio.Queue()
        self.said: list[dict[str, Any]] = []

    async def connect(self, _url: str, *, message_bytes_max: int = 0) -> Tracker:
        return self

    async def send(self, text: str) -> None:
        said = json.loads(text)
        self.said.append(said)
        for number, offer in enumerate(said.get("offers", ())[:1]):
            peer_id = f"{len(self.said)}{number}".ljust(20, "a")
            self.say(peer_id=peer_id, offer_id=offer["offer_id"], answer={"type": "answer", "sdp": "v=0"})
            self.say(peer_id=THEM, offer_id="o" * 20, offer={"type": "offer", "sdp": "v=0"})

    def say(self, **fields: Any) -> None:
        self.texts.put_nowait(json.dumps({"action": "announce", "info_hash": INFO_HASH, **fields}))

    async def receive(self) -> str:
        return await self.texts.get()

    async def close(self) -> None: ...

    async def aclose(self) -> None: ...


class Session(Actor[Any]):
    def __init__(self, heard: list[Any]) -> None:
        self._heard = heard

    def receive(self, message: Any) -> None:
        self._heard.append(message)


async def stopped_after(seconds: float) -> tuple[Connector, list[ChannelOpened]]:
    connector, heard = Connector(), []
    async with ActorSystem(fixed_cost_ns=1000, loop_delay_interval_us=None) as system:
        swarm = spawned(system, connector, Tracker(), heard, load({}))
        await asyncio.sleep(seconds)
        swarm.stop()
        await asyncio.sleep(2.0)
    assert system.counters.failures == 0
    return connector, [message for message in heard if isinstance(message, ChannelOpened)]


def spawned(
    system: ActorSystem,
    connector: Connector,
    tracker: Tracker,
    heard: list[Any],
    config: BalancerConfig,
    *,
    peer_id: str = US,
) -> Any:
    return system.spawn(
        Swarm,
        system.spawn(Session, heard),
        connector,
        tracker,
        config,
        rendition=0,
        tracker=TRACKER,
        info_hash=INFO_HASH,
        peer_id=peer_id,
        random_bytes=os.urandom,
    )


@pytest.mark.parametrize("tenths", [0.0, 0.5, 1.0, 1.5, 2.5, 4.5, 5.0, 5.05, 5.5, 5.95, 6.0, 6.05, 6.5, 7.0, 7.05, 8.0])
def test_a_swarm_that_is_stopped_leaves_no_connection_but_those_that_it_gave_away(tenths: float) -> None:
    connector, opened = run_virtual(stopped_after(tenths * STEP_S))
    assert {message.channel.half for message in opened} == connector.open


def test_with_time_enough_both_kinds_of_channels_are_given_away() -> None:
    _, opened = run_virtual(stopped_after(2.0))
    assert len(opened) == 2


def test_a_tracker_whose_count_goes_up_and_down_makes_us_make_no_more_offers_than_may_be_open() -> None:
    async def main() -> None:
        connector, tracker = Connector(), Tracker()
        async with ActorSystem(fixed_cost_ns=1000, loop_delay_interval_us=None) as system:
            spawned(system, connector, tracker, [], load({"swarm_viewers_min": 10}))
            await asyncio.sleep(1.0)
            for _ in range(200):
                tracker.say(complete=0, incomplete=1)
                tracker.say(complete=0, incomplete=20)
            await asyncio.sleep(20.0)
            assert 0 < connector.made <= 60  # 50 that wait for an answer, and as many as were answered meanwhile

    run_virtual(main())


def test_an_attempt_that_is_given_up_before_it_has_begun_is_closed() -> None:
    """Our answer is made, and in the same moment they have answered our own offer, whose link is to stay."""

    async def main() -> None:
        connector, tracker, heard = Connector(), Tracker(), list[Any]()
        async with ActorSystem(fixed_cost_ns=1000, loop_delay_interval_us=None) as system:
            swarm = spawned(system, connector, tracker, heard, load({}), peer_id="a" * 20)  # the smaller id
            while not tracker.said:
                await asyncio.sleep(STEP_S / 4)
            tracker.texts = asyncio.Queue()
            begun = len(connector.open)
            client = {"peer_id": THEM, "offer_id": "o" * 20}
            tracker.say(**client, offer={"type": "offer", "sdp": "v=0"})
            await asyncio.sleep(STEP_S * 0.5)
            theirs = json.dumps({
                "action": "announce", "info_hash": INFO_HASH, "peer_id": THEM,
                "offer_id": tracker.said[0]["offers"][1]["offer_id"], "answer": {"type": "answer", "sdp": "v=0"},
            })  # fmt: skip
            incoming = Half(connector)
            swarm.tell(_AnswerMade(THEM, "o" * 20, incoming))
            swarm.tell(_Text(theirs))
            await asyncio.sleep(STEP_S * 5)
            assert incoming not in connector.open
            assert len(connector.open) <= begun

    run_virtual(main())


class Busy(Tracker):
    """Lets nobody in for now, and says for how long."""

    def __init__(self) -> None:
        super().__init__()
        self.asked_s: list[float] = []

    async def connect(self, _url: str, *, message_bytes_max: int = 0) -> Tracker:
        self.asked_s.append(asyncio.get_running_loop().time())
        raise StatusError("answered 503: 32 sockets of one token", status=503, retry_after_us=90_000_000)


def test_a_tracker_that_has_no_room_is_asked_when_it_says_and_its_words_are_noted_once() -> None:
    async def main() -> tuple[Busy, list[Any]]:
        busy, heard = Busy(), []
        async with ActorSystem(fixed_cost_ns=1000, loop_delay_interval_us=None) as system:
            spawned(system, Connector(), busy, heard, load({}))
            await asyncio.sleep(1000)
        return busy, heard

    busy, heard = run_virtual(main())
    waits_s = [later - earlier for earlier, later in pairwise(busy.asked_s)]
    assert len(waits_s) >= 6
    assert all(90 <= wait_s <= 150 for wait_s in waits_s)
    assert [said.text for said in heard if isinstance(said, Noted)] == [
        f"tracker {TRACKER}: answered 503: 32 sockets of one token"
    ]
