"""The demo's judge finds every wrong byte in what went to the player, and only those."""

import ast
import asyncio
import socket
import sys
import threading
from pathlib import Path

import pytest

from shoal.app.demo import judge
from shoal.app.demo.judge import Judgement, Tap, judge_connection, originals_in
from shoal.app.demo.origin import Fault, Origin
from shoal.app.demo.player import PlayerOptions, play
from shoal.app.demo.stream import Stream

ORIGINAL = bytes(range(256)) * 10


def asked(*paths: str, method: str = "GET") -> bytes:
    return b"".join(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for path in paths)


def answered(body: bytes, *, status: str = "200 OK", length: int | None = None, more: str = "") -> bytes:
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\n{more}Content-Length: {size}\r\n\r\n".encode() + body


def judged(tmp_path: Path, sent: bytes, received: bytes) -> Judgement:
    (tmp_path / "a.m4s").write_bytes(ORIGINAL)
    result = Judgement()
    judge_connection(sent, received, originals_in(tmp_path), result)
    return result


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
WHOLE_IN_CHUNKS = CHUNKED + b"".join(b"100\r\n%b\r\n" % bytes(range(256)) for _ in range(10)) + b"0\r\n\r\n"
RIGHT = [
    ("the whole", answered(ORIGINAL)),
    ("a range", answered(ORIGINAL[5:9], status="206 P", more="Content-Range: bytes 5-8/2560\r\n")),
    ("cut short", answered(ORIGINAL[:700], length=2560)),
    ("cut short before the first byte", answered(b"", length=2560)),
    ("in chunks", WHOLE_IN_CHUNKS),
    ("in chunks, cut short", WHOLE_IN_CHUNKS[:1000]),
    ("to the end of the connection", b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + ORIGINAL),
]


@pytest.mark.parametrize(("name", "received"), RIGHT, ids=[name for name, _ in RIGHT])
def test_what_is_right_is_passed(tmp_path, name, received):
    result = judged(tmp_path, asked("/media/0/0/a.m4s"), received)
    assert (result.wrong_bytes, result.unreadable, result.unknown) == (0, 0, [])
    assert result.bodies_compared == 1


FLIPPED = ORIGINAL[:99] + b"\x00" + ORIGINAL[100:]
WRONG = [
    ("a flipped byte", answered(FLIPPED), 1),
    ("a flipped byte in a body cut short", answered(FLIPPED[:200], length=2560), 1),
    ("a short body that claims to be whole", answered(ORIGINAL[:-10]), 10),
    ("a body too long", answered(ORIGINAL + b"xyz"), 3),
    (
        "the wrong part for its range",
        answered(ORIGINAL[6:8], status="206 P", more="Content-Range: bytes 5-6/2560\r\n"),
        2,
    ),
    ("a range of another total", answered(ORIGINAL[5:7], status="206 P", more="Content-Range: bytes 5-6/2561\r\n"), 2),
    ("a range without a Content-Range", answered(ORIGINAL[5:7], status="206 P"), 2),
]


@pytest.mark.parametrize(("name", "received", "count"), WRONG, ids=[name for name, *_ in WRONG])
def test_what_is_wrong_is_counted_to_the_byte(tmp_path, name, received, count):
    result = judged(tmp_path, asked("/media/0/0/a.m4s"), received)
    assert result.wrong_bytes == count
    assert len(result.wrong) == 1
    assert result.wrong[0].startswith("/media/0/0/a.m4s: ")


def test_several_responses_on_one_connection_are_each_held_against_their_own_request(tmp_path):
    (tmp_path / "b.m4s").write_bytes(b"other")
    sent = asked("/p.m3u8", "/x/a.m4s?token=1", "/gone.m4s", "/b.m4s")
    received = answered(b"#EXTM3U") + answered(ORIGINAL) + answered(b"no", status="404 N") + answered(b"othex")
    result = judged(tmp_path, sent, received)
    assert result.wrong_bytes == 1
    assert result.wrong[0].startswith("/b.m4s")
    assert result.statuses == {"200": 3, "404": 1}


def test_a_body_without_an_original_is_listed_and_what_is_no_http_is_counted(tmp_path):
    assert judged(tmp_path, asked("/c.m4s"), answered(b"?")).unknown == ["/c.m4s"]
    assert judged(tmp_path, asked("/a.m4s"), b"SSH-2.0-x\r\n").unreadable == 1


def test_two_originals_of_one_name_are_refused(tmp_path):
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.m4s").write_bytes(b"")
    with pytest.raises(ValueError, match=r"two files are called a\.m4s"):
        originals_in(tmp_path)


def tapped(stream: Stream, fault: Fault | None) -> Judgement:
    """A player plays the stream through the tap, straight from an origin."""

    async def run() -> Judgement:
        origin = Origin(stream.folder)
        origin.fault = fault
        tap = Tap(stream.folder, ("127.0.0.1", await origin.start()))
        url = f"http://127.0.0.1:{tap.start()}/{stream.playlist}"
        try:
            await asyncio.to_thread(play, url, PlayerOptions(realtime=False))
        finally:
            tap.stop()
            await origin.aclose()
        return tap.judge()

    return asyncio.run(run())


@pytest.mark.real
def test_a_right_stream_is_found_right_over_real_connections(stream: Stream):
    result = tapped(stream, None)
    assert (result.ok, result.wrong_bytes, result.unknown) == (True, 0, [])
    played = [path for path in stream.folder.glob("hd_*") if path.suffix in {".m4s", ".mp4"}]
    assert result.files_compared >= len(played)
    assert result.bytes_compared >= sum(path.stat().st_size for path in played)


@pytest.mark.real
def test_a_planted_wrong_byte_is_found_over_real_connections(stream: Stream):
    result = tapped(stream, Fault("corrupt", 0.0, "hd_002.m4s"))
    assert (result.ok, result.wrong_bytes) == (False, 1)
    assert "hd_002.m4s" in result.wrong[0]


@pytest.mark.real
def test_a_body_that_breaks_off_goes_through_the_tap_as_it_is(stream: Stream):
    result = tapped(stream, Fault("truncate", 0.0, "hd_002.m4s"))
    assert (result.wrong_bytes, result.unreadable) == (0, 0)
    assert result.cut_bodies >= 1


@pytest.mark.real
def test_stopping_the_tap_ends_open_connections_and_its_threads(tmp_path):
    before = threading.active_count()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        tap = Tap(tmp_path, ("127.0.0.1", silent.getsockname()[1]))
        with socket.create_connection(("127.0.0.1", tap.start())) as client:
            client.sendall(asked("/a.m4s"))
            far, _ = silent.accept()
            assert far.recv(100) == asked("/a.m4s")
            tap.stop()
            client.settimeout(5)
            assert client.recv(1) == b""
            far.close()
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.name.startswith("asyncio"):
            thread.join(5)
    assert threading.active_count() <= before


def test_the_judge_imports_only_the_standard_library():
    tree = ast.parse(Path(judge.__file__).read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    froms = {node.module or "." for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names | froms} <= set(sys.stdlib_module_names)
