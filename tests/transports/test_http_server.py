"""The HTTP server against clients that speak raw bytes; what is common to all servers is in contract.py."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import socket

import pytest

from shoal.transports.interface import ServerRequest, ServerResponse
from shoal.transports.native.connection import Connection
from shoal.transports.native.crowds import Crowd
from shoal.transports.native.server import HttpServer

from .contract import assert_nothing_left, until
from .contract_http import Site

pytestmark = pytest.mark.real
LOOPS = {"asyncio": asyncio.new_event_loop}
if importlib.util.find_spec("uvloop") is not None:  # there is none for a Python without the GIL
    import uvloop

    LOOPS["uvloop"] = uvloop.new_event_loop
loop_factory = asyncio.new_event_loop


@pytest.fixture(autouse=True, params=sorted(LOOPS))
def _loop(request, monkeypatch):
    """How bytes are handed to the kernel is another matter on each."""
    monkeypatch.setitem(globals(), "loop_factory", LOOPS[request.param])


def run(main):
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(main)


def serve(client, handler=None, **options):
    """Run `client(port, site)` against a server; returns its answer."""

    async def main():
        async with asyncio.timeout(60):
            server, site = HttpServer(**options), Site()
            port = await server.start(handler or site.handle, host="127.0.0.1", port=0)
            try:
                return await client(port, site)
            finally:
                await server.aclose()
                await server.aclose()
                await assert_nothing_left()

    return run(main())


@contextlib.asynccontextmanager
async def connected(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def get(path="/file", *, method="GET", host="127.0.0.1", more=""):
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n".encode()


async def exchange(port, request):
    """The whole answer to one request, as bytes; b"" for a connection that was cut."""
    async with connected(port) as (reader, writer):
        writer.write(request)
        try:
            return await reader.read()
        except ConnectionError:
            return b""


def answer(request, **options):
    return serve(lambda port, _: exchange(port, request), **options)


def test_head_has_the_headers_and_no_body():
    head, _, body = answer(get(method="HEAD")).partition(b"\r\n\r\n")
    assert b"content-length: 256000\r\n" in head.lower()
    assert body == b""


def test_head_of_a_body_in_pieces_asks_for_none_and_closes_it():
    async def client(port, site):
        reply = await exchange(port, get("/endless", method="HEAD"))
        assert reply.startswith(b"HTTP/1.1 200")
        assert site.sent_pieces == 0

    serve(client)


def test_head_keeps_the_length_that_the_handler_gives():
    async def handler(request: ServerRequest) -> ServerResponse:
        return ServerResponse(206, {"content-length": "77", "content-range": "bytes 0-76/100"})

    assert b"content-length: 77\r\n" in answer(get(method="HEAD"), handler=handler).lower()


def test_a_path_is_decoded_and_a_query_is_not():
    seen = []

    async def handler(request: ServerRequest) -> ServerResponse:
        seen.append(request)
        return ServerResponse(200, {}, b"")

    answer(get("/a%20b/c?d=%20e"), handler=handler)
    assert (seen[0].path, seen[0].query, seen[0].remote) == ("/a b/c", "d=%20e", "127.0.0.1")


def test_a_handler_that_raises_is_logged_where_nobody_asked_to_be_told(caplog):
    answer(get("/failing"))
    assert "/failing was not answered as it should be" in caplog.text
    assert "secret" in caplog.text  # of the error, for whoever runs it


def test_a_handler_that_raises_is_told_to_us_and_not_to_the_client():
    told = []
    reply = answer(get("/failing"), on_error=lambda request, error: told.append((request.path, str(error))))
    assert reply.startswith(b"HTTP/1.1 500")
    assert b"secret" not in reply
    assert b"Traceback" not in reply
    assert told == [("/failing", "secret detail")]


def test_a_body_that_raises_has_no_clean_end():
    assert not answer(get("/raising")).endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("pieces", [[b"a" * 9], [b"a" * 11], []])
def test_a_body_of_another_length_than_announced_cuts_the_connection(pieces):
    told = []

    async def handler(request: ServerRequest) -> ServerResponse:
        return ServerResponse(200, {"content-length": "10"}, Site._pieces(pieces))

    reply = answer(get(), handler=handler, on_error=lambda _, error: told.append(str(error)))
    assert len(reply.partition(b"\r\n\r\n")[2]) < 10
    assert "Content-Length of 10" in told[0]


def test_a_large_piece_is_never_joined_with_the_head(monkeypatch):
    """It is a segment, and would be copied: it goes with the head where several pieces cost one call, else after it."""
    piece = bytes(range(256)) * 8192
    calls: list[list[object]] = []

    class Seen:
        """The connection's transport, as far as it is written to."""

        def __init__(self, transport):
            self._transport = transport

        def __getattr__(self, name):
            return getattr(self._transport, name)

        def write(self, data):
            calls.append([data])
            self._transport.write(data)

        def writelines(self, parts):
            calls.append(list(parts))
            self._transport.writelines(parts)

    made = Connection.connection_made

    def connection_made(connection, transport):
        made(connection, transport)
        connection.transport = Seen(connection.transport)

    monkeypatch.setattr(Connection, "connection_made", connection_made)

    async def handler(_: ServerRequest) -> ServerResponse:
        return ServerResponse(200, {"content-length": str(len(piece))}, Site._pieces([piece]))

    assert answer(get(), handler=handler).partition(b"\r\n\r\n")[2] == piece
    if loop_factory is asyncio.new_event_loop:
        assert [sum(map(len, parts)) < 20_000 for parts in calls] == [True, False]
        assert calls[1][0].obj is piece
    else:
        assert len(calls) == 1
        assert calls[0][1] is piece


def test_a_client_that_goes_away_closes_the_body():
    async def client(port, site):
        async with connected(port) as (reader, writer):
            writer.write(get("/stalling"))
            await reader.readuntil(b"\r\n\r\n")
        await until(lambda: site.closed_bodies == 1)

    serve(client)


def test_a_client_that_goes_away_cancels_a_handler():
    begun, cancelled = [], []

    async def handler(request: ServerRequest) -> ServerResponse:
        begun.append(request.path)
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.append(request.path)
            raise
        raise AssertionError("unreachable")

    async def client(port, _):
        async with connected(port) as (_, writer):
            writer.write(get("/wait"))
            await until(lambda: begun == ["/wait"])
        await until(lambda: cancelled == ["/wait"])

    serve(client, handler)


def test_a_client_that_does_not_read_stops_the_body():
    async def client(port, site):
        async with connected(port) as (_, writer):
            writer.write(get("/endless"))
            before = -1
            while site.sent_pieces == 0 or site.sent_pieces != before:  # the kernel's buffers are filling
                before = site.sent_pieces
                assert before < 500
                await asyncio.sleep(0.2)

    serve(client)


def test_headers_that_drip_are_cut():
    async def client(port, _):
        async with connected(port) as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\n")
            for _ in range(200):
                with contextlib.suppress(ConnectionError):
                    writer.write(b"X: 1\r\n")
                    await writer.drain()
                await asyncio.sleep(0.02)
                if reader.at_eof() or writer.is_closing() or reader.exception():
                    return True
        return False

    assert serve(client, header_timeout_us=200_000)


def test_a_silent_connection_is_cut():
    async def client(port, _):
        async with connected(port) as (reader, _):
            return await reader.read()

    assert serve(client, header_timeout_us=100_000) == b""


def test_where_all_connections_are_busy_another_is_turned_away_and_room_is_given_again():
    async def client(port, site):
        async with connected(port) as one, connected(port) as two:
            for reader, writer in (one, two):
                writer.write(get("/stalling"))
                await reader.readuntil(b"\r\n\r\n")
            assert await exchange(port, get()) == b""
        await until(lambda: site.closed_bodies == 2)  # that they have gone is seen
        assert (await exchange(port, get())).startswith(b"HTTP/1.1 200")

    serve(client, connections_max=2)


def test_a_connection_without_a_request_makes_room_for_one_that_has_one():
    async def client(port, _):
        async with connected(port) as (oldest, _), connected(port) as (newer, _):
            await asyncio.sleep(0.05)
            assert (await exchange(port, get())).startswith(b"HTTP/1.1 200")
            with contextlib.suppress(ConnectionError):
                assert await oldest.read() == b""
            assert not newer.at_eof()

    serve(client, connections_max=2)


def test_hundreds_of_connections_that_drip_headers_keep_nobody_out():
    async def client(port, _):
        async with contextlib.AsyncExitStack() as stack:
            for number in range(600):  # a limit of 1,024 open files, which is common, holds both ends
                _, writer = await stack.enter_async_context(connected(port))
                writer.write(b"GET /file HTTP/1.1\r\nX-")
                if number % 150 == 149:
                    assert (await exchange(port, get())).startswith(b"HTTP/1.1 200")

    serve(client)


def test_a_client_that_takes_nothing_of_its_body_makes_room_for_one_that_does():
    async def endless(request):
        async def body():
            while request.path == "/endless":
                yield bytes(1 << 20)
            yield b"short"

        return ServerResponse(200, {}, body())

    async def main():
        async with asyncio.timeout(60), contextlib.AsyncExitStack() as stack:
            server = HttpServer(connections_max=2)
            port = await server.start(endless, host="127.0.0.1", port=0)
            stack.push_async_callback(server.aclose)
            for _ in range(2):
                reader, writer = await stack.enter_async_context(connected(port))
                writer.write(get("/endless"))
                await reader.readuntil(b"\r\n\r\n")
            while not (await exchange(port, get())).startswith(b"HTTP/1.1 200"):  # once it is seen to be stuck
                await asyncio.sleep(0.01)
            assert server.evicted_connections >= 1

    run(main())


def test_clients_that_take_nothing_are_cut_where_too_much_is_kept_for_them():
    async def endless(_):
        async def body():
            while True:
                yield bytes(1 << 20)

        return ServerResponse(200, {}, body())

    async def main():
        async with asyncio.timeout(60), contextlib.AsyncExitStack() as stack:
            server = HttpServer(unread_bytes_max=1 << 20)
            port = await server.start(endless, host="127.0.0.1", port=0)
            stack.push_async_callback(server.aclose)
            for _ in range(2):
                _, writer = await stack.enter_async_context(connected(port))
                writer.write(get())
            await until(lambda: server.evicted_connections == 1)

    run(main())


@pytest.mark.parametrize(
    "hosts", ["", "Host: 127.0.0.1\r\nHost: 127.0.0.1\r\n", "Host: 127.0.0.1\r\nhost: evil.example\r\n"]
)
def test_a_request_has_exactly_one_host(hosts):
    reply = answer(f"GET /file HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n".encode())
    assert reply.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))


@pytest.mark.parametrize("target", ["http://evil.example/file", "http://127.0.0.1@evil.example/file"])
def test_a_host_in_the_request_line_is_judged_as_well(target):
    assert answer(get(target)).startswith((b"HTTP/1.1 421", b"HTTP/1.1 400"))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8080", "localhost", "LOCALHOST:80", "[::1]:80"])
def test_hosts_that_can_only_be_this_server_are_served(host):
    assert answer(get(host=host)).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "127.0.0.1:x", "[::1", ""]
)
def test_other_hosts_are_misdirected(host):
    assert answer(get(host=host)).startswith((b"HTTP/1.1 421", b"HTTP/1.1 400"))


def test_a_host_name_may_be_allowed():
    assert answer(get(host="tv.local"), host_names=frozenset({"TV.local"})).startswith(b"HTTP/1.1 200")


def test_a_request_body_is_refused():
    assert answer(get(method="POST", more="Content-Length: 1000000\r\n")).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "bomb",
    [
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * 10_000 + b"\r\n",
        b"\x16\x03\x01\x02\x00nonsense\r\n\r\n",
    ],
    ids=["line", "field", "fields", "not http"],
)
def test_a_bomb_of_headers_is_refused(bomb, capsys):
    reply = answer(bomb)
    assert reply == b"" or reply.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
    assert capsys.readouterr().err == ""


def test_nothing_tells_which_software_answers():
    malformed = b"GET /<b>x HTTP/9.9 \x00\r\n\r\n"
    for request in (get(), get("/none"), get(host="evil.example"), get("/endless", method="HEAD"), malformed):
        reply = answer(request)
        assert b"aiohttp" not in reply.lower()
        assert b"<b>" not in reply


def test_a_server_starts_once():
    async def client(port, site):
        server = HttpServer()
        await server.start(site.handle, host="127.0.0.1", port=0)
        with pytest.raises(RuntimeError, match="already"):
            await server.start(site.handle, host="127.0.0.1", port=0)
        await server.aclose()

    serve(client)


async def echo(request: ServerRequest) -> ServerResponse:
    return ServerResponse(200, {}, request.path.encode())


def test_requests_that_are_sent_at_once_are_answered_in_turn():
    requests = b"".join(f"GET /{number} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode() for number in range(5))
    reply = answer(requests + get("/last"), handler=echo)
    assert [part.rpartition(b"\r\n")[2] for part in reply.split(b"HTTP/1.1 200 OK")[1:]] == [
        *(f"/{number}".encode() for number in range(5)),
        b"/last",
    ]


def test_of_very_many_requests_sent_at_once_some_are_answered_and_the_connection_ends():
    asked = []

    async def handler(request: ServerRequest) -> ServerResponse:
        asked.append(request.path)
        return await echo(request)

    assert answer(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 1000, handler=handler).startswith(b"HTTP/1.1 200")
    assert 0 < len(asked) < 100


def test_a_connection_is_kept_for_the_next_request():
    async def client(port, _):
        async with connected(port) as (reader, writer):
            for path in ("/a", "/b"):
                writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
                head = await reader.readuntil(b"\r\n\r\n")
                assert b"connection:" not in head
                assert await reader.readexactly(2) == path.encode()

    serve(client, echo)


@pytest.mark.parametrize("more", ["", "Connection: keep-alive\r\n"])
def test_a_client_of_http_1_0_gets_no_chunks_and_keeps_its_connection_only_if_it_asks(more):
    async def client(port, _):
        async with connected(port) as (reader, writer):
            writer.write(f"GET /a HTTP/1.0\r\nHost: 127.0.0.1\r\n{more}\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.0 200")
            assert (b"connection: keep-alive" in head) == bool(more)
            assert await reader.readexactly(2) == b"/a"
            writer.write(f"GET /pieces HTTP/1.0\r\nHost: 127.0.0.1\r\n{more}\r\n".encode())
            return await reader.read()

    async def handler(request: ServerRequest) -> ServerResponse:
        if request.path == "/a":
            return await echo(request)
        return ServerResponse(200, {}, Site._pieces([b"one", b"two"]))

    rest = serve(client, handler)
    if not more:
        assert rest == b""
    else:
        assert b"transfer-encoding" not in rest
        assert rest.endswith(b"\r\n\r\nonetwo")


def test_an_empty_piece_does_not_end_a_body_of_unknown_length():
    async def handler(_: ServerRequest) -> ServerResponse:
        return ServerResponse(200, {}, Site._pieces([b"", b"one", b"", b"two"]))

    assert answer(get(), handler=handler).endswith(b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")


@pytest.mark.parametrize("pieces", [[], [b""]])
def test_an_empty_body_has_its_head(pieces):
    async def handler(_: ServerRequest) -> ServerResponse:
        return ServerResponse(200, {"content-length": "0"}, Site._pieces(pieces))

    head, end, body = answer(get(), handler=handler).partition(b"\r\n\r\n")
    assert (head.startswith(b"HTTP/1.1 200"), end, body) == (True, b"\r\n\r\n", b"")


def test_what_has_no_content_announces_none():
    async def handler(_: ServerRequest) -> ServerResponse:
        return ServerResponse(204, {"allow": "GET"})

    reply = answer(get(method="OPTIONS"), handler=handler)
    assert reply.startswith(b"HTTP/1.1 204 No Content\r\n")
    assert reply.endswith(b"\r\n\r\n")
    assert b"content-length" not in reply
    assert b"transfer-encoding" not in reply


@pytest.mark.parametrize("value", ["a\r\nset-cookie: b", "a\nb", "a\rb", "a\0b", "\u20ac"])
def test_a_header_that_would_begin_another_is_a_mistake_of_the_handler(value):
    told = []

    async def handler(_: ServerRequest) -> ServerResponse:
        return ServerResponse(200, {"x-name": value}, b"")

    reply = answer(get(), handler=handler, on_error=lambda _, error: told.append(type(error)))
    assert reply.startswith(b"HTTP/1.1 500")
    assert b"set-cookie" not in reply
    assert issubclass(told[0], ValueError)


@pytest.mark.parametrize("first", ["GET", "CONNECT"])
def test_after_a_request_for_another_protocol_the_connection_ends(first):
    target = "127.0.0.1:80" if first == "CONNECT" else "/a"
    upgrade = f"{first} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    reply = answer(upgrade.encode() + get("/b"), handler=echo)
    assert reply.count(b"HTTP/1.1") == 1
    assert b"/b" not in reply


def test_a_request_that_comes_while_another_is_answered_waits_for_it():
    async def client(port, _):
        async with connected(port) as (reader, writer):
            writer.write(b"GET /slow HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            await asyncio.sleep(0.05)
            writer.write(get("/fast"))
            return await reader.read()

    async def handler(request: ServerRequest) -> ServerResponse:
        await asyncio.sleep(0.2 if request.path == "/slow" else 0)
        return await echo(request)

    reply = serve(client, handler)
    assert 0 < reply.index(b"/slow") < reply.index(b"/fast")


def test_closing_lets_a_response_under_way_end_and_then_its_connection():
    async def handler(request: ServerRequest) -> ServerResponse:
        await asyncio.sleep(0.2)
        return await echo(request)

    async def main():
        async with asyncio.timeout(60):
            server = HttpServer()
            port = await server.start(handler, host="127.0.0.1", port=0)
            async with connected(port) as (reader, writer):
                writer.write(b"GET /a HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                await asyncio.sleep(0.05)
                await server.aclose()
                assert (await reader.read()).endswith(b"\r\n\r\n/a")
            await assert_nothing_left()

    run(main())


def test_what_lies_ready_is_taken_and_not_waited_for():
    class Ready:
        """Two pieces."""

        def __init__(self):
            self.pieces = [b"one", memoryview(b"two")]
            self.closed = 0

        def take(self):
            return self.pieces.pop(0) if self.pieces else None

        def __aiter__(self):
            raise AssertionError("it need not be iterated")

        __anext__ = __aiter__

        def close(self):
            self.closed += 1

    body = Ready()

    async def handler(_: ServerRequest) -> ServerResponse:
        return ServerResponse(200, {"content-length": "6"}, body)

    assert answer(get(), handler=handler).endswith(b"\r\n\r\nonetwo")
    assert (body.pieces, body.closed) == ([], 1)


def test_what_the_kernel_takes_at_once_is_not_kept_for_the_client(monkeypatch):
    kept = []
    handed = Crowd.handed

    def noted(crowd, connection, piece):
        kept.append(len(piece))
        handed(crowd, connection, piece)

    monkeypatch.setattr(Crowd, "handed", noted)

    async def handler(request: ServerRequest) -> ServerResponse:
        return ServerResponse(200, {}, bytes(1 << (10 if request.path == "/small" else 26)))

    async def client(port, _):
        await exchange(port, get("/small"))
        assert kept == []
        async with connected(port) as (_, writer):
            writer.write(get("/large"))
            await until(lambda: kept == [1 << 26])

    serve(client, handler)


def test_each_connection_probes_dead_clients_and_delays_no_packet(monkeypatch):
    options = []
    made = Connection.connection_made

    def connection_made(connection, transport):
        made(connection, transport)
        accepted = transport.get_extra_info("socket")
        options.append(accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
        options.append(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    monkeypatch.setattr(Connection, "connection_made", connection_made)
    answer(get())
    assert [bool(value) for value in options] == [True, True]
