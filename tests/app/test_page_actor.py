"""What a page's JavaScript asks of its session: resources by the player's own URLs, and loads that it leaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from shoal.app.demo.origin import Origin
from shoal.app.demo.stream import Rendition, StreamOptions
from shoal.app.page_actor import (
    NAME,
    Consent,
    GetMemory,
    GetRecording,
    GetReport,
    Leave,
    Load,
    LoadPlaylist,
    NotLoaded,
    PageActor,
    open_page,
)
from shoal.app.page_stream import PageOptions, PageStream
from shoal.app.session import StreamSession
from shoal.balancer.errors import ConfigurationError, UnknownResource
from shoal.balancer.report import SessionReport
from shoal.runtime import ActorRef
from shoal.runtime.testing import run_virtual
from shoal.transports.sansio.bridge_frames import VERSION

from ..balancer.actors.origin import Fault
from ..balancer.actors.world import World, story, wasted_bytes
from .support import STREAMS, make_stream, playlist_of

FOLDER = "http://one/v/"
KEYED = b"""#EXTM3U
#EXT-X-VERSION:7
#EXT-X-TARGETDURATION:4
#EXT-X-MAP:URI="init.mp4"
#EXT-X-KEY:METHOD=AES-128,URI="s7.m4s"
#EXTINF:4.0,
s0.m4s
#EXTINF:4.0,
#EXT-X-BYTERANGE:1000@500
s1.m4s
#EXT-X-ENDLIST
"""


@asynccontextmanager
async def page_actor(world: World, **config: Any) -> AsyncIterator[tuple[ActorRef[Any], StreamSession]]:
    async with world.viewer(**config) as session:
        yield session.system.spawn(PageActor, PageStream(session), lambda: 7, name=NAME), session


def test_segments_init_sections_keys_and_parts_of_files_come_by_their_urls() -> None:
    async def main() -> None:
        async with World() as world:
            world.document("stream.m3u8", KEYED)
            async with page_actor(world) as (page, _):
                for number, name in enumerate(("init.mp4", "s7.m4s", "s0.m4s")):
                    assert await page.ask(Load(FOLDER + name, number)) == world.stream.files()[name]
                part = await page.ask(Load(f"{FOLDER}s1.m4s", 3, first=500, end=1500))
                assert part == world.stream.segments[1][500:1500]

    run_virtual(main())


def test_a_playlist_has_the_player_s_own_urls_and_the_places_of_parts() -> None:
    async def main() -> None:
        async with World() as world:
            world.document("stream.m3u8", KEYED.replace(b'"init.mp4"', b'"init.mp4",BYTERANGE="700@0"'))
            async with page_actor(world) as (page, _):
                with pytest.raises(UnknownResource):
                    await page.ask(LoadPlaylist(f"{FOLDER}stream.m3u8"))  # nothing was learned yet
                assert await page.ask(Load(f"{FOLDER}s0.m4s", 1)) == world.stream.segments[0]
                lines = (await page.ask(LoadPlaylist(f"{FOLDER}stream.m3u8"))).decode().splitlines()
                assert lines == [
                    *("#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-TARGETDURATION:4"),
                    f'#EXT-X-MAP:URI="{FOLDER}init.mp4",BYTERANGE="700@0"',
                    f'#EXT-X-KEY:METHOD=AES-128,URI="{FOLDER}s7.m4s"',
                    *("#EXTINF:4.0,", f"{FOLDER}s0.m4s"),
                    *("#EXTINF:4.0,", "#EXT-X-BYTERANGE:1000@500", f"{FOLDER}s1.m4s"),
                    "#EXT-X-ENDLIST",
                ]
                part = await page.ask(Load(f"{FOLDER}init.mp4", 2, first=0, end=700))
                assert part == world.stream.init[:700]

    run_virtual(main())


def test_a_live_playlist_goes_on_while_the_players_own_cdn_does_not_answer() -> None:
    async def main() -> None:
        async with World("one", "two") as world:
            world.document("stream.m3u8", world.stream.media_playlist(0, 3, ended=False))
            async with page_actor(world) as (page, _):
                assert await page.ask(Load(f"{FOLDER}s2.m4s", 1)) == world.stream.segments[2]
                await world.origins["one"].stop()
                world.document("stream.m3u8", world.stream.media_playlist(1, 3, ended=False))
                await asyncio.sleep(10)
                text = (await page.ask(LoadPlaylist(f"{FOLDER}stream.m3u8"), timeout_s=60)).decode()
                assert text.splitlines()[-1] == f"{FOLDER}s3.m4s"
                assert await page.ask(Load(f"{FOLDER}s3.m4s", 2), timeout_s=60) == world.stream.segments[3]

    run_virtual(main())


@pytest.mark.parametrize(
    "load", [Load(f"{FOLDER}s99.m4s", 1), Load(f"{FOLDER}s0.m4s", 1, first=0, end=9), Load("nonsense", 1)]
)
def test_what_is_not_of_the_stream_is_said_to_be_unknown(load: Load) -> None:
    async def main() -> None:
        async with World() as world, page_actor(world) as (page, _):
            with pytest.raises(UnknownResource, match="let the player fetch it itself"):
                await page.ask(load)

    run_virtual(main())


def test_a_load_that_is_left_is_cancelled_at_its_source_and_can_be_asked_for_again() -> None:
    async def main() -> None:
        async with (
            World("one", bytes_per_s=100_000) as world,
            page_actor(world, prefetch_segments=0) as (page, session),
        ):
            asked = asyncio.ensure_future(page.ask(Load(f"{FOLDER}s0.m4s", 1), timeout_s=60))
            await asyncio.sleep(0.8)
            page.tell(Leave(1))
            with pytest.raises(NotLoaded, match="left"):
                await asked
            await asyncio.sleep(10)  # all of it would have come in two
            report = await session.report()
            (part,) = story(report, 0).parts
            assert (part.outcome, part.reason) == ("cancelled", "released")
            assert part.byte_count < len(world.stream.segments[0])
            assert wasted_bytes(report) == part.byte_count
            again = await page.ask(Load(f"{FOLDER}s0.m4s", 2), timeout_s=60)
            assert again == world.stream.segments[0]
            page.tell(Leave(2))  # too late, and nothing comes of it
            assert await page.ask(Load(f"{FOLDER}s0.m4s", 3)) == again

    run_virtual(main())


def test_a_load_may_be_left_at_once() -> None:
    async def main() -> None:
        async with World() as world, page_actor(world, prefetch_segments=0) as (page, session):
            asked = asyncio.ensure_future(page.ask(Load(f"{FOLDER}s0.m4s", 1)))
            await asyncio.sleep(0)
            page.tell(Leave(1))
            with pytest.raises(NotLoaded):
                await asked
            await asyncio.sleep(5)
            assert [one for one in (await session.report()).segments if one.kind == "media" and one.parts] == []

    run_virtual(main())


def test_a_load_that_waits_holds_up_neither_others_nor_the_report() -> None:
    async def main() -> None:
        async with World("one") as world, page_actor(world) as (page, session):
            await session.playlist()
            await world.spoil("one", "hang", names=frozenset({"s0.m4s"}))
            waits = asyncio.ensure_future(page.ask(Load(f"{FOLDER}s0.m4s", 1), timeout_s=600))
            await asyncio.sleep(0)
            assert await page.ask(Load(f"{FOLDER}init.mp4", 2)) == world.stream.init
            report = msgspec.json.decode(await page.ask(GetReport()), type=SessionReport)
            assert report.url == f"{FOLDER}stream.m3u8"
            assert not waits.done()
            page.tell(Leave(1))
            await asyncio.wait([waits])

    run_virtual(main())


def test_a_load_that_fails_says_why_in_words() -> None:
    async def main() -> None:
        async with World("one") as world, page_actor(world) as (page, session):
            await session.playlist()
            world.origins["one"].fault = Fault("404")
            with pytest.raises(NotLoaded, match=r"^NoSource: "):
                await page.ask(Load(f"{FOLDER}s0.m4s", 1), timeout_s=600)

    run_virtual(main())


def test_the_page_is_told_of_memory_and_consent_and_that_nothing_is_recorded() -> None:
    async def main() -> None:
        async with World() as world, page_actor(world) as (page, _):
            memory = json.loads(await page.ask(GetMemory(), timeout_s=60))
            assert memory["wasm_bytes"] == 7
            assert memory["python"]["object_count"] > 1000
            assert await page.ask(Consent(allowed=False)) is None
            with pytest.raises(ConfigurationError, match="not recorded"):
                await page.ask(GetRecording())

    run_virtual(main())


class Carrier:
    """JavaScript's side of a bridge: what Python sent, as frames and byte strings."""

    def __init__(self) -> None:
        self.frames: list[tuple[dict[str, Any], list[bytes]]] = []
        self.came = asyncio.Event()

    def send(self, text: str, parts: Any) -> None:
        self.frames.append((json.loads(text), [bytes(part) for part in parts]))
        self.came.set()

    def close(self, why: str) -> None:
        self.came.set()

    async def answer(self, number: int) -> tuple[dict[str, Any], list[bytes]]:
        while True:
            for frame, parts in self.frames:
                if frame.get("id") == number:
                    return frame, parts
            self.came.clear()
            await self.came.wait()


@pytest.mark.real
def test_a_page_opens_its_session_loads_over_the_bridge_and_ends_it() -> None:
    stream = make_stream(
        StreamOptions(seconds=10, segment_seconds=1, renditions=(Rendition("page", 160, 90, 400_000, 64_000),)), STREAMS
    )

    async def main() -> None:
        async with asyncio.timeout(60):
            origin, carrier = Origin(stream.folder), Carrier()
            await origin.start()
            options = PageOptions(url=playlist_of(origin, stream), allow_private=True)
            bridge = await open_page(msgspec.json.encode(options).decode())
            bridge.attach(carrier)
            bridge.receive(json.dumps({"op": "hello", "version": VERSION}), ())
            name = next(path.name for path in sorted(stream.folder.glob("*.m4s")))
            for number, url in enumerate((f"{origin.url}/{name}", f"{origin.url}/nothing.m4s"), 1):
                body = {"url": url, "load": number}
                ask = {"op": "ask", "id": number, "to": NAME, "type": "Load", "body": body, "ms": 50_000}
                bridge.receive(json.dumps(ask), ())
            frame, parts = await carrier.answer(1)
            assert (frame["op"], parts) == ("answer", [(stream.folder / name).read_bytes()])
            frame, _ = await carrier.answer(2)
            assert (frame["op"], frame["name"]) == ("fail", "UnknownResource")
            bridge.close()
            await origin.aclose()
            if left := asyncio.all_tasks() - {asyncio.current_task()}:
                await asyncio.wait(left)  # the session, which ends with the bridge

    asyncio.run(main())
