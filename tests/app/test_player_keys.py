"""hls.js, Shaka and libav play HLS with AES-128 through the proxy, which gives them keys and what it cannot read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from shoal.app.demo.origin import Fault, Origin

from .shapes import BRIEF, Shaped, sound_apart, transport_stream
from .support import RUN_TIMEOUT_S
from .tapped import Tapped, proxied

pytest.importorskip("cryptography", reason="segments are encrypted with it: pip install 'shoal[webrtc]'")

from .encrypted import encrypted

pytestmark = pytest.mark.real

HUNG = Fault("hang-body", 0.0, "*[4s]")
SHAPES = (sound_apart, transport_stream)


async def keys_of(proxy: Tapped) -> set[str]:
    stories = (await proxy._session.report()).segments
    return {story.uri.rpartition("/")[2] for story in stories if story.kind == "key" and story.delivered_bytes}


def test_players_play_what_is_encrypted_to_the_end_while_a_cdn_hangs(tmp_path: Path) -> None:
    from .player_page import all_are
    from .test_player_shapes import Played, pieces_given, playing

    players = {}
    for shaped in SHAPES:
        stream = encrypted(shaped(tmp_path / shaped.__name__))
        for kind in ("hls", "shaka"):
            origins = [Origin(stream.folder, name="good"), Origin(stream.folder, name="bad", schedule=[HUNG])]
            players[f"{kind} {shaped.__name__}"] = Played(kind, origins, stream)

    async def run() -> None:
        async with playing(tmp_path / "profile", players) as (page, proxies):
            seen = await all_are(page, "one.ended")
            keys = {name: await keys_of(proxy) for name, proxy in proxies.items()}
        for name, (_, _, stream) in players.items():
            assert seen[name]["errors"] == [], name
            assert seen[name]["ended"], name
            assert seen[name]["position"] == pytest.approx(stream.seconds, abs=0.3), name
            assert seen[name]["widths"], name
            assert len(keys[name]) >= 2, (name, keys[name])
            wanted = {tuple(piece.split()) for piece in stream.pieces}
            given = pieces_given(proxies[name], stream, name)
            assert {(kind, number) for kind, _, number in given} == {(kind, number) for kind, _, number in wanted}, name

    asyncio.run(run())


@pytest.mark.parametrize("shaped", SHAPES)
def test_libav_decodes_every_picture_of_what_is_encrypted(tmp_path: Path, shaped: Callable[[Path], Shaped]) -> None:
    av = pytest.importorskip("av")
    stream = encrypted(shaped(tmp_path / "stream"))

    def pictures(url: str) -> int:
        with av.open(url, timeout=60.0) as source:
            return sum(1 for _ in source.decode(source.streams.video[0]))

    async def run() -> None:
        async with asyncio.timeout(RUN_TIMEOUT_S), AsyncExitStack() as stack:
            origin = Origin(stream.folder)
            await origin.start()
            stack.push_async_callback(origin.aclose)
            proxy = await proxied(stack, f"{origin.url}/{stream.manifest}")
            assert await asyncio.to_thread(pictures, proxy.url) == BRIEF.frames_per_s * stream.seconds
            assert await keys_of(proxy)
            right = set(stream.pieces.values())
            assert [path for path, data in proxy.given.items() if data not in right] == []
            assert proxy.given

    asyncio.run(run())
