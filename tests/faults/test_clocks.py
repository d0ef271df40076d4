"""Clocks that are wrong, of a viewer or of an origin, either way: DASH that counts its segments goes by them.

(A clock that is off in headers of HTTP is a fault of the matrix: `ahead`, `behind`, `skewed`, `skewed-back`.)
"""

from __future__ import annotations

import asyncio
import datetime as dt
import email.utils

import pytest

from shoal.app.session import StreamSession
from shoal.runtime.testing import run_virtual
from shoal.transports.interface import ServerRequest, ServerResponse

from ..balancer.actors.origin import SIDECAR, Stream
from ..balancer.actors.world import Shown, World, read_whole

HOUR_S = 3_600
SEGMENTS = 16
STALL_US_MAX = 500_000
SCHEMES = ("http-iso", "http-xsdate", "http-head", "direct")


def now_of(world: World, off_s: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(world.now_us() / 1e6 + off_s, dt.UTC)


def mpd(world: World, scheme: str | None, off_s: int) -> bytes:
    value = now_of(world, off_s).isoformat() if scheme == "direct" else "time"
    clock = "" if scheme is None else f'<UTCTiming schemeIdUri="urn:mpeg:dash:utc:{scheme}:2014" value="{value}"/>'
    return (
        '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="dynamic" availabilityStartTime="1970-01-01T00:00:00Z" '
        'minimumUpdatePeriod="PT2S" timeShiftBufferDepth="PT4S" publishTime="1970-01-01T00:00:00Z">'
        '<Period start="PT0S"><AdaptationSet mimeType="video/mp4"><SegmentTemplate media="s$Number$.m4s" '
        'initialization="init.mp4" startNumber="0" duration="1"/><Representation id="s" bandwidth="400000"/>'
        f"</AdaptationSet></Period>{clock}</MPD>"
    ).encode()


async def watch(session: StreamSession, world: World) -> Shown:
    """A player whose own clock is right; it is three seconds behind what is made."""
    stream, first = world.stream, int(world.now_us() // 1_000_000) - 3
    shown = Shown(dict(enumerate(stream.segments[first:SEGMENTS], first)))
    began_us = world.now_us()
    for number in shown.wanted:
        made_us = (number + 1) * 1_000_000
        await asyncio.sleep(max(0, made_us - world.now_us()) / 1e6)
        key = await session.find(0, f"n{number}.m4s")
        shown.bodies[number] = await read_whole(session, key)
        late_us = max(0, world.now_us() - began_us - (number - first + 1) * 1_000_000)
        began_us, shown.stall_us = began_us + late_us, shown.stall_us + late_us
    return shown


def seen(*, viewer_s: int = 0, one_s: int = 0, two_s: int = 0, scheme: str | None = None) -> tuple[Shown, str]:
    """What a player got where these clocks are so much later than the time, and what the report and its MPD say."""

    async def main() -> tuple[Shown, str]:
        async with World(stream=Stream(segments=SEGMENTS, segment_s=1, segment_bytes=33_000)) as world:
            for name, off_s in (("one", one_s), ("two", two_s)):
                origin = world.origins[name]
                origin.documents[SIDECAR] = world.stream.sidecar()

                async def answer(request: ServerRequest, off_s: int = off_s) -> ServerResponse | None:
                    now = now_of(world, off_s)
                    if request.path == "/v/stream.mpd":
                        return ServerResponse(200, {}, mpd(world, scheme, off_s))
                    if request.path == "/v/time":
                        date = email.utils.format_datetime(now, usegmt=True)
                        return ServerResponse(200, {"date": date}, now.isoformat().encode())
                    return None

                origin.answers = answer
            await asyncio.sleep(6.1)
            async with world.viewer(url="http://one/v/stream.mpd", clock_off_us=viewer_s * 1_000_000) as session:
                shown = await watch(session, world)
                return shown, "\n".join([*(await session.report()).log, (await session.playlist()).text])

    return run_virtual(main())


def assert_well(shown: Shown) -> None:
    assert shown.bodies == shown.wanted
    assert shown.stall_us <= STALL_US_MAX


@pytest.mark.parametrize("off_s", [-24 * HOUR_S, -HOUR_S, -5, 0, 5, HOUR_S, 24 * HOUR_S])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_viewers_clock_may_be_wrong_where_the_mpd_names_one(scheme: str, off_s: int) -> None:
    shown, log = seen(viewer_s=off_s, scheme=scheme)
    assert_well(shown)
    assert ("which counts" in log) == (off_s != 0)
    assert "<UTCTiming" in log


def test_without_a_clock_in_the_mpd_the_viewers_own_counts() -> None:
    assert_well(seen()[0])


@pytest.mark.parametrize("off_s", [-24 * HOUR_S, -HOUR_S, HOUR_S, 24 * HOUR_S])
def test_headers_of_clocks_that_are_wrong_move_nothing_where_the_mpd_names_none(off_s: int) -> None:
    assert_well(seen(one_s=off_s, two_s=off_s)[0])


@pytest.mark.parametrize("off_s", [-24 * HOUR_S, -HOUR_S, HOUR_S, 24 * HOUR_S])
@pytest.mark.parametrize("scheme", ["http-iso", "http-xsdate", "http-head"])
def test_the_clock_of_one_cdn_may_be_wrong_where_another_and_the_viewers_are_right(scheme: str, off_s: int) -> None:
    shown, log = seen(one_s=off_s, scheme=scheme)
    assert_well(shown)
    assert "it does not count" in log
    assert "<UTCTiming" not in log, "nor is a player sent to it"


@pytest.mark.parametrize("off_s", [-HOUR_S, HOUR_S])
def test_where_all_cdns_tell_one_time_the_viewers_clock_is_the_wrong_one(off_s: int) -> None:
    _, log = seen(viewer_s=off_s, scheme="http-iso")
    assert "which counts" in log
    assert "it does not count" not in log
