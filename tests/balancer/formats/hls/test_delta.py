"""Delta updates: the whole playlist that comes out is the one that the server did not send."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.errors import PlaylistMalformed, PlaylistTooLarge, PlaylistUnsupported
from shoal.balancer.formats.hls import Limits, MediaPlaylist, MediaSegment, parse, rewrite, skip_url

URL = "https://cdn.example/v/main.m3u8?token=1"
HEAD = "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:4\n#EXT-X-SERVER-CONTROL:CAN-SKIP-UNTIL=24\n"


def read(text: str, *, before: MediaPlaylist | None = None, url: str = URL, **limits: int) -> MediaPlaylist:
    playlist = parse(text.encode(), url, before=before, limits=Limits(**limits))
    assert isinstance(playlist, MediaPlaylist)
    return playlist


def without_lines(playlist: MediaPlaylist) -> list[MediaSegment]:
    return [msgspec.structs.replace(segment, line=0) for segment in playlist.segments]


def window(chunks: list[str], first: int, last: int, *, skipped: int = 0, discontinuities: int = 0) -> str:
    """The playlist of segments `first` to `last`, or the update of it that leaves out `skipped`."""
    text = HEAD + f"#EXT-X-MEDIA-SEQUENCE:{first}\n#EXT-X-DISCONTINUITY-SEQUENCE:{discontinuities}\n"
    if skipped:
        text += f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}\n"
    return text + "".join(chunks[first + skipped : last + 1])


PLAIN = [f"#EXTINF:4,\n{number}.m4s\n" for number in range(12)]


def test_the_skipped_segments_come_from_before() -> None:
    before = read(window(PLAIN, 2, 8))
    whole = read(window(PLAIN, 3, 10, skipped=4), before=before)
    assert [segment.uri for segment in whole.segments] == [
        f"https://cdn.example/v/{number}.m4s" for number in range(3, 11)
    ]
    assert [segment.sequence for segment in whole.segments] == list(range(3, 11))
    assert whole.layout.lines == read(window(PLAIN, 3, 10)).layout.lines


def test_an_update_of_an_update_is_whole_as_well() -> None:
    playlist = read(window(PLAIN, 0, 5))
    for first in range(1, 7):
        playlist = read(window(PLAIN, first, first + 5, skipped=3), before=playlist)
    assert without_lines(playlist) == without_lines(read(window(PLAIN, 6, 11)))


def test_keys_and_maps_that_slid_out_of_the_window_stay_in_force() -> None:
    chunks = list(PLAIN)
    chunks[0] = '#EXT-X-KEY:METHOD=AES-128,URI="k0"\n#EXT-X-MAP:URI="i0"\n#EXT-X-BITRATE:900\n' + chunks[0]
    chunks[1] = (
        '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://x",KEYFORMAT="drm"\n#EXT-X-KEY:METHOD=AES-128,URI="k1"\n' + chunks[1]
    )
    before = read(window(chunks, 0, 6))
    whole = read(window(chunks, 3, 8, skipped=3), before=before)
    for segment in whole.segments:
        assert {key.uri for key in segment.keys} == {"skd://x", "https://cdn.example/v/k1"}
        assert segment.map is not None
        assert segment.bitrate_kbps == 900


def test_what_an_update_says_again_does_not_pile_up() -> None:
    said = '#EXT-X-KEY:METHOD=AES-128,URI="k"\n#EXT-X-MAP:URI="i"\n'
    playlist = read(window([said + PLAIN[0], *PLAIN[1:]], 0, 5))
    for first in range(1, 5):
        update = window(PLAIN, first, first + 5, skipped=3)
        playlist = read(update.replace("SEGMENTS=3\n", f"SEGMENTS=3\n{said}"), before=playlist)
    assert [line.name for line in playlist.layout.lines].count("EXT-X-MAP") == 1
    assert [line.name for line in playlist.layout.lines].count("EXT-X-KEY") == 1
    assert all(segment.keys and segment.map for segment in playlist.segments)


def test_a_key_that_was_taken_back_does_not_come_back() -> None:
    chunks = list(PLAIN)
    chunks[0] = '#EXT-X-KEY:METHOD=AES-128,URI="k0"\n' + chunks[0]
    chunks[1] = "#EXT-X-KEY:METHOD=NONE\n" + chunks[1]
    whole = read(window(chunks, 3, 8, skipped=3), before=read(window(chunks, 0, 6)))
    assert not any(segment.keys for segment in whole.segments)


def test_a_range_that_follows_one_which_slid_out_keeps_its_offset() -> None:
    chunks = ["#EXTINF:4,\n#EXT-X-BYTERANGE:100@0\nall.ts\n"]
    chunks += ["#EXTINF:4,\n#EXT-X-BYTERANGE:100\nall.ts\n"] * 9
    whole = read(window(chunks, 3, 9, skipped=4), before=read(window(chunks, 0, 7)))
    assert [segment.byte_range.offset for segment in whole.segments if segment.byte_range] == list(
        range(300, 1000, 100)
    )


def test_unknown_tags_of_skipped_segments_survive_and_hints_do_not_pile_up() -> None:
    chunks = list(PLAIN)
    chunks[4] = "#EXT-X-CUE-OUT:30\n# a comment\n" + chunks[4]
    tail = '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="p"\n#EXT-X-RENDITION-REPORT:URI="r",LAST-MSN=8\n'
    before = read(window(chunks, 0, 6) + tail)
    whole = read(window(chunks, 1, 8, skipped=5) + tail, before=before)
    text = rewrite(whole, lambda kind, uri, part: uri).data.decode()
    assert text.count("#EXT-X-CUE-OUT:30\n# a comment\n") == 1
    assert len(whole.preload_hints) == len(whole.rendition_reports) == 1


def test_unknown_tags_of_the_whole_playlist_do_not_pile_up() -> None:
    def with_head(text: str) -> str:
        return text.replace("#EXT-X-MEDIA", "## a packager\n#EXT-X-ALLOW-CACHE:YES\n#EXT-X-MEDIA")

    playlist = read(with_head(window(PLAIN, 0, 5)))
    for last in range(6, 9):
        playlist = read(with_head(window(PLAIN, 0, last, skipped=4)), before=playlist)
    assert playlist.layout.lines == read(with_head(window(PLAIN, 0, 8))).layout.lines


@pytest.mark.parametrize(
    ("attribute", "left"),
    [
        ("", ["c"]),
        (',RECENTLY-REMOVED-DATERANGES=""', ["a", "b", "c"]),
        (',RECENTLY-REMOVED-DATERANGES="a\tx"', ["b", "c"]),
    ],
)
def test_date_ranges_of_skipped_segments_stay_where_the_update_skips_them(attribute: str, left: list[str]) -> None:
    chunks = list(PLAIN)
    for number, name in ((1, "a"), (3, "b")):
        chunks[number] = f'#EXT-X-DATERANGE:ID="{name}",START-DATE="2026-01-01T00:00:00Z"\n' + chunks[number]
    before = read(window(chunks, 0, 6))
    update = window(chunks, 1, 7, skipped=5).replace("=5\n", f"=5{attribute}\n")
    update += '#EXT-X-DATERANGE:ID="c",START-DATE="2026-01-01T00:00:00Z"\n'
    whole = read(update, before=before)
    assert re.findall('EXT-X-DATERANGE:ID="(.)"', rewrite(whole, lambda kind, uri, part: uri).data.decode()) == left


@pytest.mark.parametrize(
    ("first", "last", "skipped", "message"),
    [(3, 11, 8, "leaves out segments 3 to 10, and 2 to 8 are known"), (1, 9, 3, "leaves out segments 1 to 3")],
)
def test_an_update_that_does_not_join_is_refused(first: int, last: int, skipped: int, message: str) -> None:
    with pytest.raises(PlaylistUnsupported, match=message):
        read(window(PLAIN, first, last, skipped=skipped), before=read(window(PLAIN, 2, 8)))


def test_an_update_from_elsewhere_is_refused_since_names_would_mean_other_files() -> None:
    with pytest.raises(PlaylistUnsupported, match=r"known from https://cdn\.example/v/"):
        read(window(PLAIN, 3, 9, skipped=3), before=read(window(PLAIN, 2, 8)), url="https://other.example/v/main.m3u8")


def test_an_update_without_anything_before_is_refused() -> None:
    with pytest.raises(PlaylistUnsupported, match="_HLS_skip"):
        read(window(PLAIN, 3, 9, skipped=3))


@pytest.mark.parametrize("value", ["", "SKIPPED-SEGMENTS=x", "SKIPPED-SEGMENTS=-1", "X=1"])
def test_a_malformed_skip_is_malformed(value: str) -> None:
    with pytest.raises(PlaylistMalformed, match="EXT-X-SKIP"):
        read(f"{HEAD}#EXT-X-SKIP:{value}\n", before=read(window(PLAIN, 2, 8)))


def test_what_was_left_out_counts_for_the_limits() -> None:
    with pytest.raises(PlaylistTooLarge, match="lines_max"):
        read(window(PLAIN, 2, 8, skipped=6), before=read(window(PLAIN, 2, 8)), lines_max=15)


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("https://a.example/m.m3u8", "https://a.example/m.m3u8?_HLS_skip=YES"),
        ("https://a.example/m.m3u8?b=%2F&a=1", "https://a.example/m.m3u8?b=%2F&a=1&_HLS_skip=YES"),
    ],
)
def test_an_update_is_asked_for_behind_what_may_be_signed(url: str, asked: str) -> None:
    assert skip_url(url) == asked


@st.composite
def streams(draw: st.DrawFn) -> list[str]:
    chunks = []
    for number in range(12):
        chunk = ""
        if draw(st.booleans()):
            chunk += f'#EXT-X-MAP:URI="i{draw(st.integers(0, 2))}"\n'
        if draw(st.booleans()):
            chunk += draw(st.sampled_from(['#EXT-X-KEY:METHOD=AES-128,URI="k"\n', "#EXT-X-KEY:METHOD=NONE\n"]))
        if draw(st.booleans()):
            chunk += "#EXT-X-DISCONTINUITY\n"
        if draw(st.booleans()):
            chunk += "#EXT-X-GAP\n"
        chunk += f"#EXTINF:{draw(st.integers(1, 4))},t\n"
        chunk += draw(st.sampled_from(["", f"#EXT-X-BYTERANGE:{number + 1}@{number}\n"]))
        chunks.append(chunk + f"{number}.ts\n")
    return chunks


@given(streams(), st.integers(0, 4), st.integers(0, 4), st.integers(1, 5))
def test_any_update_gives_the_segments_of_the_whole_playlist(
    chunks: list[str], begin: int, slid: int, skipped: int
) -> None:
    before = read(window(chunks, begin, begin + 5))
    first = min(begin + slid, begin + 5)
    skipped = min(skipped, begin + 6 - first)
    gone = sum("DISCONTINUITY" in chunk for chunk in chunks[begin:first])
    head = window(chunks, first, 11, skipped=skipped, discontinuities=gone)
    whole = read(head, before=before)
    # What was in force at the beginning is what a whole playlist would have to say there again.
    expected = read(window(chunks, begin, 11)).segments[first - begin :]
    assert [msgspec.structs.replace(segment, line=0, place=0) for segment in whole.segments] == [
        msgspec.structs.replace(segment, line=0, place=0) for segment in expected
    ]
