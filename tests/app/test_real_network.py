"""Streams over networks that others make: slow, losing packets, cut in the middle, and far away."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shoal.app.demo.stream import Stream
from shoal.app.session import SessionOptions, open_session
from shoal.balancer.model import Kind

from .network import Lab, delayed, missing
from .support import playlist_of, running_origins, short_stream, used_bytes

pytestmark = pytest.mark.real

END = Path(__file__).with_name("network_end.py")
PORT = 8080
TIMEOUT_S = 180
STALL_S_MAX = 0.5


@contextlib.contextmanager
def process(*command: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        try:
            yield running
        finally:
            running.kill()


def seen_by_a_viewer(lab: Lab, stream: Stream, then: Callable[[], None] | None = None) -> dict[str, Any]:
    """`then` is done in the middle of the stream."""
    with contextlib.ExitStack() as stack:
        for name in ("good", "bad"):
            command = lab.inside(name, sys.executable, str(END), "origin", str(stream.folder))
            origin = stack.enter_context(process(*command))
            assert origin.stdout is not None
            assert origin.stdout.readline() == "serving\n"
        urls = [f"http://{lab.address(name)}:{PORT}/{stream.playlist}" for name in ("good", "bad")]
        more = [] if then is None else ["CUT"]
        command = lab.inside("viewer", sys.executable, str(END), "viewer", *urls, str(stream.folder), *more)
        watching = stack.enter_context(process(*command))
        assert watching.stdin is not None
        assert watching.stdout is not None
        if then is not None:
            assert watching.stdout.readline() == "CUT\n"
            then()
            watching.stdin.write("go on\n")
            watching.stdin.flush()
        rest, _ = watching.communicate(timeout=TIMEOUT_S)
    return dict(json.loads(rest.splitlines()[-1]))


@pytest.mark.parametrize("what", ["rate", "loss", "partition"])
def test_a_stream_comes_whole_while_the_way_to_the_preferred_origin_is_bad(what: str) -> None:
    if (why := missing()) is not None:
        pytest.skip(why)
    stream = short_stream()
    with Lab("good", "bad") as lab:
        if what == "rate":
            lab.rate("bad", 128)  # a tenth of what the stream needs
        elif what == "loss":
            lab.lose("bad", 30)
        seen = seen_by_a_viewer(lab, stream, (lambda: lab.cut("bad")) if what == "partition" else None)
    assert seen["right"] == stream.segment_count
    assert seen["stalled_s"] <= STALL_S_MAX
    assert seen["sources"]["cdn:good"][0] > 0
    if what == "partition":
        assert seen["sources"]["cdn:bad"][0] > 0  # until it was cut


def test_a_stream_comes_whole_from_far_away() -> None:
    """300 ms there and back to one origin, and 20 to the other."""
    stream = short_stream()

    async def run() -> None:
        async with (
            asyncio.timeout(TIMEOUT_S),
            running_origins(stream, "far", "near") as (far, near),
            delayed(far.port, 0.15) as far_port,
            delayed(near.port, 0.01) as near_port,
        ):
            urls = {
                origin.name: playlist_of(origin, stream).replace(f":{origin.port}/", f":{port}/")
                for origin, port in ((far, far_port), (near, near_port))
            }
            options = SessionOptions(url=urls["far"], cdns=urls, allow_private=True)
            async with open_session(options) as session:
                await session.playlist()
                media = [each for each in (await session.playlist(0)).segments if each.key.kind is Kind.MEDIA]
                for segment in media:
                    came = b"".join([piece.data async for piece in session.read(segment.key)])
                    assert came == (stream.folder / segment.uri.rpartition("/")[2]).read_bytes()
                report = await session.report()
        assert used_bytes(report.sources) >= sum(
            (stream.folder / each.uri.rpartition("/")[2]).stat().st_size for each in media
        )

    asyncio.run(run())
