"""Sixty playlists of others, with what m3u8-parser makes of them: the same, or a refusal whose reason is right.

The openm3u8 and m3u8 packages read those that we accept as well, and must agree
on segments where they do.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest

from shoal.balancer.errors import NotAPlaylist, PlaylistError, PlaylistMalformed, PlaylistUnsupported
from shoal.balancer.formats.hls import MediaPlaylist, MediaSegment, Multivariant, Part, parse
from shoal.balancer.model import ByteRange

DATA = Path(__file__).parents[3] / "data" / "m3u8_parser"
URL = "https://cdn.example/v/main.m3u8"
EXPECTED: dict[str, dict[str, Any]] = json.loads((DATA / "expected.json").read_text())

NO_TIME_S = 0.01  # what m3u8-parser puts in place of a duration of 0, for a player's sake

# name -> what we say of it.  m3u8-parser reads on after each of these, and a player that does may play the wrong thing.
REFUSED: dict[str, tuple[type[PlaylistError], str]] = {
    "byteRange": (PlaylistMalformed, "no offset, and the segment before is no range of the same file"),
    "empty": (NotAPlaylist, "is empty"),
    "emptyMediaSequence": (PlaylistMalformed, "EXT-X-MEDIA-SEQUENCE is ''"),
    "emptyPlaylistType": (PlaylistMalformed, "EXT-X-PLAYLIST-TYPE is ''"),
    "emptyTargetDuration": (PlaylistMalformed, "a media playlist or a multivariant playlist, not both"),
    "extXPlaylistTypeInvalidPlaylist": (PlaylistMalformed, "EXT-X-PLAYLIST-TYPE is 'STRING'"),
    "extinf": (PlaylistMalformed, "EXTINF is ';asljasdfii11\\)\\)\\)00'"),
    "headerOnly": (PlaylistMalformed, "names neither variants nor segments"),
    "invalidMediaSequence": (PlaylistMalformed, "EXT-X-MEDIA-SEQUENCE is 'gobblegobble'"),
    "invalidPlaylistType": (PlaylistMalformed, "EXT-X-PLAYLIST-TYPE is 'asdRASDfasdR'"),
    "invalidTargetDuration": (PlaylistMalformed, "EXT-X-TARGETDURATION is 'NaN'"),
    "liveMissingSegmentDuration": (PlaylistMalformed, "without an EXTINF before it"),
    "llhls-byte-range": (PlaylistMalformed, "EXT-X-BYTERANGE is '587500@'"),
    "llhls-delta-byte-range": (PlaylistUnsupported, "a delta update, which leaves segments out"),
    "llhlsDelta": (PlaylistMalformed, "at 'RECENTLY-REMOVED-DATERANGES=foo"),  # without quotes
    "manifestExtTTargetdurationNegative": (PlaylistMalformed, "EXT-X-TARGETDURATION is '-10'"),
    "manifestNoExtM3u": (NotAPlaylist, "not with #EXTM3U"),
    "master": (NotAPlaylist, "not with #EXTM3U"),
    "missingExtinf": (PlaylistMalformed, "without an EXTINF before it"),
    "missingSegmentDuration": (PlaylistMalformed, "without an EXTINF before it"),
    "multipleTargetDurations": (PlaylistMalformed, "without an EXTINF before it"),
    "negativeMediaSequence": (PlaylistMalformed, "EXT-X-MEDIA-SEQUENCE is '-11'"),
    "start": (NotAPlaylist, "not with #EXTM3U"),
    "streamInfInvalid": (NotAPlaylist, "not with #EXTM3U"),
    "twoMediaSequences": (PlaylistMalformed, "EXT-X-MEDIA-SEQUENCE is in line 3 already"),
    "versionInvalid": (PlaylistMalformed, "EXT-X-VERSION is 'NaN'"),
}
ACCEPTED = sorted(EXPECTED.keys() - REFUSED.keys())


def body(name: str) -> bytes:
    return (DATA / f"{name}.m3u8").read_bytes()


def test_every_playlist_of_the_package_is_judged() -> None:
    assert {path.stem for path in DATA.glob("*.m3u8")} == EXPECTED.keys()
    assert len(EXPECTED) == 60
    assert REFUSED.keys() <= EXPECTED.keys()


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_playlist_is_refused_for_the_right_reason(name: str) -> None:
    kind, message = REFUSED[name]
    with pytest.raises(kind, match=message):
        parse(body(name), URL)


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_playlist_says_the_same_to_m3u8_parser(name: str) -> None:
    ours = parse(body(name), URL)
    theirs = EXPECTED[name]
    if isinstance(ours, Multivariant):
        assert variants(ours) == [their_variant(variant) for variant in theirs["playlists"]]
        assert renditions(ours) == their_renditions(theirs["mediaGroups"])
        return
    assert whole(ours) == their_whole(theirs)
    assert [segment(each, ours) for each in ours.segments] == [
        their_segment(each, ours.discontinuity_sequence) for each in theirs["segments"]
    ]


@pytest.mark.parametrize("package", ["m3u8", "openm3u8"])
def test_a_playlist_has_the_same_segments_in_two_packages_more(package: str) -> None:
    module = pytest.importorskip(package)
    compared = 0
    for name in ACCEPTED:
        ours = parse(body(name), URL)
        if not isinstance(ours, MediaPlaylist):
            continue
        try:
            theirs = module.loads(body(name).decode(), uri=URL)
        except (ValueError, KeyError, TypeError):  # it gives up where m3u8-parser and we do not
            continue
        compared += 1
        complete = [each for each in theirs.segments if each.uri is not None]  # else it has parts only, so far
        assert [each.uri for each in ours.segments] == [each.absolute_uri for each in complete], name
        for one, other in zip(ours.segments, complete, strict=True):
            assert math.isclose(one.duration_us / 1e6, other.duration, abs_tol=1e-6), name
            assert one.is_discontinuity == other.discontinuity, name
    assert compared >= 20


# -- both sides in one form


def variants(ours: Multivariant) -> list[dict[str, Any]]:
    return [
        {
            "uri": variant.uri,
            "BANDWIDTH": variant.bandwidth,
            "CODECS": variant.codecs,
            "RESOLUTION": variant.resolution and (variant.resolution.width, variant.resolution.height),
            "AUDIO": variant.audio,
            "VIDEO": variant.video,
            "SUBTITLES": variant.subtitles,
        }
        for variant in ours.variants
    ]


def their_variant(variant: dict[str, Any]) -> dict[str, Any]:
    said = variant["attributes"]
    size = said.get("RESOLUTION")
    return {
        "uri": urljoin(URL, variant["uri"]),
        "BANDWIDTH": said["BANDWIDTH"],
        "CODECS": said.get("CODECS"),
        "RESOLUTION": size and (size["width"], size["height"]),
        "AUDIO": said.get("AUDIO"),
        "VIDEO": said.get("VIDEO"),
        "SUBTITLES": said.get("SUBTITLES"),
    }


def renditions(ours: Multivariant) -> dict[tuple[str, str, str], tuple[Any, ...]]:
    return {
        (each.type, each.group_id, each.name): (each.uri, each.language, each.is_default, each.is_autoselect)
        for each in ours.renditions
    }


def their_renditions(groups: dict[str, Any]) -> dict[tuple[str, str, str], tuple[Any, ...]]:
    return {
        (kind, group, name): (
            urljoin(URL, said["uri"]) if "uri" in said else None,
            said.get("language"),
            said["default"],
            said["autoselect"],
        )
        for kind, named in groups.items()
        for group, entries in named.items()
        for name, said in entries.items()
    }


def whole(ours: MediaPlaylist) -> dict[str, Any]:
    control = ours.server_control
    return {
        "target": ours.target_duration_us,
        "sequence": ours.media_sequence,
        "discontinuity": ours.discontinuity_sequence,
        "type": ours.playlist_type,
        "end": ours.has_end,
        "part target": ours.part_target_us,
        "blocks": control.can_block_reload if control else False,
        "skips": control.can_skip_until_us if control else None,
        "holds": control.part_hold_back_us if control else None,
        "parts": [part(each) for each in ours.parts],
        "hints": [
            (hint.type, hint.uri, hint.byte_count and (hint.first_byte, hint.byte_count)) for hint in ours.preload_hints
        ],
        "reports": [(report.uri, report.last_sequence, report.last_part) for report in ours.rendition_reports],
    }


def their_whole(theirs: dict[str, Any]) -> dict[str, Any]:
    control, coming = theirs.get("serverControl", {}), theirs.get("preloadSegment", {})
    kind = theirs.get("playlistType")
    return {
        "target": us(theirs.get("targetDuration")),
        "sequence": theirs["mediaSequence"],
        "discontinuity": theirs["discontinuitySequence"],
        "type": kind,
        "end": theirs.get("endList", False),
        "part target": us(theirs.get("partTargetDuration")),
        "blocks": control.get("canBlockReload", False),
        "skips": us(control.get("canSkipUntil")),
        "holds": us(control.get("partHoldBack")),
        "parts": [their_part(each) for each in coming.get("parts", [])],
        "hints": [
            (hint["type"], urljoin(URL, hint["uri"]), their_range(hint))
            for hint in coming.get("preloadHints", [])
            if hint["type"] in {"PART", "MAP"}
        ],
        "reports": [
            (urljoin(URL, report["uri"]), report["lastMsn"], report["lastPart"])
            for report in theirs.get("renditionReports", [])
        ],
    }


def segment(ours: MediaSegment, playlist: MediaPlaylist) -> dict[str, Any]:
    key = next((key for key in ours.keys if key.key_format == "identity"), None)
    return {
        "uri": ours.uri,
        "duration": ours.duration_us,
        "range": one_range(ours.byte_range),
        "discontinuity": ours.is_discontinuity,
        "timeline": ours.discontinuity_sequence,
        "title": ours.title,
        "map": ours.map and (ours.map.uri, one_range(ours.map.byte_range)),
        "key": key and (key.method, key.uri, key.iv and int(key.iv, 16)),
        "parts": [part(each) for each in ours.parts],
    }


def their_segment(theirs: dict[str, Any], discontinuity_sequence: int) -> dict[str, Any]:
    first, key = theirs.get("map"), theirs.get("key")
    return {
        "uri": urljoin(URL, theirs["uri"]),
        "duration": 0 if theirs["duration"] == NO_TIME_S else us(theirs["duration"]),
        "range": their_range(theirs),
        "discontinuity": theirs.get("discontinuity", False),
        "timeline": theirs["timeline"],
        "title": theirs.get("title", ""),
        "map": first and (urljoin(URL, first["uri"]), their_range(first)),
        "key": key and (key["method"], urljoin(URL, key["uri"]), number(key["iv"]) if "iv" in key else None),
        "parts": [their_part(each) for each in theirs.get("parts", [])],
    }


def part(ours: Part) -> tuple[Any, ...]:
    return ours.uri, ours.duration_us, one_range(ours.byte_range), ours.is_independent


def their_part(theirs: dict[str, Any]) -> tuple[Any, ...]:
    return urljoin(URL, theirs["uri"]), us(theirs["duration"]), their_range(theirs), theirs.get("independent", False)


def one_range(ours: ByteRange | None) -> tuple[int, int] | None:
    return None if ours is None else (ours.offset, ours.length)


def their_range(theirs: dict[str, Any]) -> tuple[int, int] | None:
    said = theirs.get("byterange")
    return None if said is None else (said["offset"], said["length"])


def us(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1_000_000)


def number(words: list[int]) -> int:
    """Four words of 32 bits, the highest first."""
    return sum(word << shift for word, shift in zip(words, (96, 64, 32, 0), strict=True))
