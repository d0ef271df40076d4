"""The playlists of m3u8-parser that we accept, as hls.js 1.7 reads them: the same segments, parts and levels.

`tests/data/m3u8_parser/expect.mjs` asks hls.js.  It is lenient, as a player is: what it makes of those that we refuse
is nothing to hold us against.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from shoal.balancer.formats.hls import MediaPlaylist, MediaSegment, Multivariant, Part, parse

from .test_m3u8_parser import ACCEPTED, DATA, URL, body, one_range, us

EXPECTED: dict[str, dict[str, Any]] = json.loads((DATA / "hls_js.json").read_text())


def ranged(said: list[int] | None) -> tuple[int, int] | None:
    return None if said is None else (said[0], said[1])


def ours_of(each: MediaSegment) -> tuple[Any, ...]:
    first = each.map
    return (
        each.uri,
        each.duration_us,
        one_range(each.byte_range),
        each.sequence,
        each.discontinuity_sequence,
        each.title,
        each.is_gap,
        first and (first.uri, one_range(first.byte_range)),
    )


def title_of(said: dict[str, Any]) -> str:
    """hls.js keeps blanks, and makes a word of a title that is not there."""
    title: str = said["title"].strip()
    return "" if title == "undefined" else title


def theirs_of(said: dict[str, Any]) -> tuple[Any, ...]:
    first = said["map"]
    return (
        said["uri"],
        us(said["duration"]),
        ranged(said["range"]),
        said["number"],
        said["timeline"],
        title_of(said),
        said["gap"],
        first and (first[0], ranged(first[1])),
    )


def part_of(each: Part) -> tuple[Any, ...]:
    return each.uri, each.duration_us, one_range(each.byte_range), each.is_independent


def their_part(said: dict[str, Any]) -> tuple[Any, ...]:
    return said["uri"], us(said["duration"]), ranged(said["range"]), said["independent"]


def test_hls_js_was_asked_for_all_of_them() -> None:
    assert EXPECTED.keys() >= set(ACCEPTED)


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_playlist_says_the_same_to_hls_js(name: str) -> None:
    ours, theirs = parse(body(name), URL), EXPECTED[name]
    assert not theirs.get("error"), theirs
    if isinstance(ours, Multivariant):
        assert [
            (each.uri, each.bandwidth, each.resolution and (each.resolution.width, each.resolution.height))
            for each in ours.variants
        ] == [
            (said["uri"], said["bandwidth"], said["width"] and (said["width"], said["height"]))
            for said in theirs["levels"]
        ]
        return
    assert isinstance(ours, MediaPlaylist)
    assert (ours.target_duration_us, ours.media_sequence, ours.is_live) == (
        us(theirs["target"]),
        theirs["sequence"],
        theirs["live"],
    )
    assert [ours_of(each) for each in ours.segments] == [theirs_of(said) for said in theirs["segments"]]
    parts = [part for each in ours.segments for part in each.parts] + list(ours.parts)
    assert [part_of(each) for each in parts] == [their_part(said) for said in theirs["parts"]]
