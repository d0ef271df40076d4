"""Sessions of an MPD that is steered (ETSI TS 103 998): asked before the start, and clones of service locations."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from shoal.runtime.testing import run_virtual
from shoal.transports.interface import ServerRequest, ServerResponse
from shoal.transports.memory import MemoryServer

from .test_manifest import URL, at_two, body, segments_asked
from .test_steering import STEER, SteeringHost, order
from .world import World

BEFORE = f'<ContentSteering defaultServiceLocation="a" queryBeforeStart="true">{STEER}</ContentSteering>'
BESIDE = f'<ContentSteering defaultServiceLocation="a">{STEER}</ContentSteering>'


def later(response: ServerResponse, after_s: float) -> Callable[[ServerRequest], Awaitable[ServerResponse]]:
    async def answer(_: ServerRequest) -> ServerResponse:
        await asyncio.sleep(after_s)
        return response

    return answer


def begun(steering: str, after_s: float, response: ServerResponse | None = None, **options: Any) -> tuple[Any, ...]:
    """Who was asked for all segments by a player that begins at once, when it had its MPD, and what was noted."""
    seen: list[Any] = []

    async def main() -> None:
        async with World() as world:
            server = MemoryServer(world.network.host("steer"))
            await server.start(later(response or order("b", "a"), after_s), port=80)
            world.document("main.mpd", at_two(world, steering=steering))
            async with world.viewer(url=URL, cdns=("one",), **options) as session:
                await asyncio.gather(session.playlist(), session.playlist())
                seen.append(world.now_us() / 1e6)
                for place, right in enumerate(world.stream.segments):
                    assert await body(session, f"n{place}.m4s") == right
                seen.append(" ".join((await session.report()).log))
            await server.aclose()
            seen.extend(len(segments_asked(world, name)) for name in ("one", "two"))

    run_virtual(main())
    return tuple(seen)


def test_a_server_that_is_to_be_asked_before_the_start_is_waited_for() -> None:
    at_s, _, of_one, of_two = begun(BEFORE, 1.0)
    assert 1.0 < at_s < 1.5
    assert (of_one, of_two) == (0, 8)


def test_one_that_need_not_be_is_not() -> None:
    at_s, _, of_one, _ = begun(BESIDE, 1.0)
    assert at_s < 0.5
    assert of_one > 0


def test_one_that_takes_too_long_is_followed_when_it_comes() -> None:
    at_s, log, of_one, of_two = begun(BEFORE, 3.0, prefetch_us=1_000_000)
    assert 2.0 < at_s < 2.5
    assert "did not answer in time" in log
    assert of_one > 0
    assert of_one + of_two >= 8


@pytest.mark.parametrize("response", [ServerResponse(410), ServerResponse(503), ServerResponse(200, {}, b"<html>")])
def test_one_that_fails_holds_nobody_up(response: ServerResponse) -> None:
    at_s, _, of_one, of_two = begun(BEFORE, 0.1, response)
    assert at_s < 0.5
    assert (of_one, of_two) == (8, 0)


def test_an_order_in_the_mpd_itself_counts_from_the_first_segment_on() -> None:
    manifest = '{"VERSION":1,"TTL":5,"PATHWAY-PRIORITY":["b","a"]}'.replace('"', "%22")
    inline = BEFORE.replace(STEER, f"data:application/json,{manifest}")
    at_s, _, of_one, of_two = begun(inline, 0.0)
    assert at_s < 0.5
    assert (of_one, of_two) == (0, 8)


def cloned(*clones: dict[str, Any]) -> tuple[set[str], str, set[str]]:
    """Whom a session asks that is sent to c first, what was noted, and its sources."""
    seen: list[Any] = []

    async def main() -> None:
        says = lambda _: order("c", "b", "a", **{"PATHWAY-CLONES": list(clones)})  # noqa: E731
        async with World("one", "two", "three") as world, SteeringHost(world, says):
            world.document("main.mpd", at_two(world, steering=BEFORE))
            async with world.viewer(url=URL, cdns=("one",)) as session:
                for place, right in enumerate(world.stream.segments):
                    assert await body(session, f"n{place}.m4s") == right
                report = await session.report()
            seen.append({name for name in world.origins if segments_asked(world, name)})
            seen.append(" ".join(report.log))
            seen.append({source.name for source in report.sources if source.used_bytes})

    run_virtual(main())
    asked, log, sources = seen
    return asked, log, sources


def test_a_clone_of_a_service_location_becomes_a_source() -> None:
    clone = {"BASE-ID": "a", "ID": "c", "URI-REPLACEMENT": {"HOST": "three"}}
    asked, log, sources = cloned(clone)
    assert asked == {"three"}
    assert sources == {"cdn:c"}
    assert "pathways come in the order c, b, a" in log


def test_a_clone_of_a_clone_is_one_of_its_base() -> None:
    first = {"BASE-ID": "a", "ID": "d", "URI-REPLACEMENT": {"HOST": "nowhere"}}
    asked, _, _ = cloned(first, {"BASE-ID": "d", "ID": "c", "URI-REPLACEMENT": {"HOST": "three"}})
    assert asked == {"three"}


def test_a_clone_whose_base_no_base_url_has_is_told_and_the_rest_is_followed() -> None:
    asked, log, _ = cloned({"BASE-ID": "z", "ID": "c", "URI-REPLACEMENT": {"HOST": "three"}})
    assert asked == {"two"}
    assert "its base z is not known" in log
