"""A session that is steered, in virtual time: pathways are sources of one decision, in the order they are given."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Self

import pytest

from shoal.app.session import StreamSession
from shoal.balancer.paths import key_of
from shoal.balancer.report import SessionReport
from shoal.runtime.testing import run_virtual
from shoal.transports.interface import ServerRequest, ServerResponse
from shoal.transports.memory import MemoryServer

from .world import Shown, World, peers_used_bytes, play, read_whole

MAIN = "main.m3u8"
STEER = "http://steer/m.json"


def multivariant(pathways: dict[str, str], tag: str | None = f'SERVER-URI="{STEER}"') -> bytes:
    lines = ["#EXTM3U", *([f"#EXT-X-CONTENT-STEERING:{tag}"] if tag is not None else [])]
    for pathway, base in pathways.items():
        lines += [f'#EXT-X-STREAM-INF:BANDWIDTH=400000,PATHWAY-ID="{pathway}"', f"{base}stream.m3u8"]
    return "\n".join([*lines, ""]).encode()


ONE_AND_TWO = {"a": "http://one/v/", "b": "http://two/v/"}


class SteeringHost:
    """A steering server that says what it is told to: a status, or a manifest."""

    def __init__(self, world: World, says: Callable[[int], ServerResponse]) -> None:
        self.asked: list[tuple[int, ServerRequest]] = []  # second, request
        self._says = says
        self._world = world
        self._server = MemoryServer(world.network.host("steer"))

    async def __aenter__(self) -> Self:
        await self._server.start(self._handle, port=80)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.aclose()

    async def _handle(self, request: ServerRequest) -> ServerResponse:
        self.asked.append((self._world.now_us() // 1_000_000, request))
        return self._says(len(self.asked))


def order(*ids: str, ttl: float = 5, **fields: Any) -> ServerResponse:
    manifest = {"VERSION": 1, "TTL": ttl, "PATHWAY-PRIORITY": list(ids)} | fields
    return ServerResponse(200, {}, json.dumps(manifest).encode())


class Run:
    shown: Shown
    report: SessionReport
    steering: SteeringHost
    segments: dict[str, list[str]]  # by origin, in the order asked


def run(
    says: Callable[[int], ServerResponse] = lambda _: order("a", "b"),
    *,
    playlist: bytes = multivariant(ONE_AND_TWO),
    origins: tuple[str, ...] = ("one", "two"),
    cdns: tuple[str, ...] = ("one",),
    at: str = "one",
    meanwhile: Callable[[World, StreamSession], Any] | None = None,
    **options: Any,
) -> Run:
    """A viewer plays all of the stream from a multivariant playlist at `at`."""
    seen = Run()

    async def main() -> None:
        async with World(*origins) as world, SteeringHost(world, says) as seen.steering:
            world.document(MAIN, playlist)
            url = f"http://{at}/v/{MAIN}"
            async with world.viewer(url=url, cdns=cdns, **options) as session:
                tasks = []
                if meanwhile is not None:
                    tasks = [asyncio.create_task(meanwhile(world, session))]
                seen.shown = await play(session, world.stream)
                await asyncio.gather(*tasks)
                seen.report = await session.report()
            seen.segments = {
                name: [asked.name for asked in origin.segments_asked()] for name, origin in world.origins.items()
            }

    run_virtual(main())
    assert seen.shown.bodies == seen.shown.wanted, "every byte came, and is right"
    return seen


def test_the_order_of_the_steering_server_is_the_order_of_the_sources() -> None:
    assert not run(lambda _: order("a", "b")).segments["two"]
    steered = run(lambda _: order("b", "a"))
    assert len(steered.segments["two"]) >= 6
    assert len(steered.segments["one"]) <= 2, "only what was asked for before the server had answered"
    assert "cdn:b" in {source.name for source in steered.report.sources if source.used_bytes}


def test_traffic_moves_when_the_order_turns_and_says_where_it_is_and_how_fast() -> None:
    turned = run(lambda number: order("a", "b") if number < 3 else order("b", "a"), prefetch_us=1_000_000)
    assert turned.segments["one"][0] == "s0.m4s"
    assert turned.segments["two"][-1] == "s7.m4s"
    assert len(turned.segments["one"]) >= 3
    queries = [request.query for _, request in turned.steering.asked]
    assert queries[0] == "_HLS_pathway=a", "nothing is measured at the start"
    assert queries[2].startswith("_HLS_pathway=a&_HLS_throughput=")
    assert queries[-1].startswith("_HLS_pathway=b&_HLS_throughput=")
    assert 1_000_000 < int(queries[-1].rpartition("=")[2]) < 17_000_000, "bits a second, of a link of 2 MB/s"
    assert turned.shown.stall_us == 0
    assert any("steered: pathways come in the order b, a" in line for line in turned.report.log)


def test_a_pathway_that_fails_is_left_for_the_next_whatever_the_order_says() -> None:
    async def fail(world: World, session: StreamSession) -> None:
        await world.spoil("two", "503")

    failed = run(lambda _: order("b", "a"), meanwhile=fail)
    assert failed.shown.is_perfect
    assert len(set(failed.segments["one"])) == 8


def test_a_steering_server_that_is_gone_ends_steering_and_not_the_stream() -> None:
    gone = run(lambda _: ServerResponse(410))
    assert len(gone.steering.asked) == 1
    assert gone.shown.is_perfect
    assert any("not asked any more" in line for line in gone.report.log)


def test_one_that_asks_to_come_later_is_asked_later_and_then_followed() -> None:
    def says(number: int) -> ServerResponse:
        return ServerResponse(429, {"retry-after": "4"}) if number <= 2 else order("b", "a")

    later = run(says, prefetch_us=1_000_000)
    seconds = [second for second, _ in later.steering.asked]
    assert seconds[:3] == [seconds[0], seconds[0] + 4, seconds[0] + 8]
    assert later.segments["two"]


@pytest.mark.parametrize("status", [404, 500, 503])
def test_one_that_fails_is_asked_again_and_the_order_before_holds(status: int) -> None:
    failing = run(lambda number: order("b", "a", ttl=2) if number == 1 else ServerResponse(status))
    assert len(failing.steering.asked) > 2
    assert len(failing.segments["two"]) >= 6
    assert failing.shown.is_perfect


def test_a_manifest_that_is_none_is_told_once_and_the_order_before_holds() -> None:
    garbage = run(lambda number: order("b", "a", ttl=1) if number == 1 else ServerResponse(200, {}, b"<html>"))
    assert len(garbage.segments["two"]) >= 6
    assert len([line for line in garbage.report.log if "no steering manifest" in line]) == 1


def test_a_clone_becomes_a_source() -> None:
    clones = [{"BASE-ID": "a", "ID": "c", "URI-REPLACEMENT": {"HOST": "three"}}]
    cloned = run(
        lambda _: order("c", "b", "a", **{"PATHWAY-CLONES": clones}),
        origins=("one", "two", "three"),
    )
    assert len(cloned.segments["three"]) >= 6
    assert "cdn:c" in {source.name for source in cloned.report.sources}


def test_a_clone_of_what_is_not_there_is_told_and_the_rest_is_followed() -> None:
    clones = [{"BASE-ID": "z", "ID": "c", "URI-REPLACEMENT": {"HOST": "three"}}]
    cloned = run(lambda _: order("c", "b", "a", **{"PATHWAY-CLONES": clones}))
    assert any("its base z is not known" in line for line in cloned.report.log)
    assert len(cloned.segments["two"]) >= 6


def test_an_order_that_names_none_of_the_pathways_changes_nothing() -> None:
    strange = run(lambda _: order("x", "y"))
    assert not strange.segments["two"]
    assert any("names no pathway of this stream" in line for line in strange.report.log)


def test_the_player_sees_one_pathway() -> None:
    texts: list[str] = []

    async def look(world: World, session: StreamSession) -> None:
        texts.append((await session.playlist()).text)

    run(meanwhile=look)
    rows = [row for row in texts[0].splitlines() if not row.startswith("#")]
    assert len(rows) == 1
    assert "STEERING" not in texts[0]
    assert "http" not in texts[0]


def test_a_stream_whose_playlist_lies_elsewhere_is_asked_of_its_pathways_only() -> None:
    elsewhere = run(lambda _: order("b", "a"), origins=("one", "two", "three"), cdns=("three",), at="three")
    assert not elsewhere.segments["three"]
    assert len(elsewhere.segments["two"]) >= 6
    by_name = {source.name: source for source in elsewhere.report.sources}
    assert by_name["cdn:three"].transfer_count == 0
    assert {"cdn:a", "cdn:b"} <= set(by_name)


def test_a_given_cdn_that_is_a_pathway_is_that_pathway() -> None:
    given = run(lambda _: order("b", "a"), cdns=("one", "two"))
    assert {source.name for source in given.report.sources} == {"cdn:one", "cdn:two"}
    assert len(given.segments["two"]) >= 6


def test_without_a_steering_server_the_first_pathway_is_used_and_the_others_stand_by() -> None:
    async def fail(world: World, session: StreamSession) -> None:
        await asyncio.sleep(6)
        await world.spoil("one", "hang")

    alone = run(playlist=multivariant(ONE_AND_TWO, None), meanwhile=fail, prefetch_us=1_000_000)
    assert not alone.steering.asked
    assert alone.segments["two"]
    assert alone.shown.is_perfect


def test_a_manifest_in_the_playlist_itself_is_followed() -> None:
    body = '{"VERSION":1,"TTL":5,"PATHWAY-PRIORITY":["b","a"]}'.replace('"', "%22")
    inline = run(playlist=multivariant(ONE_AND_TWO, f'SERVER-URI="data:application/json,{body}"'))
    assert not inline.steering.asked
    assert len(inline.segments["two"]) >= 7


def test_verified_bytes_come_from_pathways_as_from_any_cdn() -> None:
    checked = run(lambda _: order("b", "a"))
    media = [segment for segment in checked.report.segments if segment.kind == "media"]
    assert {segment.verified for segment in media} == {"blocks"}


def test_a_path_of_the_merged_playlist_is_served() -> None:
    async def look(world: World, session: StreamSession) -> None:
        playlist = await session.playlist(0)
        rows = [row for row in playlist.text.splitlines() if row and not row.startswith("#")]
        assert all(key_of(row) is not None for row in rows)

    run(meanwhile=look)


# --- peers are a pathway too


def run_in_swarm(
    says: Callable[[int], ServerResponse],
    *,
    meanwhile: Callable[[World, StreamSession], Any] | None = None,
    **options: Any,
) -> Run:
    """As `run`, with a peer who holds all of the stream before the viewer comes."""
    seen = Run()

    async def main() -> None:
        async with World("one", "two") as world, SteeringHost(world, says) as seen.steering, AsyncExitStack() as stack:
            world.document(MAIN, multivariant(ONE_AND_TWO))
            url = f"http://one/v/{MAIN}"
            peer = await stack.enter_async_context(world.viewer("peer", in_swarm=True, url=url, cdns=("one",)))
            await peer.playlist()
            await peer.playlist(0)
            for number in range(len(world.stream.segments)):
                await read_whole(peer, number)
            session = await stack.enter_async_context(world.viewer(in_swarm=True, url=url, cdns=("one",), **options))
            await session.playlist()
            await session.playlist(0)
            await read_whole(session, 0)  # who asks for media joins the swarm
            while not any((source.held_count or 0) == 8 for source in (await session.report()).sources):
                await asyncio.sleep(0.1)
            if meanwhile is not None:
                await meanwhile(world, session)
            seen.shown = await play(session, world.stream)
            seen.report = await session.report()

    run_virtual(main())
    assert seen.shown.bodies == seen.shown.wanted, "every byte came, and is right"
    return seen


def from_peers(seen: Run) -> float:
    """The share of bytes."""
    return peers_used_bytes(seen.report) / sum(map(len, seen.shown.wanted.values()))


@pytest.mark.parametrize("ids", [("PEERS", "a", "b"), ("a", "b")], ids=["first", "not named"])
def test_peers_that_come_first_or_are_never_named_bring_most(ids: tuple[str, ...]) -> None:
    assert from_peers(run_in_swarm(lambda _: order(*ids))) > 0.6


def test_peers_behind_a_pathway_that_serves_bring_nothing() -> None:
    behind = run_in_swarm(lambda _: order("a", "PEERS", "b"))
    assert from_peers(behind) == 0
    assert behind.shown.is_perfect
    assert any("steered: pathways come in the order a, PEERS, b" in line for line in behind.report.log)


@pytest.mark.parametrize("fault", ["503", "refused", "hang"])
def test_peers_behind_a_pathway_that_fails_bring_what_it_does_not(fault: str) -> None:
    async def fail(world: World, session: StreamSession) -> None:
        await world.spoil("one", fault)

    failed = run_in_swarm(lambda _: order("a", "PEERS", "b"), meanwhile=fail)
    assert from_peers(failed) > 0.4
    assert failed.shown.stall_us == 0


def test_peers_that_are_named_no_more_come_last() -> None:
    async def wait(world: World, session: StreamSession) -> None:
        await asyncio.sleep(8)  # until the second manifest

    def says(number: int) -> ServerResponse:
        return order("PEERS", "a", "b") if number <= 2 else order("b", "a")  # the peer is steered too

    little = {"prefetch_us": 1_000_000}  # so that most is still to come then
    assert from_peers(run_in_swarm(says, meanwhile=wait, **little)) < 0.2

    async def fail(world: World, session: StreamSession) -> None:
        await wait(world, session)
        for name in ("one", "two"):
            await world.spoil(name, "503")

    assert from_peers(run_in_swarm(says, meanwhile=fail, **little)) > 0.7, "better than a picture that stops"


def test_what_peers_are_called_is_a_setting() -> None:
    assert from_peers(run_in_swarm(lambda _: order("a", "mesh", "b"), peers_pathway="mesh")) == 0
    assert from_peers(run_in_swarm(lambda _: order("a", "PEERS", "b"), peers_pathway=None)) > 0.6
