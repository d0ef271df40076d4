"""The contract of transports, over the in-memory network and in virtual time."""

from __future__ import annotations

import contextlib

import pytest

from shoal.runtime.testing import run_virtual
from shoal.transports.memory import (
    InlineHasher,
    MemoryConnector,
    MemoryFetcher,
    MemoryServer,
    MemoryShelf,
    MemorySignaling,
    Network,
    listen_text,
)

from .contract import (
    ChannelContract,
    HasherContract,
    ShelfContract,
    SignalingContract,
    held_by,
    leaving_nothing,
)
from .contract_http import FetcherContract


class MemoryWorld:
    """Everything of one test on one network; the two ends of a channel are two hosts."""

    hides_addresses = False

    def __init__(self) -> None:
        self.network = Network(seed=1)
        self.near = self.network.host("near")
        self.connectors = []

    def run(self, main):
        return run_virtual(leaving_nothing(main, self))

    def left(self):
        network = self.network
        # What was sent and never read belongs to who has the channel, closed as it is, and to nobody's connection.
        pipes = [pipe for path in network._paths.values() for pipe in path.pipes() if pipe._end is None]
        return held_by(self.connectors) | {
            "descriptions": len(network.pending),
            "listeners": len(network.listeners),
            "pipes": len(pipes),
            "bytes in pipes": sum(pipe.held_bytes for pipe in pipes),
        }

    def fetcher(self, policy=None):
        return MemoryFetcher(self.near, policy)

    def server(self):
        return MemoryServer(self.near)

    def connector(self, *, connect_timeout_us=10_000_000):
        host = self.network.host(f"peer-{len(self.connectors) + 1}")
        self.connectors.append(MemoryConnector(host, connect_timeout_us=connect_timeout_us))
        return self.connectors[-1]

    def signaling(self):
        return MemorySignaling(self.near)

    def hasher(self):
        return InlineHasher()

    def shelf(self, folder, *, bytes_max):
        return MemoryShelf(bytes_max=bytes_max)

    @contextlib.asynccontextmanager
    async def echo_tracker(self):
        async def echo(socket):
            while (text := await socket.receive()) != "bye":
                await socket.send("x" * 1000 if text == "big" else text)

        listener = listen_text(self.network.host("tracker.example"), echo)
        try:
            yield f"ws://tracker.example:{listener.port}/announce"
        finally:
            await listener.aclose()


@pytest.fixture
def world():
    return MemoryWorld()


class TestFetcherInMemory(FetcherContract):
    pass


class TestChannelsInMemory(ChannelContract):
    pass


class TestSignalingInMemory(SignalingContract):
    pass


class TestHasherInline(HasherContract):
    pass


class TestShelfInMemory(ShelfContract):
    pass
