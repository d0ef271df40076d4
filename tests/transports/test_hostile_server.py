"""The HTTP fetcher against a server that speaks raw bytes, and means no good."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import ssl

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from shoal.transports.errors import (
    AddressRefused,
    BodyError,
    BodyTooLarge,
    BodyTruncated,
    ConnectFailed,
    StatusError,
    TimedOut,
    TransportError,
)
from shoal.transports.interface import AddressPolicy, FetchRequest
from shoal.transports.native.http import HttpFetcher

from .contract import assert_nothing_left, read, until

pytestmark = pytest.mark.real

LOCAL = AddressPolicy(allow_private=True)
OK = b"HTTP/1.1 200 OK\r\n"


class RawServer:
    """Runs `script(reader, writer)` after each request's headers; counts connections that ended."""

    def __init__(self, script):
        self.script = script
        self.requests: list[bytes] = []
        self.ended = 0

    async def on_connection(self, reader, writer):
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                self.requests.append(await reader.readuntil(b"\r\n\r\n"))
                await self.script(reader, writer)
        finally:
            self.ended += 1
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    @contextlib.asynccontextmanager
    async def running(self):
        server = await asyncio.start_server(self.on_connection, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            await server.wait_closed()


def sends(*pieces, pause_s=0.0):
    async def script(reader, writer):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)

    return script


def hangs(*pieces):
    """Send these, then wait for the client to go away."""

    async def script(reader, writer):
        for piece in pieces:
            writer.write(piece)
        await writer.drain()
        await reader.read()

    return script


def fetch(script, path="/", policy=LOCAL, **fields):
    """(response, body, server) of one request; the connection must be gone at the end, and all tasks with it."""

    async def main():
        server = RawServer(script)
        async with asyncio.timeout(60), server.running() as base:
            fetcher = HttpFetcher(policy)
            try:
                response = await fetcher.open(FetchRequest(url=base + path, **fields))
                return response, await read(response), server
            finally:
                await fetcher.aclose()
                await until(lambda: server.ended == len(server.requests))
                await assert_nothing_left()

    return asyncio.run(main())


def fail(error, script, **fields):
    with pytest.raises(error) as caught:
        fetch(script, **fields)
    return caught.value


def test_a_body_shorter_than_announced_is_truncated():
    fail(BodyTruncated, sends(OK + b"Content-Length: 10\r\n\r\nabcde"))


def test_the_good_bytes_come_before_the_error():
    async def main():
        server = RawServer(sends(OK + b"Content-Length: 10\r\n\r\nabcde"))
        async with server.running() as base:
            fetcher = HttpFetcher(LOCAL)
            response = await fetcher.open(FetchRequest(url=base))
            pieces = aiter(response)
            assert await anext(pieces) == b"abcde"
            with pytest.raises(BodyTruncated, match="after 5"):
                await anext(pieces)
            await fetcher.aclose()

    asyncio.run(main())


def test_bytes_after_the_announced_ones_never_become_the_body():
    fail(TransportError, sends(OK + b"Content-Length: 5\r\n\r\nabcdefghij"))  # in one packet it is not HTTP
    _, body, _ = fetch(sends(OK + b"Content-Length: 5\r\n\r\nabcde", b"fghij", pause_s=0.02))
    assert body == b"abcde"


def test_a_part_with_more_bytes_than_its_range_is_too_large():
    part = (
        b"HTTP/1.1 206 P\r\nContent-Range: bytes 2-4/9\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ncdefghijk\r\n0\r\n\r\n"
    )
    fail(BodyTooLarge, sends(part), first_byte=2, last_byte=4)


def test_truncated_chunks_are_truncated():
    fail(BodyTruncated, sends(OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n5\r\nab"))


def test_chunks_that_are_not_chunks_are_an_error():
    fail(TransportError, sends(OK + b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n"))


def test_a_length_beside_chunks_is_refused():
    fail(TransportError, sends(OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"))


def reset(writer):
    """Abort with RST instead of FIN."""
    import socket
    import struct

    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def test_a_reset_in_the_body_is_truncated():
    async def script(reader, writer):
        writer.write(OK + b"Content-Length: 1000\r\n\r\nabc")
        await writer.drain()
        await asyncio.sleep(0.02)
        reset(writer)

    fail(BodyTruncated, script)


def test_a_reset_before_the_headers_is_a_failed_connection():
    async def script(reader, writer):
        reset(writer)

    fail(ConnectFailed, script)


def test_closing_before_the_headers_is_a_failed_connection():
    fail(ConnectFailed, sends())


def test_a_hang_before_the_headers_times_out_and_closes():
    error = fail(TimedOut, hangs(), first_byte_timeout_us=50_000)
    assert error.phase == "first_byte"


def test_headers_that_drip_do_not_prolong_the_limit():
    async def drips(_, writer):
        writer.write(OK)
        while True:  # until the client has gone
            writer.write(b"X-Drip: 1\r\n")
            await writer.drain()
            await asyncio.sleep(0.02)

    assert fail(TimedOut, drips, first_byte_timeout_us=150_000).phase == "first_byte"


def test_a_hang_in_the_body_times_out_and_closes():
    error = fail(TimedOut, hangs(OK + b"Content-Length: 10\r\n\r\nabc"), stall_timeout_us=50_000)
    assert error.phase == "stall"


def test_a_body_that_drips_faster_than_the_stall_limit_is_a_body():
    _, body, _ = fetch(
        sends(OK + b"Content-Length: 10\r\n\r\n", *[b"a"] * 10, pause_s=0.01), stall_timeout_us=1_000_000
    )
    assert body == b"a" * 10


def test_a_connection_that_is_never_accepted_times_out():
    async def main():
        import socket

        with socket.socket() as full:  # a full backlog drops what comes, as a firewall does
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            port = full.getsockname()[1]
            waiting = [socket.socket() for _ in range(4)]
            for sock in waiting:
                sock.setblocking(False)
                sock.connect_ex(("127.0.0.1", port))
            fetcher = HttpFetcher(LOCAL)
            with pytest.raises(TimedOut) as caught:
                await fetcher.open(FetchRequest(url=f"http://127.0.0.1:{port}/", connect_timeout_us=100_000))
            assert caught.value.phase == "connect"
            await fetcher.aclose()
            for sock in waiting:
                sock.close()
            await assert_nothing_left()

    asyncio.run(main())


def test_a_compressed_bomb_is_refused_by_its_coding_and_one_that_does_not_say_so_stays_as_small_as_it_came():
    bomb = gzip.compress(bytes(50_000_000))
    length = f"Content-Length: {len(bomb)}\r\n\r\n".encode()
    with pytest.raises(BodyError, match="gzip-encoded"):
        fetch(sends(OK + b"Content-Encoding: gzip\r\n" + length, bomb))
    response, body, server = fetch(sends(OK + length, bomb))
    assert body == bomb
    assert response.total_bytes == len(bomb)
    assert b"identity" in server.requests[0]


def test_an_endless_body_ends_at_the_limit():
    async def script(reader, writer):
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n")
        while True:
            writer.write(bytes(65536))
            await writer.drain()

    fail(BodyTooLarge, script, body_bytes_max=1_000_000)


@pytest.mark.parametrize(
    "bomb",
    [
        b"X: " + b"a" * 100_000 + b"\r\n\r\n",
        b"".join(b"X-%d: 1\r\n" % number for number in range(10_000)) + b"\r\n",
        b"a" * 100_000,
    ],
    ids=["one long", "many", "no end"],
)
def test_a_header_bomb_is_refused(bomb):
    fail(TransportError, hangs(OK + bomb), first_byte_timeout_us=2_000_000)


@pytest.mark.parametrize(
    "answer", [b"SSH-2.0-OpenSSH\r\n", b"\x16\x03\x01\x02\x00", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/9 200\r\n\r\n"]
)
def test_what_is_not_http_is_an_error(answer):
    fail(TransportError, sends(answer, pause_s=0.02), first_byte_timeout_us=1_000_000)


@pytest.mark.parametrize("value", [b"bytes 0-2/9", b"bytes 2-1/9", b"bytes 2-9/9", b"bytes */9", b"nonsense", b""])
def test_a_bad_content_range_is_refused(value):
    head = b"HTTP/1.1 206 P\r\nContent-Length: 3\r\nContent-Range: " + value + b"\r\n\r\nabc"
    fail(BodyError, sends(head), first_byte=2, last_byte=4)


def redirect(location):
    return sends(b"HTTP/1.1 302 F\r\nContent-Length: 0\r\nLocation: " + location + b"\r\n\r\n")


def test_a_redirect_loop_ends_after_five():
    async def main():
        server = RawServer(redirect(b"/again"))
        async with server.running() as base:
            fetcher = HttpFetcher(LOCAL)
            with pytest.raises(StatusError, match="too many"):
                await fetcher.open(FetchRequest(url=base))
            await fetcher.aclose()
        assert len(server.requests) == 6

    asyncio.run(main())


@pytest.mark.parametrize(
    "location",
    [
        b"http://127.0.0.2:1/",
        b"http://localhost:1/",
        b"http://0x7f.1/",
        b"file:///etc/passwd",
        b"//[::1]/",
        b"http://u:p@127.0.0.1/",
    ],
)
def test_a_redirect_out_of_the_allowed_hosts_is_refused(location):
    policy = AddressPolicy(allowed_hosts=frozenset({"127.0.0.1"}), allow_private=True)
    fail(AddressRefused, redirect(location), policy=policy)


def test_a_redirect_to_a_private_address_is_refused(monkeypatch):
    """The first hop is public by decree; the second is judged by itself."""
    from shoal.transports.sansio import addresses

    genuine = addresses.is_public
    monkeypatch.setattr(addresses, "is_public", lambda address: address == "127.0.0.1" or genuine(address))
    for location in (b"http://127.0.0.2:1/", b"http://169.254.169.254/latest/", b"http://[::ffff:127.0.0.1]/"):
        fail(AddressRefused, redirect(location), policy=AddressPolicy())


def test_credentials_stay_with_the_origin_that_was_asked():
    async def main():
        second = RawServer(sends(OK + b"Content-Length: 0\r\n\r\n"))
        async with second.running() as second_base:
            first = RawServer(redirect(second_base.encode()))
            async with first.running() as first_base:
                fetcher = HttpFetcher(LOCAL)
                headers = (("Authorization", "Bearer secret"), ("Cookie", "c=secret"), ("X-Player", "p"))
                await read(await fetcher.open(FetchRequest(url=first_base, headers=headers)))
                await fetcher.aclose()
        assert b"secret" in first.requests[0]
        assert b"secret" not in second.requests[0]
        assert b"x-player: p" in second.requests[0].lower()

    asyncio.run(main())


def test_cookies_are_forgotten():
    async def main():
        server = RawServer(sends(OK + b"Set-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"))
        async with server.running() as base:
            fetcher = HttpFetcher(LOCAL)
            for _ in range(2):
                await read(await fetcher.open(FetchRequest(url=base)))
            await fetcher.aclose()
        assert all(b"ookie" not in request for request in server.requests)

    asyncio.run(main())


def test_cookies_that_are_asked_for_go_back_to_the_host_that_set_them_and_to_no_other():
    async def main():
        other = RawServer(sends(OK + b"Content-Length: 0\r\n\r\n"))
        server = RawServer(sends(OK + b"Set-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n"))
        async with server.running() as base, other.running() as other_base:
            fetcher = HttpFetcher(LOCAL, cookies=True)
            for url in (base, f"{base}/v/s1.ts", other_base.replace("127.0.0.1", "localhost")):
                await read(await fetcher.open(FetchRequest(url=url)))
            await fetcher.aclose()
        assert [b"a=b" in request for request in server.requests] == [False, True]
        assert b"ookie" not in other.requests[0]

    asyncio.run(main())


def test_a_server_that_sets_more_and_more_cookies_starts_from_none():
    number = iter(range(1000))

    async def script(_, writer):
        rows = b"".join(b"Set-Cookie: c%d=1\r\n" % next(number) for _ in range(20))
        writer.write(OK + rows + b"Content-Length: 0\r\n\r\n")

    async def main():
        server = RawServer(script)
        async with server.running() as base:
            fetcher = HttpFetcher(LOCAL, cookies=True)
            for _ in range(8):
                await read(await fetcher.open(FetchRequest(url=base)))
            await fetcher.aclose()
        counts = [request.count(b"=1") for request in server.requests]
        assert counts[:4] == [0, 20, 40, 0]
        assert max(counts) <= 50

    asyncio.run(main())


def test_proxies_of_the_environment_are_not_used(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/")
    assert fetch(sends(OK + b"Content-Length: 2\r\n\r\nok"))[1] == b"ok"


@pytest.mark.parametrize("name", ["http_proxy", "all_proxy"])
def test_proxies_of_the_environment_are_used_when_asked_for(monkeypatch, name):
    async def main():
        proxy = RawServer(sends(OK + b"Content-Length: 2\r\n\r\nok"))
        async with proxy.running() as base:
            monkeypatch.setenv(name, base)
            fetcher = HttpFetcher(environment_proxies=True)
            assert await read(await fetcher.open(FetchRequest(url="http://cdn.example/a"))) == b"ok"
            with pytest.raises(AddressRefused):
                await fetcher.open(FetchRequest(url="http://169.254.169.254/"))
            await fetcher.aclose()
        assert [request.split()[1] for request in proxy.requests] == [b"http://cdn.example/a"]

    asyncio.run(main())


class Inside(AbstractResolver):
    """Every name leads to this machine."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        end = {"hostname": host, "host": "127.0.0.1", "port": port, "family": socket.AF_INET, "proto": 0, "flags": 0}
        return [ResolveResult(**end)]

    async def close(self) -> None:
        pass


def test_what_goes_past_the_proxies_of_the_environment_is_checked_like_all_else(monkeypatch):
    """A name that leads inside, for which there is no proxy: of another scheme, or in NO_PROXY."""

    async def main():
        inside = RawServer(sends(OK + b"Content-Length: 2\r\n\r\nok"))
        proxy = RawServer(sends(OK + b"Content-Length: 2\r\n\r\nok"))
        async with inside.running() as base, proxy.running() as proxied:
            port = base.rpartition(":")[2].strip("/")
            for environment, url in (
                ({"http_proxy": proxied, "no_proxy": "localtest.example"}, f"http://localtest.example:{port}/"),
                ({"https_proxy": proxied}, f"http://localtest.example:{port}/"),
            ):
                with monkeypatch.context() as patch:
                    for name, value in environment.items():
                        patch.setenv(name, value)
                    fetcher = HttpFetcher(environment_proxies=True, resolver=Inside())
                    with pytest.raises(AddressRefused):
                        await fetcher.open(FetchRequest(url=url))
                    await fetcher.aclose()
        assert inside.requests == []
        assert proxy.requests == []

    asyncio.run(main())


def test_a_proxy_of_the_environment_that_is_no_address_is_refused(monkeypatch):
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:9")
    with pytest.raises(ValueError, match="socks5"):
        HttpFetcher(environment_proxies=True)


def test_a_good_connection_is_used_again():
    async def main():
        connections = 0

        async def on_connection(reader, writer):
            nonlocal connections
            connections += 1
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    await reader.readuntil(b"\r\n\r\n")
                    writer.write(OK + b"Content-Length: 2\r\n\r\nok")
            writer.close()

        server = await asyncio.start_server(on_connection, "127.0.0.1", 0)
        async with server:
            fetcher = HttpFetcher(LOCAL)
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            for _ in range(5):
                assert await read(await fetcher.open(FetchRequest(url=url))) == b"ok"
            await fetcher.aclose()
            await assert_nothing_left_but_server()
        assert connections == 1

    async def assert_nothing_left_but_server():
        await asyncio.sleep(0.02)

    asyncio.run(main())


def test_an_unverified_tls_context_is_wrong_use():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with pytest.raises(ValueError, match="verify"):
        HttpFetcher(ssl_context=context)


def test_a_certificate_that_nobody_signed_is_a_failed_connection(tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*self_signed(tmp_path))

    async def main():
        async def on_connection(reader, writer):
            writer.close()

        server = await asyncio.start_server(on_connection, "127.0.0.1", 0, ssl=context)
        async with server:
            fetcher = HttpFetcher(LOCAL)
            url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            with pytest.raises(ConnectFailed, match=r"(?i)certificate"):
                await fetcher.open(FetchRequest(url=url))
            await fetcher.aclose()

    asyncio.run(main())


def self_signed(folder):
    import datetime as dt

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    day = dt.timedelta(days=1)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = builder.serial_number(1).not_valid_before(now - day).not_valid_after(now + day).sign(key, hashes.SHA256())
    certificate, private = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, private
