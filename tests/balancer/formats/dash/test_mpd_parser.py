"""The MPDs of others, with what mpd-parser makes of them: the same, or a refusal whose reason is right.

The mpegdash package reads those that we accept as well, and must agree on what it has.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from shoal.balancer.errors import PlaylistError, PlaylistMalformed
from shoal.balancer.formats.dash import (
    AddressingKind,
    InitSection,
    Mpd,
    Period,
    Representation,
    init_of,
    parse,
    segments_of,
)
from shoal.balancer.model import ByteRange

from .mpds import NOON_US

DATA = Path(__file__).parents[3] / "data" / "mpd_parser"
URL = "https://cdn.example/show/main.mpd"
EXPECTED: dict[str, dict[str, Any]] = json.loads((DATA / "expected.json").read_text())
# name -> what we say of it, where mpd-parser reads on.
REFUSED: dict[str, tuple[type[PlaylistError], str]] = {
    "multiperiod": (PlaylistMalformed, r"initialization has \$Number\$"),  # it fills in 0, and gets a media segment
    "multiperiod-dynamic": (PlaylistMalformed, "no availabilityStartTime"),  # it takes 1970
}
ACCEPTED = sorted(EXPECTED.keys() - REFUSED.keys())


def read(name: str) -> Mpd:
    return parse((DATA / f"{name}.mpd").read_bytes(), URL)


def test_every_mpd_of_the_package_is_judged() -> None:
    assert {path.stem for path in DATA.glob("*.mpd")} == EXPECTED.keys()
    assert len(EXPECTED) == 17
    assert REFUSED.keys() <= EXPECTED.keys()


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_an_mpd_is_refused_for_the_right_reason(name: str) -> None:
    kind, message = REFUSED[name]
    with pytest.raises(kind, match=message):
        read(name)


@pytest.mark.parametrize("name", ACCEPTED)
def test_an_mpd_says_the_same_to_mpd_parser(name: str) -> None:
    mpd = read(name)
    ours = [
        playlist(mpd, period, adaptation_set.language, representation)
        for period in mpd.periods
        for adaptation_set in period.adaptation_sets
        for representation in adaptation_set.representations
    ]
    # It gives one playlist for each base URL.
    theirs = [their_playlist(each) for each in EXPECTED[name]["playlists"]]
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert one == other
    assert list(mpd.locations) == EXPECTED[name].get("locations", [])


# -- both sides in one form


class Time(float):
    """Microseconds, equal to one that was rounded otherwise."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, float) and abs(self - other) <= 1

    __hash__ = None  # type: ignore[assignment]


def playlist(mpd: Mpd, period: Period, language: str | None, of: Representation) -> dict[str, Any]:
    first, index = init_of(of), of.addressing.index
    return {
        "id": of.id,
        "bandwidth": of.bandwidth,
        "codecs": of.codecs,
        "size": (of.width, of.height),
        "rate": of.frame_rate and round(of.frame_rate, 3),
        "type": of.mime_type,
        "language": language,
        "period": period.start_us,
        "index": index and index.byte_range and (index.url, one_range(index.byte_range)),
        # It says nothing of files: those with an index are read by it later, those without are subtitles.
        "segments": []
        if (index and index.byte_range) or of.addressing.kind is AddressingKind.FILE
        else [
            {
                "uri": each.uri,
                "range": one_range(each.byte_range),
                "duration": Time(each.duration_us),
                "start": Time(each.start_us),
                "number": each.number,
                "map": section(first),
            }
            for each in segments_of(mpd, period, of, NOON_US)
        ],
    }


def their_playlist(said: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": said["id"],
        "bandwidth": said["bandwidth"],
        "codecs": said.get("codecs"),
        "size": (said.get("width"), said.get("height")),
        "rate": said.get("frameRate") and round(said["frameRate"], 3),
        "type": said.get("mimeType"),
        "language": said.get("lang"),
        "period": round(said["periodStart"] * 1_000_000),
        "index": said.get("sidx") and (None, tuple(said["sidx"][1])),
        "segments": [
            {
                "uri": each["uri"],
                "range": tuple(each["range"]) if each.get("range") else None,
                "duration": Time(each["duration"] * 1_000_000),
                "start": Time(each["start"] * 1_000_000),
                "number": each["number"],
                "map": their_section(each["map"], said["baseUrl"]),
            }
            for each in said["segments"]
        ],
    }


def section(ours: InitSection | None) -> tuple[str, tuple[int, int] | None] | None:
    return ours and (ours.uri, one_range(ours.byte_range))


def their_section(said: list[Any] | None, base_url: str) -> tuple[str, tuple[int, int] | None] | None:
    """Where an MPD names none, it takes the base URL for one; but text and transport streams need none."""
    if said is None or said == [base_url, None]:
        return None
    return said[0], said[1] and tuple(said[1])


def one_range(ours: ByteRange | None) -> tuple[int, int] | None:
    return None if ours is None else (ours.offset, ours.length)
