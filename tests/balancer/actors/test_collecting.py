"""Sessions that report each response to a collector (CMCD, event mode)."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from shoal.balancer.errors import BalancerError
from shoal.balancer.formats.cmcd import MIME_TYPE, decode
from shoal.balancer.report import SessionReport
from shoal.runtime.testing import run_virtual
from shoal.transports.interface import ServerRequest, ServerResponse
from shoal.transports.memory import MemoryServer

from .world import World, play

COLLECTOR = "http://collector/events"


def told(*statuses: int, fault: str | None = None, **options: Any) -> tuple[list[dict[str, Any]], SessionReport, int]:
    """What a collector that answers so (and then with 204) took, the report, and how often it was asked."""
    took: list[dict[str, Any]] = []
    answers = [*statuses]
    asked: list[ServerRequest] = []

    async def handle(request: ServerRequest) -> ServerResponse:
        asked.append(request)
        assert (request.method, request.headers["content-type"]) == ("POST", MIME_TYPE)
        status = answers.pop(0) if answers else 204
        if status == 204:
            took.extend(decode(line) for line in request.body.decode().split("\n"))
        return ServerResponse(status)

    async def main() -> SessionReport:
        async with World() as world:
            server = MemoryServer(world.network.host("collector"))
            await server.start(handle, port=80)
            if fault is not None:
                await world.spoil("one", fault)
            async with world.viewer(first="one", cmcd_report=COLLECTOR, **options) as session:
                shown = await play(session, world.stream)
                assert shown.is_perfect
                await asyncio.sleep(30)
                report = await session.report()
            await server.aclose()
            return report

    return took, run_virtual(main()), len(asked)


def responses_of(took: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in took if event["e"] == "rr"]


def states_of(took: list[dict[str, Any]]) -> str:
    return "".join(event["sta"] for event in took if event["e"] == "ps")


def test_each_response_is_told_once_with_the_source_that_sent_it() -> None:
    took, report, _ = told(fault="stop")
    parts = [(part.source, part.outcome) for story in report.segments for part in story.parts]
    answered = sorted(source for source, outcome in parts if outcome in {"ended", "failed"})
    assert sorted(f"cdn:{event['cdn']}" for event in responses_of(took)) == answered
    assert [event["sn"] for event in took] == list(range(len(took)))
    assert {event["e"] for event in took} == {"rr", "ps", "t"}
    assert len({event["sid"] for event in took}) == 1
    segments = [event for event in responses_of(took) if event["url"].endswith("/s3.m4s")]
    assert segments[0]["ttlb"] >= segments[0]["ttfb"] > 0


def test_a_collector_that_fails_for_a_while_gets_all_of_it_and_holds_nobody_up() -> None:
    took, report, asked = told(503, 500, 429)
    assert [event["sn"] for event in took] == list(range(len(took)))
    assert len(took) >= 8
    assert asked >= 4
    assert sum("collector of CMCD took no events" in line for line in report.log) == 3


def test_a_collector_that_is_not_there_is_said_once_and_holds_nobody_up() -> None:
    async def main() -> SessionReport:
        async with World() as world, world.viewer(cmcd_report="http://nowhere/events") as session:
            shown = await play(session, world.stream)
            assert shown.is_perfect
            await asyncio.sleep(60)
            return await session.report()

    log = run_virtual(main()).log
    assert sum("collector of CMCD took no events" in line for line in log) == 1


def test_cdns_and_a_collector_may_both_be_told() -> None:
    took, _, _ = told(cmcd="query")
    assert took
    for event in responses_of(took):
        assert "CMCD" not in event["url"]


def test_the_states_of_a_player_are_told_as_they_change_and_once_in_a_while() -> None:
    took, _, _ = told()
    assert states_of(took) == "spe"
    assert [event["sta"] for event in took if event["e"] == "t"] == ["p"]
    assert took[0]["e"] == "ps"
    times = [event["ts"] for event in took]
    assert times == sorted(times)


def test_a_stall_is_told_from_when_it_begins_and_what_cannot_be_had_as_an_error() -> None:
    took: list[dict[str, Any]] = []

    async def handle(request: ServerRequest) -> ServerResponse:
        took.extend(decode(line) for line in request.body.decode().split("\n"))
        return ServerResponse(204)

    async def main() -> None:
        async with World() as world:
            server = MemoryServer(world.network.host("collector"))
            await server.start(handle, port=80)
            async with world.viewer(cmcd_report=COLLECTOR) as session:
                segments = (await session.playlist()).segments
                for name in world.origins:
                    await world.spoil(name, "hang", names=frozenset({"s1.m4s"}))
                for segment in segments[:2]:
                    with contextlib.suppress(BalancerError):
                        async for _ in session.read(segment.key):
                            pass
                await asyncio.sleep(5)
            await server.aclose()

    run_virtual(main())
    assert states_of(took) == "spr"
    assert [event["ec"] for event in took if event["e"] == "e"] == [["unavailable"]]
