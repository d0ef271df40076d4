"""Delta updates for players: what a player joins to what it has is the whole playlist that it was not sent."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.balancer.formats.hls.test_delta import read, without_lines

from shoal.balancer.errors import DirectiveRefused
from shoal.balancer.formats.hls import Limits, MediaPlaylist, update_of, wants_update
from shoal.balancer.formats.hls.delta import in_force
from shoal.balancer.formats.hls.tokenizer import tokenize

SECOND = 1_000_000
HEAD = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:4\n#EXT-X-SERVER-CONTROL:CAN-SKIP-UNTIL=24\n"
TAIL = (
    '#EXT-X-PART:DURATION=1,URI="p0"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI="p1"\n'
    '#EXT-X-RENDITION-REPORT:URI="r",LAST-MSN=8\n'
)
COUNT = 20
CHUNKS = [f"#EXTINF:4,\n/media/0/{number}/{number}.m4s\n" for number in range(COUNT)]


def whole(chunks: list[str], first: int, last: int, *, tail: str = TAIL) -> str:
    """The playlist of segments `first` to `last`, with what was in force when it begins."""
    gone = "".join(chunks[:first])
    said = "".join(f"{line.text}\n" for line in in_force(tokenize(f"#EXTM3U\n{gone}".encode()), Limits()))
    numbers = f"#EXT-X-MEDIA-SEQUENCE:{first}\n#EXT-X-DISCONTINUITY-SEQUENCE:{gone.count('#EXT-X-DISCONTINUITY')}\n"
    return HEAD + numbers + said + "".join(chunks[first : last + 1]) + tail


def dates(playlist: MediaPlaylist) -> list[str]:
    return sorted(line.text for line in playlist.layout.lines if line.name == "EXT-X-DATERANGE")


def skipped(update: str) -> int:
    return int(update.partition("SKIPPED-SEGMENTS=")[2].partition("\n")[0] or 0)


@st.composite
def streams(draw: st.DrawFn) -> list[str]:
    chunks = []
    for number in range(COUNT):
        before = [
            draw(st.sampled_from(["", "", *(f'#EXT-X-MAP:URI="i{n}"\n' for n in range(3))])),
            draw(
                st.sampled_from(
                    [
                        "",
                        "",
                        '#EXT-X-KEY:METHOD=AES-128,URI="k"\n',
                        '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://x",KEYFORMAT="drm"\n',
                        "#EXT-X-KEY:METHOD=NONE\n",
                    ]
                )
            ),
            draw(
                st.sampled_from(["", "#EXT-X-DISCONTINUITY\n", "#EXT-X-GAP\n", "#EXT-X-BITRATE:900\n", "# a comment\n"])
            ),
            draw(st.sampled_from(["", f'#EXT-X-DATERANGE:ID="{number}",START-DATE="2026-01-01T00:00:00Z"\n'])),
        ]
        extinf = f"#EXTINF:{draw(st.integers(1, 4))}.{draw(st.integers(0, 99)):02},t\n"
        chunks.append("".join([*draw(st.permutations(before)), extinf, f"{number}.m4s\n"]))
    return chunks


@given(streams(), st.integers(0, 6), st.integers(6, 12), st.integers(0, 4), st.integers(1, 20))
def test_joined_to_what_the_player_has_an_update_is_the_whole_playlist(
    chunks: list[str], begin: int, length: int, slid: int, boundary_s: int
) -> None:
    before = read(whole(chunks, begin, begin + length))
    last = min(COUNT - 1, begin + slid + length)
    text = whole(chunks, begin + slid, last)
    expected = read(text)
    update = update_of(text, boundary_s * SECOND)
    # Who asks has loaded it within half the boundary, and so knows all that lies beyond the boundary.
    assume(skipped(update) <= length + 1 - slid)
    joined = read(update, before=before)
    assert without_lines(joined) == without_lines(expected)
    assert dates(joined) == dates(expected)
    assert [part.uri for part in joined.parts] == [part.uri for part in expected.parts]
    assert joined.preload_hints == expected.preload_hints
    assert joined.rendition_reports == expected.rendition_reports


@given(streams(), st.integers(1, 40))
def test_what_is_left_out_is_all_that_lies_beyond_the_boundary_and_no_more(chunks: list[str], boundary_s: int) -> None:
    text = whole(chunks, 0, COUNT - 1)
    segments = read(text).segments
    update = update_of(text, boundary_s * SECOND)
    assume(update != text)
    left_out = skipped(update)
    assert sum(segment.duration_us for segment in segments[left_out:]) >= boundary_s * SECOND
    assert sum(segment.duration_us for segment in segments[left_out + 1 :]) < boundary_s * SECOND


def test_an_update_has_the_head_what_is_in_force_and_the_segments_within_the_boundary() -> None:
    chunks = ['#EXT-X-KEY:METHOD=AES-128,URI="k"\n#EXT-X-MAP:URI="i"\n' + CHUNKS[0], *CHUNKS[1:]]
    assert update_of(whole(chunks, 2, 9), 24 * SECOND).splitlines() == [
        "#EXTM3U",
        "#EXT-X-VERSION:9",
        "#EXT-X-TARGETDURATION:4",
        "#EXT-X-SERVER-CONTROL:CAN-SKIP-UNTIL=24",
        "#EXT-X-MEDIA-SEQUENCE:2",
        "#EXT-X-DISCONTINUITY-SEQUENCE:0",
        "#EXT-X-SKIP:SKIPPED-SEGMENTS=2",
        '#EXT-X-KEY:METHOD=AES-128,URI="k"',
        '#EXT-X-MAP:URI="i"',
        *"".join(CHUNKS[4:10]).splitlines(),
        *TAIL.splitlines(),
    ]


def test_a_window_within_the_boundary_and_a_stream_that_has_ended_are_given_whole() -> None:
    text = whole(CHUNKS, 2, 7)
    assert update_of(text, 24 * SECOND) == text
    ended = whole(CHUNKS, 2, 19, tail="#EXT-X-ENDLIST\n")
    assert update_of(ended, 24 * SECOND) == ended


@pytest.mark.parametrize(("version", "said"), [("", 9), ("#EXT-X-VERSION:3\n", 9), ("#EXT-X-VERSION:12\n", 12)])
def test_an_update_is_of_a_version_that_knows_updates(version: str, said: int) -> None:
    text = whole(CHUNKS, 0, 9).replace("#EXT-X-VERSION:6\n", version)
    assert f"#EXT-X-VERSION:{said}\n" in update_of(text, 24 * SECOND)
    assert update_of(text, 24 * SECOND).startswith("#EXTM3U\n")


def test_tags_of_the_whole_playlist_stay_wherever_they_stand() -> None:
    chunks = [CHUNKS[0], "#EXT-X-INDEPENDENT-SEGMENTS\n#EXT-X-CUE-OUT:30\n" + CHUNKS[1], *CHUNKS[2:]]
    update = update_of(whole(chunks, 0, 9), 24 * SECOND)
    assert "#EXT-X-INDEPENDENT-SEGMENTS" in update
    assert "CUE-OUT" not in update


def test_line_ends_of_other_systems_are_line_ends() -> None:
    text = whole(CHUNKS, 0, 9)
    assert update_of(text.replace("\n", "\r\n"), 24 * SECOND) == update_of(text, 24 * SECOND)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("", False),
        ("_HLS_msn=3", False),
        ("_HLS_skip=YES", True),
        ("_HLS_msn=3&_HLS_part=0&_HLS_skip=v2", True),
        ("_HLS_skip=NO", False),
        ("_HLS_skip=yes", False),
        ("_HLS_skip=", False),
        ("x_HLS_skip=YES", False),
    ],
)
def test_a_query_asks_for_an_update_or_does_not(query: str, wanted: bool) -> None:
    assert wants_update(query) is wanted


def test_a_query_of_a_thousand_fields_is_refused() -> None:
    with pytest.raises(DirectiveRefused, match="64 fields"):
        wants_update("_HLS_skip=YES&" + "&".join(f"a{n}=1" for n in range(1_000)))
