"""The demo's origin serves like a good server until told to misbehave, and then exactly so."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest

from shoal.app.demo.origin import Fault, Origin, parse_fault

pytestmark = pytest.mark.real

BODY = bytes(range(256)) * 800  # 200 KiB: four blocks


def with_origin(folder: Path, use: Callable[[Origin, aiohttp.ClientSession], Awaitable[None]], **options) -> Origin:
    """Serve BODY as /a.m4s while `use` runs."""
    (folder / "a.m4s").write_bytes(BODY)
    origin = Origin(folder, **options)

    async def run() -> None:
        await origin.start()
        try:
            async with aiohttp.ClientSession(origin.url) as client:
                await use(origin, client)
        finally:
            await origin.aclose()

    asyncio.run(asyncio.wait_for(run(), 60))
    return origin


async def raw_answer(origin: Origin, path: str = "/a.m4s") -> bytes:
    """Everything the origin sends for one request, up to the end of the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", origin.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    try:
        return await reader.read()
    finally:
        writer.close()


RANGES = [
    ("bytes=0-", 200, 0, len(BODY)),
    ("bytes=1000-", 206, 1000, len(BODY)),
    ("bytes=0-99", 206, 0, 100),
    ("bytes=-5", 206, len(BODY) - 5, len(BODY)),
    ("bytes=100-99999999", 206, 100, len(BODY)),
    ("bytes=1-2,5-6", 200, 0, len(BODY)),
    ("lines=1-2", 200, 0, len(BODY)),
]


@pytest.mark.parametrize(("wanted", "status", "first", "end"), RANGES)
def test_a_range_is_answered_with_exactly_its_bytes(tmp_path, wanted, status, first, end):
    async def use(origin, client):
        async with client.get("/a.m4s", headers={"Range": wanted}) as response:
            assert response.status == status
            assert await response.read() == BODY[first:end]
            if status == 206:
                assert response.headers["Content-Range"] == f"bytes {first}-{end - 1}/{len(BODY)}"

    with_origin(tmp_path, use)


def test_a_range_behind_the_end_is_416_and_a_stale_validator_gets_the_whole(tmp_path):
    async def use(origin, client):
        async with client.get("/a.m4s", headers={"Range": f"bytes={len(BODY)}-"}) as response:
            assert response.status == 416
        async with client.get("/a.m4s", headers={"Range": "bytes=9-", "If-Range": '"older"'}) as response:
            assert (response.status, await response.read()) == (200, BODY)
        etag = response.headers["ETag"]
        async with client.get("/a.m4s", headers={"Range": "bytes=9-", "If-Range": etag}) as response:
            assert (response.status, await response.read()) == (206, BODY[9:])

    with_origin(tmp_path, use)


def test_nothing_outside_the_folder_is_served(tmp_path):
    (tmp_path / "secret").write_text("s")
    inside = tmp_path / "root"
    inside.mkdir()

    async def use(origin, client):
        assert (await raw_answer(origin, "/../secret")).startswith(b"HTTP/1.1 404")
        assert (await raw_answer(origin, "/%2e%2e/secret")).startswith(b"HTTP/1.1 404")

    with_origin(inside, use)


@pytest.mark.parametrize("kind", ["503", "500", "404"])
def test_a_status_fault_answers_with_that_status_which_pages_may_read(tmp_path, kind):
    async def use(origin, client):
        origin.fault = Fault(kind)
        async with client.get("/a.m4s") as response:
            assert response.status == int(kind)
            assert response.headers["Access-Control-Allow-Origin"] == "*"

    with_origin(tmp_path, use)


def test_a_truncated_body_stops_half_way_behind_a_right_header(tmp_path):
    async def use(origin, client):
        origin.fault = Fault("truncate")
        head, _, body = (await raw_answer(origin)).partition(b"\r\n\r\n")
        assert f"Content-Length: {len(BODY)}".encode() in head
        assert body == BODY[: len(BODY) // 2]

    with_origin(tmp_path, use)


@pytest.mark.parametrize(("kind", "difference"), [("too-long", -1000), ("too-short", 1000)])
def test_a_wrong_length_differs_from_the_body_that_comes(tmp_path, kind, difference):
    async def use(origin, client):
        origin.fault = Fault(kind)
        head, _, body = (await raw_answer(origin)).partition(b"\r\n\r\n")
        assert f"Content-Length: {len(BODY) + difference}".encode() in head
        assert body == BODY

    with_origin(tmp_path, use)


@pytest.mark.parametrize("kind", ["reset", "reset-body"])
def test_a_reset_is_a_reset(tmp_path, kind):
    async def use(origin, client):
        origin.fault = Fault(kind)
        with pytest.raises(ConnectionResetError):
            await raw_answer(origin)

    with_origin(tmp_path, use)


@pytest.mark.parametrize(("kind", "least"), [("hang", 0), ("hang-body", 50_000), ("drip", 1)])
def test_a_hanging_answer_never_ends_by_itself(tmp_path, kind, least):
    async def use(origin, client):
        origin.fault = Fault(kind)
        reader, writer = await asyncio.open_connection("127.0.0.1", origin.port)
        writer.write(b"GET /a.m4s HTTP/1.1\r\nHost: x\r\n\r\n")
        received = bytearray()

        async def read_to_the_end():
            while piece := await reader.read(65536):
                received.extend(piece)

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(read_to_the_end(), 0.5)
        _, _, body = bytes(received).partition(b"\r\n\r\n")
        assert least <= len(body) <= len(BODY) // 2
        writer.close()

    with_origin(tmp_path, use)


def test_a_corrupt_body_differs_in_one_byte_of_its_second_block(tmp_path):
    async def use(origin, client):
        origin.fault = Fault("corrupt")
        async with client.get("/a.m4s") as response:
            body = await response.read()
        wrong = [at for at in range(len(BODY)) if body[at] != BODY[at]]
        assert len(wrong) == 1
        assert 65536 <= wrong[0] < 131072

    with_origin(tmp_path, use)


def test_a_rate_limit_holds_over_the_whole_body(tmp_path):
    async def use(origin, client):
        began = asyncio.get_running_loop().time()
        async with client.get("/a.m4s") as response:
            await response.read()
        assert asyncio.get_running_loop().time() - began >= 0.3

    with_origin(tmp_path, use, rate_bytes_per_s=500_000)


def test_a_schedule_begins_at_the_start_signal_and_only_for_its_paths(tmp_path):
    (tmp_path / "b.m3u8").write_text("#EXTM3U")

    async def use(origin, client):
        async with client.get("/a.m4s") as response:
            assert response.status == 200
        origin.schedule = [Fault("503", 0.0, "*.m4s")]
        async with client.post("/_start") as response:
            assert response.status == 204
        async with client.get("/a.m4s") as response:
            assert response.status == 503
        async with client.get("/b.m3u8") as response:
            assert response.status == 200
        async with client.get("/_stats") as response:
            assert json.loads(await response.read())["statuses"] == {"200": 2, "503": 1}

    origin = with_origin(tmp_path, use, schedule=[Fault("503", 3000.0)])
    assert [record.path for record in origin.requests] == ["a.m4s", "a.m4s", "b.m3u8"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("10:503", Fault("503", 10.0)),
        ("0.5:truncate@hd_*", Fault("truncate", 0.5, "hd_*")),
        ("3:drip@", Fault("drip", 3.0)),
    ],
)
def test_a_fault_is_read_from_its_text(text, fault):
    assert parse_fault(text) == fault


@pytest.mark.parametrize("text", ["503", "x:503", "-1:503", "nan:503", "1:burn", ""])
def test_nonsense_is_no_fault_and_the_error_says_how_to_write_one(text):
    with pytest.raises(ValueError, match=r"SECONDS:KIND|use one of"):
        parse_fault(text)
