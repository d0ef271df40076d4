"""The way to other nodes when redis-py fails in its own ways: a client in its place, and virtual time."""

import asyncio
import random
from typing import Any, Self

import aiohttp
import pytest

from shoal.app.tracker import Tracker
from shoal.app.tracker_core import TrackerCore
from shoal.app.tracker_redis import RedisNodes
from shoal.runtime.testing import run_virtual

pytest.importorskip("redis")


class Client:
    """As much of redis-py as a link uses.  Listening fails, until it has done so `failures` times."""

    def __init__(self, failures: int) -> None:
        self.failures_left = failures
        self.listens = asyncio.Event()

    async def ping(self) -> None: ...

    async def aclose(self) -> None: ...

    def pubsub(self) -> Self:
        return self

    async def subscribe(self, _: str) -> None: ...

    async def get_message(self, **_: Any) -> None:
        if self.failures_left:
            self.failures_left -= 1
            raise RuntimeError("pubsub connection not set")
        self.listens.set()
        await asyncio.Event().wait()

    def pipeline(self, **_: Any) -> Self:
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    def zadd(self, *_: Any) -> None: ...

    def zremrangebyscore(self, *_: Any) -> None: ...

    async def zrem(self, *_: Any) -> None: ...

    async def execute(self) -> list[Any]:
        return []


class NodesOf(RedisNodes):
    def __init__(self, client: Client, clients: int = 1000) -> None:
        """`client` is had so many times, and then no more."""
        super().__init__("redis://127.0.0.1")
        self._fake, self._left = client, clients

    def _client(self) -> Any:
        self._left -= 1
        if self._left < 0:
            raise RuntimeError("no more clients")
        return self._fake


def test_a_failure_that_is_not_redis_own_is_logged_and_counted_and_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        client = Client(failures=2)
        nodes = NodesOf(client)
        core = TrackerCore(random.Random(1), far=nodes.nodes)
        await nodes.start(core, lambda _, __: None)
        await asyncio.wait_for(client.listens.wait(), 60)
        statistics = nodes.statistics()
        assert statistics.is_connected
        assert statistics.failures["nodes_failed"] == 2
        await nodes.aclose()

    run_virtual(main())
    assert [record.message for record in caplog.records] == [
        "the way to the other nodes failed, and is tried again"
    ] * 2
    assert "pubsub connection not set" in caplog.text


def test_a_tracker_closes_its_clients_even_where_the_way_to_the_others_has_ended(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        tracker = Tracker(nodes=NodesOf(Client(failures=0), clients=1))  # that of start
        port = await tracker.start()
        async with aiohttp.ClientSession() as session:
            socket = await session.ws_connect(f"http://127.0.0.1:{port}/")
            await tracker.aclose()
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE

    asyncio.run(main())
    assert "no more clients" in caplog.text
