"""Playlists to values: the examples of RFC 8216, section 8, the rules that players depend on, and hostile input."""

import contextlib
from pathlib import Path
from urllib.parse import urljoin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.errors import (
    ConfigurationError,
    PlaylistError,
    PlaylistMalformed,
    PlaylistTooLarge,
    PlaylistUnsupported,
)
from shoal.balancer.formats.hls import Limits, MediaPlaylist, Multivariant, parse
from shoal.balancer.formats.hls.attributes import Resolution
from shoal.balancer.formats.hls.playlist import InitSection, Key, Start, UnknownTag
from shoal.balancer.model import ByteRange

DATA = Path(__file__).parents[3] / "data" / "p2pml"
URL = "https://cdn.example/show/main.m3u8?token=secret"

# The examples of RFC 8216, 8.1 to 8.8, each in a file called after its heading.
RFC = {path.stem: path.read_text() for path in sorted((Path(__file__).parent / "rfc8216").glob("*.m3u8"))}
REAL = [(DATA / name).read_text() for name in ("master.m3u8", "v1.m3u8")]


def media(text, url=URL, **options):
    playlist = parse(text.encode(), url, **options)
    assert isinstance(playlist, MediaPlaylist)
    return playlist


def multivariant(text):
    playlist = parse(text.encode(), URL)
    assert isinstance(playlist, Multivariant)
    return playlist


def of(*lines):
    """A media playlist of these lines."""
    return "\n".join(["#EXTM3U", "#EXT-X-TARGETDURATION:10", *lines, ""])


def refusal(text, kind=PlaylistMalformed, **options):
    with pytest.raises(kind) as caught:
        parse(text.encode(), URL, **options)
    return caught.value


def test_a_simple_media_playlist():
    playlist = media(RFC["simple"])
    assert not playlist.is_live
    assert playlist.version == 3
    assert playlist.target_duration_us == 10_000_000
    assert [segment.duration_us for segment in playlist.segments] == [9_009_000, 9_009_000, 3_003_000]
    assert playlist.duration_us == 21_021_000
    assert playlist.segments[2].uri == "http://media.example.com/third.ts"


def test_a_live_media_playlist():
    playlist = media(RFC["live"])
    assert playlist.is_live
    assert [segment.sequence for segment in playlist.segments] == [2680, 2681, 2682]
    assert [segment.place for segment in playlist.segments] == [0, 1, 2]


def test_an_encrypted_media_playlist():
    keys = [segment.keys for segment in media(RFC["encrypted"]).segments]
    first, second = (Key(method="AES-128", uri=f"https://priv.example.com/key.php?r={r}") for r in (52, 53))
    assert keys == [(first,), (first,), (first,), (second,)]


def test_a_multivariant_playlist():
    variants = multivariant(RFC["master"]).variants
    assert [variant.bandwidth for variant in variants] == [1_280_000, 2_560_000, 7_680_000, 65_000]
    assert [variant.average_bandwidth for variant in variants] == [1_000_000, 2_000_000, 6_000_000, None]
    assert variants[3].codecs == "mp4a.40.5"
    assert variants[3].uri == "http://example.com/audio-only.m3u8"


def test_a_multivariant_playlist_with_i_frames():
    playlist = multivariant(RFC["i_frames"])
    assert [stream.uri for stream in playlist.i_frame_streams] == [
        "https://cdn.example/show/low/iframe.m3u8",
        "https://cdn.example/show/mid/iframe.m3u8",
    ]
    assert [stream.bandwidth for stream in playlist.i_frame_streams] == [86_000, 150_000]
    assert len(playlist.variants) == 2


def test_a_multivariant_playlist_with_alternative_audio():
    playlist = multivariant(RFC["alternative_audio"])
    assert [rendition.name for rendition in playlist.renditions] == ["English", "Deutsch", "Commentary"]
    assert [rendition.is_default for rendition in playlist.renditions] == [True, False, False]
    assert [rendition.is_autoselect for rendition in playlist.renditions] == [True, True, False]
    assert playlist.renditions[1].uri == "https://cdn.example/show/main/german-audio.m3u8"
    assert {variant.audio for variant in playlist.variants} == {"aac"}


def test_a_multivariant_playlist_with_session_data():
    lyrics, title = multivariant(RFC["session_data"]).session_data
    assert (lyrics.uri, lyrics.value) == ("https://cdn.example/show/lyrics.json", None)
    assert (title.uri, title.value, title.language) == (None, "This is an example", "en")


def test_recorded_playlists():
    master, rendition = REAL
    assert [variant.resolution for variant in multivariant(master).variants] == [
        Resolution(640, 360),
        Resolution(320, 180),
    ]
    playlist = media(rendition)
    assert len(playlist.segments) == 30
    assert playlist.duration_us == 60_000_000
    assert {segment.map for segment in playlist.segments} == {
        InitSection(uri="https://cdn.example/show/init_1.mp4"),
    }


def test_all_of_a_variant_is_read():
    [variant] = multivariant(
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=5,SCORE=1.5,FRAME-RATE=59.940,VIDEO-RANGE=PQ,HDCP-LEVEL=TYPE-1,"
        'SUPPLEMENTAL-CODECS="dvh1.08.07/db4h",VIDEO="v",SUBTITLES="s",CLOSED-CAPTIONS=NONE,PATHWAY-ID="cdn-b",'
        'STABLE-VARIANT-ID="x"\nv.m3u8\n'
    ).variants
    assert (variant.score, variant.frame_rate, variant.video_range, variant.hdcp_level) == (1.5, 59.94, "PQ", "TYPE-1")
    assert (variant.video, variant.subtitles, variant.closed_captions) == ("v", "s", "NONE")
    assert (variant.supplemental_codecs, variant.stable_variant_id) == ("dvh1.08.07/db4h", "x")
    assert variant.pathway_id == "cdn-b"


def test_a_playlist_is_live_until_it_ends_or_says_vod():
    assert media(of("#EXTINF:4,", "a")).is_live
    assert media(of("#EXT-X-PLAYLIST-TYPE:EVENT", "#EXTINF:4,", "a")).is_live
    assert not media(of("#EXT-X-PLAYLIST-TYPE:VOD", "#EXTINF:4,", "a")).is_live
    assert not media(of("#EXTINF:4,", "a", "#EXT-X-ENDLIST")).is_live


def test_a_live_playlist_may_have_no_segment_yet():
    assert media(of()).segments == ()


@pytest.mark.parametrize(
    ("written", "absolute"),
    [
        ("a.ts", "https://cdn.example/show/a.ts"),
        ("../a.ts?x=1", "https://cdn.example/a.ts?x=1"),
        ("/a.ts", "https://cdn.example/a.ts"),
        ("//other.example/a.ts", "https://other.example/a.ts"),
        ("HTTP://other.example/a.ts", "http://other.example/a.ts"),
        ("?part=1", "https://cdn.example/show/main.m3u8?part=1"),
        ("  a.ts  ", "https://cdn.example/show/a.ts"),
    ],
)
def test_uris_are_resolved_against_the_playlist(written, absolute):
    assert media(of("#EXTINF:4,", written)).segments[0].uri == absolute


@pytest.mark.parametrize("uri", ["file:///etc/passwd", "ftp://x/a", "data:video/mp4;base64,AAAA", "javascript:1"])
def test_segments_of_other_schemes_are_refused(uri):
    assert "use http or https" in str(refusal(of("#EXTINF:4,", uri), PlaylistUnsupported))


@pytest.mark.parametrize("uri", ["http://[", "http://[::1/a", "http:///a"])
def test_uris_that_cannot_be_read_are_refused(uri):
    assert refusal(of("#EXTINF:4,", uri)).line == 4


def test_keys_of_other_schemes_pass_through():
    [segment] = media(
        of(
            '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://key",KEYFORMAT="com.apple.streamingkeydelivery"',
            '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="data:text/plain;base64,AAAA",KEYFORMAT="urn:uuid:edef8ba9"',
            "#EXTINF:4,",
            "a",
        )
    ).segments
    assert [key.uri for key in segment.keys] == ["skd://key", "data:text/plain;base64,AAAA"]


def test_a_key_replaces_the_one_of_its_format_and_none_ends_all():
    segments = media(
        of(
            '#EXT-X-KEY:METHOD=AES-128,URI="k1",IV=0x0000000000000000000000000000000A',
            '#EXT-X-KEY:METHOD=AES-128,URI="o1",KEYFORMAT="other"',
            "#EXTINF:4,",
            "a",
            '#EXT-X-KEY:METHOD=AES-128,URI="k2"',
            "#EXTINF:4,",
            "b",
            "#EXT-X-KEY:METHOD=NONE",
            "#EXTINF:4,",
            "c",
        )
    ).segments
    assert [[key.uri.rpartition("/")[2] for key in segment.keys] for segment in segments] == [
        ["k1", "o1"],
        ["k2", "o1"],
        [],
    ]


def test_a_byte_range_without_offset_follows_the_one_before():
    segments = media(
        of(
            *("#EXTINF:4,", "#EXT-X-BYTERANGE:100@50", "a"),
            *("#EXT-X-BYTERANGE:30", "#EXTINF:4,", "a"),
            *("#EXTINF:4,", "#EXT-X-BYTERANGE:5", "a"),
        )
    ).segments
    assert [segment.byte_range for segment in segments] == [ByteRange(50, 100), ByteRange(150, 30), ByteRange(180, 5)]


@pytest.mark.parametrize(
    "before",
    [(), ("#EXTINF:4,", "a"), ("#EXTINF:4,", "#EXT-X-BYTERANGE:5@0", "other")],
    ids=["nothing before", "a whole file before", "another file before"],
)
def test_a_byte_range_that_follows_nothing_is_refused(before):
    error = refusal(of(*before, "#EXTINF:4,", "#EXT-X-BYTERANGE:5", "a"))
    assert "write 5@OFFSET" in str(error)
    assert error.line == 4 + len(before)


def test_an_initialization_section_counts_from_its_line_on():
    segments = media(
        of(
            *("#EXTINF:4,", "a"),
            *('#EXT-X-MAP:URI="one.mp4",BYTERANGE="600@20"', "#EXTINF:4,", "b"),
            *('#EXT-X-MAP:URI="one.mp4",BYTERANGE="700"', "#EXTINF:4,", "c"),
        )
    ).segments
    uri = "https://cdn.example/show/one.mp4"
    assert [segment.map for segment in segments] == [
        None,
        InitSection(uri=uri, byte_range=ByteRange(20, 600)),
        InitSection(uri=uri, byte_range=ByteRange(0, 700)),
    ]


def test_discontinuities_gaps_dates_and_titles_belong_to_the_next_segment():
    first, second, third = media(
        of(
            *("#EXT-X-DISCONTINUITY-SEQUENCE:7", "#EXTINF:4,A title, with comma", "a"),
            *("#EXT-X-DISCONTINUITY", "#EXT-X-GAP", "#EXTINF:4", "b"),
            *("#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:00:01Z", "#EXT-X-BITRATE:800", "#EXTINF:4,", "c"),
        )
    ).segments
    assert (first.title, first.discontinuity_sequence, first.is_gap) == ("A title, with comma", 7, False)
    assert (second.is_discontinuity, second.discontinuity_sequence, second.is_gap) == (True, 8, True)
    assert (third.is_discontinuity, third.discontinuity_sequence, third.is_gap) == (False, 8, False)
    assert (third.program_date_time_us, third.bitrate_kbps) == (1_000_000, 800)
    assert second.program_date_time_us is None


def test_start_and_flags_are_read():
    playlist = media(of("#EXT-X-START:TIME-OFFSET=-12.5,PRECISE=YES", "#EXT-X-INDEPENDENT-SEGMENTS"))
    assert playlist.start == Start(-12_500_000, is_precise=True)
    assert playlist.is_independent
    assert media(of("#EXT-X-I-FRAMES-ONLY")).is_i_frames_only


def test_unknown_tags_are_kept_and_comments_are_not():
    playlist = media(of("#EXT-X-CUE-OUT:DURATION=30", "# comment", "#EXTINF:4,", "a", "#EXT-VENDOR"))
    assert playlist.unknown_tags == (UnknownTag("EXT-X-CUE-OUT", "DURATION=30", 3), UnknownTag("EXT-VENDOR", "", 7))


def test_carriage_returns_change_nothing():
    left, right = media(RFC["encrypted"]), media(RFC["encrypted"].replace("\n", "\r\n"))
    assert left.segments == right.segments


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("#EXTM3U\n", None, "names neither variants nor segments"),
        ("#EXTM3U\na.ts\n", None, "names neither variants nor segments"),
        ("#EXTM3U\n#EXTINF:4,\na\n", None, "EXT-X-TARGETDURATION"),
        (of("a"), 3, "without an EXTINF"),
        (of("#EXTINF:4,"), 3, "cut off"),
        (of("#EXTINF:4,", "#EXTINF:5,", "a"), 4, "second EXTINF"),
        (of("#EXTINF:-1,Channel", "a"), 3, "not HLS"),
        (of("#EXTINF:four,", "a"), 3, "'four'"),
        (of("#EXT-X-TARGETDURATION:9"), 3, "in line 2 already"),
        (of("#EXTINF:4,", "a", "#EXT-X-MEDIA-SEQUENCE:5"), 5, "before the first segment"),
        (of("#EXT-X-PLAYLIST-TYPE:LIVE"), 3, "write VOD, EVENT"),
        (of("#EXT-X-KEY:METHOD=AES-128"), 3, "has no URI"),
        (of('#EXT-X-KEY:METHOD=AES-128,URI="k",IV=0x' + "0" * 33), 3, "at most 32"),
        (of('#EXT-X-MAP:BYTERANGE="5@0"'), 3, "has no URI"),
        (of('#EXT-X-MAP:URI=""'), 3, "empty URI"),
        (of("#EXTM3U"), 3, "second EXTM3U"),
        (of("#EXT-X-STREAM-INF:BANDWIDTH=1", "v"), 2, "not both"),
        ("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n", 2, "cut off"),
        ("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n#EXT-X-STREAM-INF:BANDWIDTH=2\nv\n", 2, "no URI line"),
        ('#EXTM3U\n#EXT-X-STREAM-INF:CODECS="x"\nv\n', 2, "has no BANDWIDTH"),
        ("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv\nw\n", 4, "without an EXT-X-STREAM-INF"),
        ('#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,NAME="x"\n', 2, "has no GROUP-ID"),
        ("#EXTM3U\n#EXT-X-SESSION-KEY:METHOD=NONE\n", 2, "METHOD=NONE"),
    ],
)
def test_what_breaks_the_rules_is_refused_with_its_line(text, line, words):
    error = refusal(text)
    assert words in str(error)
    assert error.line == line


def test_a_delta_update_is_refused_since_its_segments_are_not_all_there():
    text = of("#EXT-X-SKIP:SKIPPED-SEGMENTS=3", "#EXTINF:4,", "d")
    assert "_HLS_skip" in str(refusal(text, PlaylistUnsupported))


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        (Limits(segments_max=1), of("#EXTINF:4,", "a", "#EXTINF:4,", "b")),
        (Limits(streams_max=3), RFC["master"]),
        (Limits(keys_max=1), of(*(f'#EXT-X-KEY:METHOD=X,URI="k",KEYFORMAT="{n}"' for n in range(2)))),
        (Limits(duration_us_max=20_000_000), of("#EXTINF:20.000001,", "a")),
    ],
)
def test_each_limit_is_named_when_it_is_passed(limits, text):
    parse(text.encode(), URL)
    name = next(name for name in limits.__struct_fields__ if getattr(limits, name) != getattr(Limits(), name))
    assert name in str(refusal(text, PlaylistTooLarge, limits=limits))


def test_numbers_beyond_what_players_count_are_refused():
    assert "2^53-1" in str(refusal(of(f"#EXT-X-MEDIA-SEQUENCE:{2**53}"), PlaylistTooLarge))


def test_an_error_names_the_playlist_without_its_secrets():
    error = refusal(of("a"))
    assert str(error).startswith("https://cdn.example/show/main.m3u8, line 3: ")
    with pytest.raises(PlaylistError) as caught:
        parse(b"", "https://user:password@cdn.example/main.m3u8")
    assert str(caught.value).startswith("https://cdn.example/main.m3u8, line 1: is empty")


@pytest.mark.parametrize("url", ["", "main.m3u8", "/main.m3u8", "file:///main.m3u8", "https://", "http://["])
def test_the_url_of_a_playlist_must_be_absolute(url):
    with pytest.raises(ConfigurationError, match="not absolute http or https"):
        parse(RFC["simple"].encode(), url)


@given(st.from_regex(r"(https?://[a-z0-9.]{1,3}(:8)?/?)?[ab0~_.:;%/?=&+-]{1,8}", fullmatch=True))
def test_plain_uris_are_resolved_as_all_others(written):
    with contextlib.suppress(PlaylistError):
        assert media(of("#EXTINF:4,", written)).segments[0].uri == urljoin(URL, written)


def test_server_control_must_be_readable_since_some_of_it_is_taken_out():
    assert refusal(of("#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD")).line == 3
