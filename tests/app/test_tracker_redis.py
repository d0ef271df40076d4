"""Nodes of one tracker that meet at a Redis, and at a Valkey, really started; skipped where that is not installed."""

import asyncio
import random
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any, Self

import aiohttp
import pytest

from shoal.app.cli import main
from shoal.app.demo.children import Children
from shoal.app.tracker import Tracker
from shoal.app.tracker_core import TrackerCore, TrackerLimits
from shoal.app.tracker_messages import Far
from shoal.app.tracker_nodes import NodesLimits
from shoal.app.tracker_redis import WAITING_MAX, RedisNodes
from shoal.balancer.errors import ConfigurationError
from shoal.transports.errors import ConnectFailed

from .test_tracker import Client, until
from .tracker_node import MORTAL

pytestmark = pytest.mark.real

# What is known was told at once: nothing is told again, or ends, within a test.
PATIENT = NodesLimits(ttl_s=600, refresh_s=200)
OFFER = {"offer": {"type": "offer", "sdp": "v=0"}, "offer_id": "o" * 20}
ANSWER = {"type": "answer", "sdp": "v=1"}


def free_port() -> int:
    with closing(socket.socket()) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Redis:
    """A redis-server or valkey-server of our own, that keeps nothing."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *(self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", self._folder),
            stdout=asyncio.subprocess.DEVNULL,
        )

        async def answers() -> bool:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                return False
            writer.close()
            return True

        while not await answers():
            assert self._process.returncode is None, f"{self._program} ended"
            await asyncio.sleep(0.02)

    def signal(self, which: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(which)

    async def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            await process.wait()


class Place:
    """A Redis, and trackers that are its nodes."""

    def __init__(self, redis: Redis, session: aiohttp.ClientSession, stack: AsyncExitStack) -> None:
        self.redis = redis
        self._session = session
        self._stack = stack
        self.nodes: list[RedisNodes] = []
        self._clients: list[Client] = []  # what nobody holds is closed

    async def node(
        self, prefix: str = "shoal", limits: NodesLimits = PATIENT, tracker_limits: TrackerLimits | None = None
    ) -> tuple[Tracker, int]:
        self.nodes.append(RedisNodes(self.redis.url, prefix=prefix, limits=limits))
        tracker = Tracker(tracker_limits, nodes=self.nodes[-1], seed=1)
        port = await tracker.start()
        self._stack.push_async_callback(tracker.aclose)
        return tracker, port

    async def client(self, port: int, number: int) -> Client:
        """A peer that has announced."""
        client = Client(await self._session.ws_connect(f"http://127.0.0.1:{port}/"))
        await client.say(peer_id=f"{number:020}")
        assert "interval" in await client.hear()
        self._clients.append(client)
        return client


@pytest.fixture(params=["redis-server", "valkey-server"])
def program(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed (tools/install-test-tools)")
    return name


def run(story: Callable[[Place], Awaitable[None]], program: str, folder: Path) -> None:

    @asynccontextmanager
    async def place() -> AsyncIterator[Place]:
        redis = Redis(program, folder)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(redis.kill)
            await redis.start()
            session = await stack.enter_async_context(aiohttp.ClientSession())
            yield Place(redis, session, stack)

    async def whole() -> None:
        async with asyncio.timeout(120), place() as here:
            await story(here)

    asyncio.run(whole())


def far_peers(tracker: Tracker) -> int:
    found = tracker.nodes_stats()
    assert found is not None
    return found.far_peers


def failures(tracker: Tracker) -> dict[str, int]:
    found = tracker.nodes_stats()
    assert found is not None
    return found.failures


def test_peers_of_two_nodes_meet_and_a_node_that_ends_leaves(program: str, tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        (one, one_port), (other, other_port) = await place.node(), await place.node()
        stranger, stranger_port = await place.node("somebody-elses")
        first = await place.client(one_port, 1)
        second = await place.client(other_port, 2)
        await place.client(stranger_port, 3)
        await until(lambda: far_peers(one) == far_peers(other) == 1)
        await first.say(peer_id=f"{1:020}", offers=[OFFER])
        assert (await first.hear())["incomplete"] == 2
        heard = await second.hear()
        assert (heard["peer_id"], heard["offer"]) == (f"{1:020}", OFFER["offer"])
        await second.say(peer_id=f"{2:020}", to_peer_id=f"{1:020}", offer_id="o" * 20, answer=ANSWER)
        assert (await first.hear())["answer"] == ANSWER
        assert far_peers(stranger) == 0
        await other.aclose()
        await until(lambda: far_peers(one) == 0)
        assert failures(one) == {}

    run(story, program, tmp_path)


def test_a_killed_nodes_peers_are_gone_after_a_while_and_the_others_go_on(program: str, tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        (one, one_port), (other, other_port) = await place.node(limits=MORTAL), await place.node(limits=MORTAL)
        async with Children(tmp_path) as children:
            child = await children.start("node", "tests.app.tracker_node", place.redis.url)
            child_port = int((await child.ready())["port"])
            first, second = await place.client(one_port, 1), await place.client(other_port, 2)
            await place.client(child_port, 3)
            await until(lambda: far_peers(one) == far_peers(other) == 2)
            child.signal(signal.SIGKILL)
            await child.wait()
        await until(lambda: far_peers(one) == far_peers(other) == 1)
        assert failures(one)["node_expired"] >= 1
        heard = asyncio.create_task(second.hear())
        while not heard.done():  # on a machine that does nothing else they may be apart for a moment
            await first.say(peer_id=f"{1:020}", offers=[OFFER])
            await first.hear()
            await asyncio.sleep(0.1)
        assert heard.result()["offer"] == OFFER["offer"]

    run(story, program, tmp_path)


def test_without_redis_each_node_goes_on_alone_and_with_it_they_meet_again(program: str, tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        one, one_port = await place.node()
        other, other_port = await place.node()
        first, near, _ = [await place.client(port, n) for n, port in enumerate((one_port, one_port, other_port))]
        await until(lambda: far_peers(one) == 1 and far_peers(other) == 2)
        await place.redis.kill()
        await until(lambda: far_peers(one) == far_peers(other) == 0)
        await first.say(peer_id=f"{0:020}", offers=[OFFER])
        assert (await near.hear())["offer"] == OFFER["offer"]
        assert (await first.hear())["incomplete"] == 2
        assert failures(one)["redis_lost"] >= 1
        await place.redis.start()
        await until(lambda: far_peers(one) == 1 and far_peers(other) == 2)

    run(story, program, tmp_path)


@pytest.mark.parametrize("way", ["killed", "stopped"])
def test_without_redis_nothing_that_should_be_told_piles_up(way: str, program: str, tmp_path: Path) -> None:
    async def story(place: Place) -> None:
        limits = TrackerLimits(changed_swarms_max=50, messages_burst=1000)
        one, port = await place.node(tracker_limits=limits)
        other, other_port = await place.node()
        first, _ = await place.client(port, 1), await place.client(other_port, 2)
        await until(lambda: far_peers(one) == far_peers(other) == 1)
        if way == "killed":
            await place.redis.kill()
        else:
            place.redis.signal(signal.SIGSTOP)  # connections stay, and nothing answers
        for number in range(200):
            for event in ("started", "stopped"):
                await first.say(peer_id=f"{1:020}", info_hash=f"{number:020}", event=event)
                await first.hear()
        assert len(one._core._changed) <= 50
        for _ in range(WAITING_MAX + 10):
            place.nodes[0].pass_on(Far("gone", "i" * 20, f"{2:020}"), "text")
        assert len(place.nodes[0]._relays) <= WAITING_MAX
        assert (
            sum(failures(one)[reason] for reason in ("nodes_away", "nodes_too_slow") if reason in failures(one)) >= 10
        )
        if way == "killed":
            await place.redis.start()
        else:
            place.redis.signal(signal.SIGCONT)
        await until(lambda: far_peers(one) == far_peers(other) == 1)
        await until(lambda: place.nodes[0].nodes.told() == one._core.swarms())

    run(story, program, tmp_path)


class Deafening:
    """A client of Redis, its listener and pipeline, that swallow once what cancels them, as wait_for may in 3.11."""

    def __init__(self, where: str) -> None:
        self._where = where
        self.is_waiting = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        async def command(*_: Any, **__: Any) -> Any:
            if name in {"get_message", self._where}:
                self.is_waiting.set()
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    if name != self._where:
                        raise
                    self._where = ""
            return {"type": "pong"} if name == "get_message" else []

        return command

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    def pubsub(self) -> Self:
        return self

    def pipeline(self, **_: Any) -> Self:
        return self

    def zadd(self, *_: Any) -> None: ...

    def zremrangebyscore(self, *_: Any) -> None: ...


@pytest.mark.parametrize("where", ["subscribe", "execute", "get_message"])
def test_a_node_ends_also_when_redis_py_swallows_what_ends_it(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        nodes, client = RedisNodes("redis://127.0.0.1"), Deafening(where)
        monkeypatch.setattr(nodes, "_client", lambda: client)
        await nodes.start(TrackerCore(random.Random(1), far=nodes.nodes), lambda socket, text: None)
        await client.is_waiting.wait()
        async with asyncio.timeout(10):
            await nodes.aclose()

    asyncio.run(main())


def test_a_redis_that_is_not_there_or_no_address_is_said_at_the_start(capsys: pytest.CaptureFixture[str]) -> None:
    with closing(socket.socket()) as sock:
        sock.bind(("127.0.0.1", 0))  # and nobody listens
        port = sock.getsockname()[1]

        async def start() -> None:
            tracker = Tracker(nodes=RedisNodes(f"redis://name:secret@127.0.0.1:{port}"))
            with pytest.raises(ConnectFailed, match=f"redis at 127.0.0.1:{port} does not answer") as caught:
                await tracker.start()
            assert "secret" not in str(caught.value)
            await tracker.aclose()

        asyncio.run(start())
        assert main(["tracker", "--port", "0", "--redis", f"redis://127.0.0.1:{port}"]) == 3
    with pytest.raises(ConfigurationError, match="makes no sense"):
        RedisNodes("http://127.0.0.1")
    assert main(["tracker", "--port", "0", "--redis", "nonsense"]) == 2
    assert "leave --redis out" in capsys.readouterr().err
