"""The same playlists read by the m3u8 package, which many use; where both accept one, they must agree."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.formats.hls import MediaPlaylist, Multivariant, parse

m3u8 = pytest.importorskip("m3u8")

DATA = Path(__file__).parents[3] / "data" / "p2pml"
URL = "https://cdn.example/v/main.m3u8"


def both(text):
    return parse(text.encode(), URL), m3u8.loads(text, uri=URL)


def written_range(part):
    return None if part is None else f"{part.length}@{part.offset}"


def assert_same_media(text):
    ours, theirs = both(text)
    assert isinstance(ours, MediaPlaylist)
    assert ours.target_duration_us == theirs.target_duration * 1_000_000
    assert ours.media_sequence == theirs.media_sequence
    assert ours.has_end == theirs.is_endlist
    assert [segment.uri for segment in ours.segments] == [segment.absolute_uri for segment in theirs.segments]
    assert [segment.duration_us for segment in ours.segments] == [
        round(segment.duration * 1_000_000) for segment in theirs.segments
    ]
    assert [written_range(segment.byte_range) for segment in ours.segments] == [
        segment.byterange for segment in theirs.segments
    ]
    assert [segment.is_discontinuity for segment in ours.segments] == [
        segment.discontinuity for segment in theirs.segments
    ]
    assert [segment.map and segment.map.uri for segment in ours.segments] == [
        segment.init_section and segment.init_section.absolute_uri for segment in theirs.segments
    ]
    assert [segment.keys[0].uri if segment.keys else None for segment in ours.segments] == [
        segment.key and segment.key.absolute_uri for segment in theirs.segments
    ]


def test_a_recorded_media_playlist_says_the_same_to_both():
    assert_same_media((DATA / "v1.m3u8").read_text())


def test_a_recorded_multivariant_playlist_says_the_same_to_both():
    ours, theirs = both((DATA / "master.m3u8").read_text())
    assert isinstance(ours, Multivariant)
    for variant, other in zip(ours.variants, theirs.playlists, strict=True):
        assert variant.uri == other.absolute_uri
        assert variant.bandwidth == other.stream_info.bandwidth
        assert variant.codecs == other.stream_info.codecs
        assert variant.resolution is not None
        assert (variant.resolution.width, variant.resolution.height) == other.stream_info.resolution


@st.composite
def playlists(draw):
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-TARGETDURATION:10"]
    lines.append(f"#EXT-X-MEDIA-SEQUENCE:{draw(st.integers(0, 10**6))}")
    for n in range(draw(st.integers(1, 6))):
        if draw(st.booleans()):
            lines.append(f'#EXT-X-MAP:URI="init{draw(st.integers(0, 2))}.mp4"')
        if draw(st.booleans()):
            lines.append(f'#EXT-X-KEY:METHOD=AES-128,URI="key{draw(st.integers(0, 2))}"')
        if draw(st.booleans()):
            lines.append("#EXT-X-DISCONTINUITY")
        lines.append(f"#EXTINF:{draw(st.integers(0, 10))}.{draw(st.integers(0, 999_999)):06},")
        if draw(st.booleans()):
            lines.append(f"#EXT-X-BYTERANGE:{draw(st.integers(1, 10**6))}@{draw(st.integers(0, 10**6))}")
        lines.append(draw(st.sampled_from([f"{n}.ts", f"../{n}.ts?a=b", f"https://b.example/{n}.ts"])))
    if draw(st.booleans()):
        lines.append("#EXT-X-ENDLIST")
    return "\n".join([*lines, ""])


@given(playlists())
def test_any_plain_media_playlist_says_the_same_to_both(text):
    assert_same_media(text)
