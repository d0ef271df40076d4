"""Playlists for a local player: what changes, and that nothing else does."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.errors import ConfigurationError
from shoal.balancer.formats.hls import MediaPlaylist, UriKind, parse, rewrite
from shoal.balancer.formats.hls.playlist import Layout
from shoal.balancer.formats.hls.rewrite import DROPPED
from shoal.balancer.model import ByteRange

DATA = Path(__file__).parents[3] / "data" / "p2pml"
URL = "https://cdn.example/v/main.m3u8"
HEAD = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n"


def kept(_kind, uri, _byte_range):
    return uri


def short(kind, uri, byte_range):
    part = "" if byte_range is None else f"@{byte_range.offset}+{byte_range.length}"
    return f"/{kind}/{uri.rpartition('/')[2]}{part}"


def rewritten(text, name=short):
    return rewrite(parse(text.encode(), URL), name).data.decode()


def content(playlist):
    """All that a playlist says, without where it says it."""
    return msgspec.structs.replace(playlist, layout=Layout((), ()))


@pytest.mark.parametrize("name", ["master.m3u8", "v1.m3u8"])
def test_a_recorded_playlist_differs_in_its_uris_only(name):
    text = (DATA / name).read_text()
    expected = text.replace('URI="', 'URI="https://cdn.example/v/')
    expected = "\n".join(
        f"https://cdn.example/v/{line}" if line and not line.startswith("#") else line for line in expected.split("\n")
    )
    assert rewritten(text, kept) == expected


def test_every_uri_of_a_media_playlist_is_named_with_its_kind_and_range():
    asked = []

    def name(kind, uri, byte_range):
        asked.append((kind, uri.rpartition("/")[2], byte_range))
        return "x"

    rewritten(
        HEAD + '#EXT-X-MAP:URI="i.mp4",BYTERANGE="9@1"\n#EXT-X-KEY:METHOD=AES-128,URI="k"\n'
        "#EXTINF:4,\n#EXT-X-BYTERANGE:7@2\na.ts\n#EXTINF:4,\nb.ts\n"
        '#EXT-X-DATERANGE:ID="1",X-ASSET-URI="ad.m3u8",X-ASSET-LIST="ads.json"\n',
        name,
    )
    assert sorted(asked, key=str) == sorted(
        [
            (UriKind.MAP, "i.mp4", ByteRange(1, 9)),
            (UriKind.KEY, "k", None),
            (UriKind.SEGMENT, "a.ts", ByteRange(2, 7)),
            (UriKind.SEGMENT, "b.ts", None),
            (UriKind.OTHER, "ad.m3u8", None),
            (UriKind.OTHER, "ads.json", None),
        ],
        key=str,
    )


def test_every_uri_of_a_multivariant_playlist_is_named_with_its_kind():
    text = """#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,URI="a.m3u8",GROUP-ID="g",NAME="n"
#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID="c",NAME="n",INSTREAM-ID="CC1"
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI="i.m3u8"
#EXT-X-SESSION-DATA:DATA-ID="d",URI="d.json"
#EXT-X-SESSION-KEY:METHOD=AES-128,URI="k"
#EXT-X-IMAGE-STREAM-INF:BANDWIDTH=1,URI="thumbs.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=1
v.m3u8
"""
    expected = text
    for kind, uri in [
        ("rendition", "a.m3u8"),
        ("i_frames", "i.m3u8"),
        ("session_data", "d.json"),
        ("session_key", "k"),
        ("other", "thumbs.m3u8"),
    ]:
        expected = expected.replace(f'"{uri}"', f'"/{kind}/{uri}"')
    assert rewritten(text) == expected.replace("\nv.m3u8", "\n/variant/v.m3u8")


def test_unknown_tags_comments_blanks_and_endings_stay_byte_for_byte():
    text = (
        "#EXTM3U\r\n#EXT-X-TARGETDURATION:4\n#EXT-X-VENDOR: A = b ,\r\n# caf\u00e9 {$x}\n\n   \n"
        "#EXTINF:4 ,\tTitle \n  a.ts \r\n#EXT-X-ENDLIST"
    )
    assert rewritten(text) == text.replace("a.ts", "/segment/a.ts")


def test_byte_ranges_go_since_each_is_a_resource_of_its_own():
    text = HEAD + '#EXT-X-MAP:URI="i",BYTERANGE="9@0",X=1\n#EXTINF:4,\n#EXT-X-BYTERANGE:7@9\na\n'
    assert rewritten(text) == HEAD + '#EXT-X-MAP:URI="/map/i@0+9",X=1\n#EXTINF:4,\n/segment/a@9+7\n'


def test_keys_of_other_schemes_stay_as_they_are():
    text = HEAD + '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://a"\n#EXT-X-KEY:METHOD=X,URI="data:,a",KEYFORMAT="x"\n'
    assert rewritten(text) == text


def test_a_gap_stays_as_it_is_since_nobody_loads_it():
    text = HEAD + "#EXT-X-GAP\n#EXTINF:4,\nmissing.ts\n"
    assert rewritten(text) == text


def test_variables_are_substituted_and_their_definitions_go():
    text = HEAD + '#EXT-X-DEFINE:NAME="p",VALUE="deep"\n#EXTINF:4,\n{$p}/a.ts\n#EXT-X-VENDOR:{$p}\n'
    assert rewritten(text, kept) == HEAD + "#EXTINF:4,\nhttps://cdn.example/v/deep/a.ts\n#EXT-X-VENDOR:deep\n"


def test_content_steering_is_dropped_since_choosing_is_our_work():
    text = '#EXTM3U\n#EXT-X-CONTENT-STEERING:SERVER-URI="s.json"\n#EXT-X-STREAM-INF:BANDWIDTH=1,PATHWAY-ID="a"\nv\n'
    found = rewrite(parse(text.encode(), URL), short)
    assert b"STEERING" not in found.data
    assert found.dropped == {"EXT-X-CONTENT-STEERING": 1}


@pytest.mark.parametrize(
    ("before", "after", "dropped"),
    [
        ("CAN-SKIP-DATERANGES=YES,CAN-SKIP-UNTIL=24", "#EXT-X-SERVER-CONTROL:CAN-SKIP-UNTIL=24\n", 1),
        ("CAN-SKIP-DATERANGES=YES", "", 1),
        ("HOLD-BACK=12.0", "#EXT-X-SERVER-CONTROL:HOLD-BACK=12.0\n", 0),
    ],
)
def test_of_server_control_all_stays_but_updates_without_date_ranges(before, after, dropped):
    found = rewrite(parse(f"{HEAD}#EXT-X-SERVER-CONTROL:{before}\n".encode(), URL), short)
    assert found.data.decode() == HEAD + after
    assert found.dropped == ({"EXT-X-SERVER-CONTROL": dropped} if dropped else {})


def test_each_dropped_tag_has_its_reason():
    assert all(reason for reason in DROPPED.values())


@pytest.mark.parametrize("name", ["", "a b", 'a"b', "a\nb", "#a", "a\x00"])
def test_a_name_that_cannot_stand_in_a_playlist_is_refused(name):
    with pytest.raises(ConfigurationError, match="percent-encode"):
        rewritten(HEAD + "#EXTINF:4,\na\n", lambda *_: name)


uris = st.sampled_from(["a.ts", "../b/c.mp4", "/d.ts?x=1&y={z}", "https://other.example/e", "//f.example/g", "h i.ts"])
ranges = st.none() | st.builds(lambda length, offset: f"{length}@{offset}", st.integers(1, 99), st.integers(0, 99))
noise = st.sampled_from(["", "#", "# note", "#EXT-X-CUE-IN", "#EXT-X-CUE-OUT:30", "#EXT-X-DISCONTINUITY", "#EXT-X-GAP"])


@st.composite
def segment_lines(draw):
    lines = draw(st.lists(noise, max_size=2))
    if draw(st.booleans()):
        lines.append(f'#EXT-X-KEY:METHOD=AES-128,URI="{draw(uris)}",IV=0x{draw(st.integers(0, 255)):x}')
    if draw(st.booleans()):
        part = draw(ranges)
        lines.append(f'#EXT-X-MAP:URI="{draw(uris)}"' + (f',BYTERANGE="{part}"' if part else ""))
    lines.append(f"#EXTINF:{draw(st.integers(1, 9))}.{draw(st.integers(0, 999))},{draw(st.sampled_from(['', 'T']))}")
    if part := draw(ranges):
        lines.append(f"#EXT-X-BYTERANGE:{part}")
    return [*lines, draw(uris)]


@st.composite
def media_playlists(draw):
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:10", f"#EXT-X-MEDIA-SEQUENCE:{draw(st.integers(0, 99))}"]
    for segment in draw(st.lists(segment_lines(), max_size=6)):
        lines += segment
    if draw(st.booleans()):
        lines.append("#EXT-X-ENDLIST")
    ending = draw(st.sampled_from(["\n", "\r\n"]))
    return ending.join([*lines, ""])


def without_ranges_and_lines(playlist):
    """What must survive: byte ranges become resources of their own, and lines move up when tags go."""
    segments = tuple(
        msgspec.structs.replace(
            segment,
            byte_range=None,
            line=0,
            map=segment.map and msgspec.structs.replace(segment.map, byte_range=None),
        )
        for segment in playlist.segments
    )
    tags = tuple(msgspec.structs.replace(tag, line=0) for tag in playlist.unknown_tags)
    return msgspec.structs.replace(content(playlist), segments=segments, unknown_tags=tags)


def encoded(_kind, uri, _byte_range):
    return uri.replace(" ", "%20")


@given(media_playlists())
def test_a_playlist_with_its_own_absolute_uris_says_the_same(text):
    text = text.replace("h i.ts", "h%20i.ts")
    before = parse(text.encode(), URL)
    after = parse(rewrite(before, encoded).data, URL)
    assert isinstance(before, MediaPlaylist)
    assert without_ranges_and_lines(after) == without_ranges_and_lines(before)


@given(media_playlists())
def test_a_rewritten_playlist_does_not_change_when_it_is_rewritten_again(text):
    once = rewrite(parse(text.encode(), URL), encoded).data
    assert rewrite(parse(once, URL), encoded).data == once


@given(media_playlists())
def test_lines_without_uris_and_ranges_stay_byte_for_byte(text):
    def others(data):
        lines = data.splitlines(keepends=True)
        return [line for line in lines if line.startswith("#") and "URI=" not in line and "BYTERANGE" not in line]

    assert others(rewrite(parse(text.encode(), URL), encoded).data.decode()) == others(text)
