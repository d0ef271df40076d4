"""How long a server's connection is kept, in virtual time and without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from shoal.runtime.testing import run_virtual
from shoal.transports.native.connection import Asked, Connection
from shoal.transports.native.crowds import Crowd

TIMEOUT_S = 10.0
GET = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class Transport:
    """Of a client that takes nothing: a close waits for it for ever."""

    def __init__(self) -> None:
        self.did: list[tuple[str, float]] = []

    def get_extra_info(self, name: str) -> Any:
        return self if name == "socket" else ("127.0.0.1", 1)

    family = proto = 0

    def setsockopt(self, *_: object) -> None: ...

    def is_closing(self) -> bool:
        return bool(self.did)

    def close(self) -> None:
        self.did.append(("close", asyncio.get_running_loop().time()))

    def abort(self) -> None:
        self.did.append(("abort", asyncio.get_running_loop().time()))


class Answers:
    """Each after some time; `kept` says whether its connection is."""

    def __init__(self, takes_s: float = 0.0, *, kept: bool = True) -> None:
        self.takes_s = takes_s
        self.kept = kept
        self.count = 0

    async def answer(self, _: Connection, __: Asked) -> bool:
        await asyncio.sleep(self.takes_s)
        self.count += 1
        return self.kept


def with_connection(
    test: Callable[[Connection, Transport, float], Coroutine[Any, Any, None]], answers: Answers | None = None
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        crowd = Crowd[Connection](connections_max=8, unread_bytes_max=1000)
        answer = (answers or Answers()).answer
        connection, transport = Connection(crowd, answer, loop=loop, timeout_s=TIMEOUT_S), Transport()
        connection.connection_made(transport)  # type: ignore[arg-type]
        await test(connection, transport, loop.time())
        connection.connection_lost(None)
        assert not crowd.connections

    run_virtual(main())


def test_one_that_asks_nothing_is_closed_and_cut_where_that_waits_for_its_client() -> None:
    async def test(_: Connection, transport: Transport, begin_s: float) -> None:
        await asyncio.sleep(5 * TIMEOUT_S)
        assert [(what, round(at_s - begin_s)) for what, at_s in transport.did] == [("close", 10), ("abort", 20)]

    with_connection(test)


def test_a_head_that_drips_gains_no_time() -> None:
    async def test(connection: Connection, transport: Transport, begin_s: float) -> None:
        for byte in GET[:-1]:
            connection.data_received(bytes((byte,)))
            await asyncio.sleep(1.0)
        assert transport.did[0][0] == "close"
        assert round(transport.did[0][1] - begin_s) == TIMEOUT_S

    with_connection(test)


def test_one_that_is_being_answered_has_time_and_then_as_much_as_at_the_beginning() -> None:
    async def test(connection: Connection, transport: Transport, _: float) -> None:
        connection.data_received(GET)
        await asyncio.sleep(35.1)
        assert answers.count == 1
        await asyncio.sleep(TIMEOUT_S - 0.5)
        assert not transport.did
        await asyncio.sleep(1.0)
        assert transport.did[0][0] == "close"

    answers = Answers(takes_s=35.0)
    with_connection(test, answers)


def test_one_that_ends_with_its_response_is_cut_where_its_client_does_not_take_that() -> None:
    async def test(connection: Connection, transport: Transport, begin_s: float) -> None:
        connection.data_received(GET)
        await asyncio.sleep(3 * TIMEOUT_S)
        assert [(what, round(at_s - begin_s)) for what, at_s in transport.did] == [("close", 0), ("abort", 10)]

    with_connection(test, Answers(kept=False))


def test_what_comes_after_the_last_request_is_not_read() -> None:
    async def test(connection: Connection, _: Transport, __: float) -> None:
        connection.data_received(b"nonsense\r\n\r\n")
        connection.data_received(GET * 3)
        await asyncio.sleep(1.0)
        assert answers.count == 1

    answers = Answers()
    with_connection(test, answers)
