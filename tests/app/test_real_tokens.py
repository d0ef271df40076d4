"""Programs at a tracker that asks for tokens: a peer with one meets others and serves them, one without is told why."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

pytest.importorskip("aiortc", reason="peers need WebRTC: pip install 'shoal[webrtc]'")

from shoal.app.demo.children import Children
from shoal.app.demo.origin import Origin
from shoal.app.demo.stream import Stream
from shoal.app.tracker_tokens import sign

from .readers import reader
from .support import (
    Process,
    left_running,
    marked_run,
    playlist_of,
    running_origins,
    short_stream,
    skip_without_an_address,
    start,
    until,
    used_bytes,
)

pytestmark = pytest.mark.real

RUN_TIMEOUT_S = 240.0  # 15 s on an idle machine
KEY = b"0123456789abcdef0123456789abcdef"
SUBJECT = "peer7"


class Place(NamedTuple):
    origin: Origin
    stream: Stream
    tracker: str
    children: Children

    async def peer(self, name: str, token: str | None) -> Process:
        tracker = self.tracker if token is None else f"{self.tracker}/?token={token}"
        command = ("peer", playlist_of(self.origin, self.stream), "--tracker", tracker, "--allow-private", "--json")
        return await start(self.children, name, "shoal.app.cli", *command)


@asynccontextmanager
async def place(folder: Path) -> AsyncIterator[Place]:
    keys = folder / "keys"
    keys.write_bytes(KEY + b"\n")
    stream = short_stream()
    async with (
        asyncio.timeout(RUN_TIMEOUT_S),
        running_origins(stream, "cdn") as (origin,),
        Children(folder / "logs") as children,
    ):
        served = await start(
            children, "tracker", "shoal.app.cli", "tracker", "--port", "0", "--token-keys", str(keys), "--json"
        )
        tracker = (await served.child.ready())["url"]
        yield Place(origin, stream, tracker, children)


@pytest.fixture(autouse=True)
def _nothing_is_left(tmp_path: Path):
    skip_without_an_address()
    with marked_run(str(tmp_path)):
        yield
    assert left_running(str(tmp_path)) == []


def test_a_peer_with_a_token_joins_and_serves_a_viewer_with_another(tmp_path: Path):
    async def run() -> None:
        async with place(tmp_path) as here:
            peer = await here.peer("with", sign(KEY, int(time.time()) + 600, SUBJECT))
            await peer.child.ready()
            await until(lambda: peer.told("complete"), "the peer does not hold the stream")
            token = sign(KEY, int(time.time()) + 600, "viewer8")
            tracker, count = f"{here.tracker}/?token={token}", here.stream.segment_count
            async with reader(here.origin, here.stream, tracker, cdn_prefetch_deadline_us=1_000) as viewer:
                await viewer.read(1)
                await viewer.met(count)
                await viewer.read(count - 1)
                peers = await viewer.peers()
            ended = await peer.child.end()
            assert peer.child.exit_code == 0
            assert used_bytes(peers) > 0
            assert ended["sent_bytes"] >= used_bytes(peers)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("token", "words"),
    [
        (None, "a token is needed; it belongs into the tracker's URL as ?token="),
        (sign(b"another key of thirty-two letters", 2_000_000_000, SUBJECT), "the token is not one of ours"),
        (sign(KEY, 1_000_000_000, SUBJECT), "the token has ended"),
    ],
    ids=["none", "of another key", "ended"],
)
def test_a_peer_without_a_token_that_counts_ends_with_the_trackers_own_words(
    tmp_path: Path, token: str | None, words: str
):
    async def run() -> None:
        async with place(tmp_path) as here:
            peer = await here.peer("without", token)
            code = await asyncio.wait_for(peer.child.wait(), 60)
            error = peer.told("error")
            assert error is not None, peer.events
            assert code == 3
            assert error["reason"] == "tracker_refused"
            assert "answered 403" in error["message"]
            assert words in error["message"]
            said = json.dumps(peer.events) + (tmp_path / "logs" / "without.log").read_text("utf-8", "replace")
            assert token is None or token not in said  # who reads a log is let in by it

    asyncio.run(run())
