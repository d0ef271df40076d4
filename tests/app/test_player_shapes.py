"""hls.js, dash.js and Shaka play what packagers emit (shapes.py), through the proxy and not around it.

All players of a test run in one page at the same time, each through its own session.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from shoal.app.demo.origin import Fault, Origin

from .player_page import add, all_are, player_page
from .shapes import (
    LONG,
    Shaped,
    dash_periods,
    dash_ranges,
    dash_timeline,
    one_file,
    sound_apart,
    transport_stream,
)
from .sliding import SlidingOrigin
from .support import RUN_TIMEOUT_S
from .tapped import Tapped, proxied

pytestmark = pytest.mark.real

IN_A_ROW = 4  # segments of sound and of pictures that a player of what is live has to get
HUNG = Fault("hang-body", 0.0, "*[4s]")  # of m4s, mp4 and ts: all but manifests


class Played(NamedTuple):
    kind: str
    origins: Sequence[Origin]  # the first one's manifest is opened
    stream: Shaped


@asynccontextmanager
async def playing(
    profile: Path, players: dict[str, Played], *, plan: str = ""
) -> AsyncIterator[tuple[Any, dict[str, Tapped]]]:
    """A page with these players, by name, and what each plays through; at the end none has asked anybody else."""
    async with asyncio.timeout(RUN_TIMEOUT_S), AsyncExitStack() as stack:
        origins = {id(origin): origin for played in players.values() for origin in played.origins}
        for origin in origins.values():
            await origin.start()
            stack.push_async_callback(origin.aclose)
        proxies = {
            name: await proxied(
                stack,
                f"{each.origins[0].url}/{each.stream.manifest}",
                cdns={origin.name: f"{origin.url}/" for origin in each.origins},
                weights={origin.name: 3.0 for origin in each.origins[1:]},
            )
            for name, each in players.items()
        }
        page = await stack.enter_async_context(player_page(profile))
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        for origin in origins.values():
            if isinstance(origin, SlidingOrigin):  # as late as this: from now on it waits for nobody
                origin.begin(before_s=8)
        for name, each in players.items():
            await add(page, name, each.kind, proxies[name].url, plan=plan)
        yield page, proxies
        # Origins let any page read what they have: who went there was not stopped, and is seen here.
        assert asked
        assert [url for url in asked for origin in origins.values() if url.startswith(origin.url)] == []
        assert {urlsplit(url).hostname for url in asked if url.startswith("http")} == {"127.0.0.1"}  # nor for the time


@pytest.mark.parametrize(
    ("kinds", "shapes"),
    [
        (("hls", "shaka"), (sound_apart, transport_stream, one_file)),
        (("dash", "shaka"), (dash_timeline, dash_ranges, dash_periods)),
    ],
    ids=["hls", "dash"],
)
def test_players_play_each_shape_to_the_end_while_a_cdn_hangs(
    tmp_path: Path, kinds: tuple[str, ...], shapes: tuple[Callable[[Path], Shaped], ...]
) -> None:
    players = {}
    for shaped in shapes:
        stream = shaped(tmp_path / shaped.__name__)
        for kind in kinds:
            origins = [Origin(stream.folder, name="good"), Origin(stream.folder, name="bad", schedule=[HUNG])]
            players[f"{kind} {shaped.__name__}"] = Played(kind, origins, stream)

    async def run() -> None:
        async with playing(tmp_path / "profile", players) as (page, proxies):
            seen = await all_are(page, "one.ended")
        for name, (_, origins, stream) in players.items():
            assert "hang-body" in origins[1].statistics()["faults"], name
            assert seen[name]["errors"] == [], name
            assert seen[name]["ended"], name
            assert seen[name]["position"] == pytest.approx(stream.seconds, abs=0.3), name
            assert seen[name]["widths"], name
            assert stream.widths in {(), tuple(seen[name]["widths"])}, name
            wanted = {tuple(piece.split()) for piece in stream.pieces}
            given = pieces_given(proxies[name], stream, name)
            assert {(kind, number) for kind, _, number in given} == {(kind, number) for kind, _, number in wanted}, name

    asyncio.run(run())


def test_players_follow_what_is_live_with_its_sound_apart(tmp_path: Path) -> None:
    hls, dash = (shaped(tmp_path / shaped.__name__, LONG) for shaped in (sound_apart, dash_timeline))
    players = {
        f"{kind} {stream.folder.name}": Played(kind, [SlidingOrigin(stream.folder)], stream)
        for kind, stream in (("hls", hls), ("shaka", hls), ("dash", dash), ("shaka", dash))
    }

    async def run() -> None:
        async with playing(tmp_path / "profile", players) as (page, proxies):
            seen = await all_are(page, "one.began !== null && one.position > one.began + 3")
            reports = {name: await proxy._session.report() for name, proxy in proxies.items()}
        for name, (_, _, stream) in players.items():
            assert seen[name]["errors"] == [], name
            assert reports[name].is_live, name
            given = pieces_given(proxies[name], stream, name)
            for wanted in ("audio", "video"):
                numbers = sorted(int(number) for kind, _, number in given if kind == wanted and number.isdecimal())
                last = numbers[-IN_A_ROW:]
                assert last == list(range(last[0], last[0] + IN_A_ROW)), (name, wanted, numbers)

    asyncio.run(run())


def pieces_given(proxy: Tapped, stream: Shaped, player: str) -> set[tuple[str, ...]]:
    """Kind, rendition and number of each: nothing else was given, and whatever its renditions cannot do without."""
    assert proxy.refused == [], player
    names = {data: tuple(name.split()) for name, data in stream.pieces.items()}
    assert len(names) == len(stream.pieces)
    assert [path for path, data in proxy.given.items() if data not in names] == [], player
    given = {names[data] for data in proxy.given.values()}
    played = {rendition for _, rendition, number in given if number.isdecimal()}
    needed = {name for name in names.values() if name[1] in played and not name[2].isdecimal()}
    assert needed <= given, player
    return given
