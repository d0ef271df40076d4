"""Sessions that share a folder of segments, as two players on one machine do; over real sockets and files."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shoal.app.demo.stream import Stream
from shoal.app.session import SessionOptions, StreamSession, open_session
from shoal.balancer.errors import ConfigurationError
from shoal.balancer.report import DiskState

from .support import media_of, playlist_of, running_origins, short_stream, until

pytestmark = pytest.mark.real


async def watched(session: StreamSession, stream: Stream) -> list[str]:
    """Names of the segments that were read; each has the right bytes."""
    segments = (await session.playlist((await session.playlist()).best)).segments
    names = [segment.uri.rpartition("/")[2] for segment in segments]
    for name, segment in zip(names, segments, strict=True):
        data = b"".join([piece.data async for piece in session.read(segment.key)])
        assert data == (stream.folder / name).read_bytes()
    return names


async def disk_of(session: StreamSession) -> DiskState:
    disk = (await session.report()).store.disk
    assert disk is not None
    return disk


def test_a_second_session_takes_from_the_folder_what_the_first_left_there(tmp_path: Path) -> None:
    stream = short_stream()

    async def run() -> None:
        async with asyncio.timeout(120), running_origins(stream, "one") as (origin,):
            options = SessionOptions(url=playlist_of(origin, stream), allow_private=True, store=str(tmp_path / "store"))
            async with open_session(options) as session:
                names = await watched(session, stream)

                async def is_written() -> bool:
                    return ((await disk_of(session)).body_count or 0) >= len(names)

                await until(is_written, "what came is not written")
            before = len(origin.requests)
            async with open_session(options) as session:
                assert await watched(session, stream) == names
                disk = await disk_of(session)
                assert disk.errors == {}
                assert disk.found_count >= len(names)
                # A disk that takes longer than its limit to say what lies there is not waited for.
                asked = [record.path for record in [*origin.requests][before:] if record.path.endswith(".m4s")]
                assert len(asked) < len(names)
                assert any(story.was_stored for story in media_of(await session.report()))

    asyncio.run(run())


def test_a_folder_that_cannot_be_used_is_refused_with_its_option(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    async def run() -> None:
        options = SessionOptions(url="http://127.0.0.1:1/v/stream.m3u8", store=str(tmp_path / "file"))
        async with open_session(options):
            pass

    with pytest.raises(ConfigurationError, match=r"--store .*file: "):
        asyncio.run(run())


FILL = """
import sys
from shoal.transports.errors import ShelfFull
from shoal.transports.native.disk import Disk

disk = Disk(sys.argv[1], bytes_max=1 << 30, files_max=1000)
disk.open()
kept = []
try:
    for number in range(200):
        kept.append(disk.put(bytes([number]) * 100_000, worth=1).digest)
except ShelfFull as error:
    assert "make room on that disk" in str(error), error
else:
    raise SystemExit("the disk never was full")
assert len(kept) > 3, kept
assert all(disk.read(digest) for digest in kept)
disk.close()
disk = Disk(sys.argv[1], bytes_max=250_000, files_max=1000)  # with less of it, there is room again
disk.open()
assert disk.read(disk.put(b"x" * 100_000, worth=1).digest) == b"x" * 100_000
"""


def test_a_real_disk_that_is_full_is_told_and_what_lies_there_stays(tmp_path: Path) -> None:
    """A file system of 2 MiB, in a mount namespace of its own."""
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    small = tmp_path / "small"
    small.mkdir()
    flags = ["-m"] if os.geteuid() == 0 else ["-rm"]
    mount = f"mount -t tmpfs -o size=2m none {small}"
    probe = subprocess.run(["unshare", *flags, "sh", "-c", mount], capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip(f"no file system can be mounted here: {probe.stderr.strip()}")
    script = f'{mount} && exec "$0" -c "$1" {small}/store'
    done = subprocess.run(
        ["unshare", *flags, "sh", "-c", script, sys.executable, FILL], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
