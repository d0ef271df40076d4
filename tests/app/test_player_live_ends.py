"""hls.js, dash.js and Shaka follow what is live, go back in it, read its subtitles, and come to its end with it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from .player_page import all_are
from .shapes import BRIEF, Shaped, dash_timeline, sound_apart
from .sliding import SlidingOrigin
from .test_player_shapes import Played, playing

pytestmark = pytest.mark.real

FILM = replace(BRIEF, seconds=45)  # a page with four players has begun long before
IN_A_ROW = 10  # segments up to the last
_LINE = "line {}"


def vtt(number: int) -> str:
    return f"WEBVTT\n\n00:00:{number:02}.000 --> 00:00:{number:02}.900\n{_LINE.format(number)}\n"


def with_text_segments(stream: Shaped) -> Shaped:
    """HLS: subtitles in segments of their own, which come and go with those of the film."""
    rows, pieces = [], dict(stream.pieces)
    for number in range(FILM.seconds):
        name = f"text_{number:03}.vtt"
        (stream.folder / name).write_text(vtt(number))
        pieces[f"text text {number}"] = vtt(number).encode()
        rows += ["#EXTINF:1.0,", name]
    head = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-TARGETDURATION:1", "#EXT-X-MEDIA-SEQUENCE:0"]
    (stream.folder / "text.m3u8").write_text(
        "\n".join([*head, "#EXT-X-PLAYLIST-TYPE:VOD", *rows, "#EXT-X-ENDLIST", ""])
    )
    place = stream.folder / stream.manifest
    media = '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="text",NAME="English",LANGUAGE="en",AUTOSELECT=YES,URI="text.m3u8"\n'
    text = place.read_text().replace("#EXT-X-STREAM-INF:", media + "#EXT-X-STREAM-INF:", 1)
    place.write_text(text.replace("#EXT-X-STREAM-INF:", '#EXT-X-STREAM-INF:SUBTITLES="text",'))
    return replace(stream, pieces=pieces)


def with_text_file(stream: Shaped) -> Shaped:
    """DASH: subtitles in one file."""
    cues = "\n".join(vtt(number).partition("\n\n")[2] for number in range(FILM.seconds))
    (stream.folder / "text.vtt").write_text(f"WEBVTT\n\n{cues}")
    place = stream.folder / stream.manifest
    rows = (
        '<AdaptationSet id="9" contentType="text" lang="en"><Representation id="text" mimeType="text/vtt" '
        'bandwidth="100"><BaseURL>text.vtt</BaseURL></Representation></AdaptationSet></Period>'
    )
    place.write_text(place.read_text().replace("</Period>", rows, 1))
    return replace(stream, pieces={**stream.pieces, "text text file": (stream.folder / "text.vtt").read_bytes()})


def test_players_of_what_is_live_go_back_in_it_read_its_subtitles_and_come_to_its_end(tmp_path: Path) -> None:
    hls = with_text_segments(sound_apart(tmp_path / "hls", FILM))
    dash = with_text_file(dash_timeline(tmp_path / "dash", FILM))
    ends_s = FILM.seconds + 1
    players = {
        f"{kind} {stream.folder.name}": Played(kind, [SlidingOrigin(stream.folder, ends_s=ends_s)], stream)
        for kind, stream in (("hls", hls), ("shaka", hls), ("dash", dash), ("shaka", dash))
    }

    async def run() -> None:
        async with playing(tmp_path / "profile", players, plan="ending") as (page, proxies):
            before = await all_are(page, "one.steps === 2")
            were_live = {name: (await proxy._session.report()).is_live for name, proxy in proxies.items()}
            seen = await all_are(page, "one.ended")
            ends = await page.evaluate(
                "Object.fromEntries(videos().map((one, place) => [Object.keys(seen)[place], one.of]))"
            )
            reports = {name: await proxy._session.report() for name, proxy in proxies.items()}
        for name, (_, _, stream) in players.items():
            one, proxy = seen[name], proxies[name]
            assert were_live[name], (name, before[name])
            assert not reports[name].is_live, name
            assert one["errors"] == [], name
            assert one["position"] == pytest.approx(ends[name], abs=0.3), name
            assert len(one["sought"]) >= 1, name  # and where a player begins to play is a seek to most
            if name != "shaka dash":  # which does not load one file of text beside what is live
                assert {cue.partition(" ")[0] for cue in one["cues"]} == {"line"}, name
            assert proxy.refused == [], name
            names = {data: tuple(piece.split()) for piece, data in stream.pieces.items()}
            assert [path for path, data in proxy.given.items() if data not in names] == [], name
            given = {names[data] for data in proxy.given.values()}
            for wanted in ("audio", "video"):
                numbers = sorted({int(number) for kind, _, number in given if kind == wanted and number.isdecimal()})
                last = max(int(number) for kind, _, number in names.values() if kind == wanted and number.isdecimal())
                # Shaka takes one of the oldest as well, to see when the stream began.
                assert numbers[-IN_A_ROW:] == list(range(last + 1 - IN_A_ROW, last + 1)), (name, wanted, numbers)

    asyncio.run(run())
