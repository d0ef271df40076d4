"""What a server keeps for those that take nothing, in virtual time and without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

from shoal.runtime.testing import run_virtual
from shoal.transports.native.crowds import STUCK_S, Crowd

BYTES_MAX = 3000


class Client:
    """One request's connection; `is_cut` once its place was given away."""

    def __init__(self, server: Crowd[Client]) -> None:
        self._server = server
        self.is_cut = False
        self.transport: Any = SimpleNamespace(abort=self._abort)

    def _abort(self) -> None:
        self.is_cut = True

    def given(self, piece: bytes | memoryview) -> None:
        self._server.handed(self, piece)

    def took(self) -> None:
        self._server.took(self)


def with_server(test: Callable[[Crowd[Client]], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        await test(Crowd[Client](connections_max=128, unread_bytes_max=BYTES_MAX))

    run_virtual(main())


def part_of(whole: bytes) -> memoryview:
    """A piece of ten bytes, which keeps all of it."""
    return memoryview(memoryview(whole)[100:])[:10]


def test_where_too_much_is_kept_those_that_take_nothing_leave_the_longest_stuck_first() -> None:
    async def test(server: Crowd[Client]) -> None:
        clients = [Client(server) for _ in range(5)]
        for client in clients:
            client.given(part_of(bytes(1000)))
            await asyncio.sleep(STUCK_S / 10)
        assert not any(client.is_cut for client in clients), "each may yet take it"
        await asyncio.sleep(2 * STUCK_S)
        assert [client.is_cut for client in clients] == [True, True, False, False, False]
        assert server.evicted == 2

    with_server(test)


def test_who_takes_what_is_given_stays_and_nothing_is_kept_for_it() -> None:
    async def test(server: Crowd[Client]) -> None:
        clients = [Client(server) for _ in range(5)]
        for _ in range(10):
            for client in clients:
                client.given(part_of(bytes(1000)))
            await asyncio.sleep(STUCK_S / 2)
            for client in clients:
                client.took()
        assert not any(client.is_cut for client in clients)

    with_server(test)


def test_the_same_bytes_for_many_are_kept_once() -> None:
    async def test(server: Crowd[Client]) -> None:
        whole = bytes(BYTES_MAX)
        clients = [Client(server) for _ in range(100)]
        for client in clients:
            client.given(part_of(whole))
        await asyncio.sleep(10 * STUCK_S)
        assert not any(client.is_cut for client in clients)
        for client in clients[1:]:
            client.took()
        another = Client(server)
        another.given(b"x")
        await asyncio.sleep(0)
        assert clients[0].is_cut, "as long as one has them they are kept"

    with_server(test)
