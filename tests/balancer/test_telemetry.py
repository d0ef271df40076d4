"""What is told of a request: what the session knows, in the words of CMCD, and nothing that it does not know."""

import pytest

from shoal.balancer.formats.cmcd import text
from shoal.balancer.formats.hls import Multivariant, parse
from shoal.balancer.model import ByteRange, Kind, ResourceKey, Segment
from shoal.balancer.streams import Medium, media_of
from shoal.balancer.telemetry import CmcdOptions, Telemetry

URL = "https://a.example/v/main.m3u8"
SEGMENTS = {
    key: Segment(key=key, uri=f"https://a.example/v/hd/s{number}.m4s?sig={number}", duration_us=4_004_000)
    for number in range(3)
    for key in [ResourceKey(0, Kind.MEDIA, number)]
}


VIDEO = Medium("v", 2_000, 9_000)


def told(segment, segments=SEGMENTS, *, medium=VIDEO, deadline_us=None, rate=None, is_live=False):
    telemetry = Telemetry()
    telemetry.listed(0, medium, is_live=is_live)
    values = telemetry.request(segment, segments, deadline_us=deadline_us, bytes_per_s=rate, now_us=1_000_000)
    return text(values)


def first():
    return SEGMENTS[ResourceKey(0, Kind.MEDIA, 0)]


def test_a_segment_says_what_it_is_and_when_it_plays():
    assert told(first(), deadline_us=6_540_000, rate=1_000_000.0) == (
        'br=(2000;v),d=4004,dl=5500,mtp=(8000),nor=("s1.m4s?sig=1"),ot=v,st=v,tb=(9000;v)'
    )


def test_before_anything_plays_it_is_wanted_at_once():
    assert told(first()) == 'br=(2000;v),d=4004,nor=("s1.m4s?sig=1"),ot=v,st=v,su,tb=(9000;v)'


def test_a_deadline_that_has_passed_is_now():
    assert ",dl=0," in told(first(), deadline_us=5)


def test_a_live_stream_says_so():
    assert ",st=l," in told(first(), is_live=True)


def test_of_a_playlist_that_says_nothing_of_its_media_nothing_is_said():
    assert told(first(), medium=Medium()) == 'nor=("s1.m4s?sig=1"),st=v,su'


def test_the_last_segment_has_none_after_it():
    assert "nor" not in told(SEGMENTS[ResourceKey(0, Kind.MEDIA, 2)])


@pytest.mark.parametrize(
    "after",
    [
        Segment(key=ResourceKey(0, Kind.MEDIA, 1), uri="https://a.example/v/other/s1.m4s"),
        Segment(key=ResourceKey(0, Kind.MEDIA, 1), uri="https://a.example/v/hd/deep/s1.m4s"),
        Segment(key=ResourceKey(0, Kind.MEDIA, 1), uri="https://a.example/v/hd/é.m4s"),
        Segment(key=ResourceKey(0, Kind.MEDIA, 1), uri="https://a.example/v/hd/s.mp4", byte_range=ByteRange(0, 9)),
    ],
)
def test_one_that_is_not_beside_it_is_not_named(after):
    assert "nor" not in told(first(), {after.key: after})


@pytest.mark.parametrize(("kind", "object_type"), [(Kind.INIT, "i"), (Kind.KEY, "k"), (Kind.DATA, "o")])
def test_what_is_no_segment_has_no_duration(kind, object_type):
    asset = Segment(key=ResourceKey(0, kind, 0), uri="https://a.example/v/hd/init.mp4")
    said = told(asset, medium=Medium())
    assert said == f"ot={object_type},st=v"


def test_a_rendition_that_was_never_listed_is_not_spoken_of():
    key = ResourceKey(7, Kind.KEY, 0)
    values = Telemetry().request(Segment(key=key, uri=URL), {}, deadline_us=None, bytes_per_s=None, now_us=0)
    assert text(values) == "ot=k"


def test_a_session_has_a_name_and_a_content():
    options = CmcdOptions(mode="query", session_id="s", content_id="c")
    assert text(options.values) == 'cid="c",sf=h,sid="s",v=2'


LADDER = """#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="apart",NAME="English",URI="en.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="muxed",NAME="English"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="subs",NAME="English",URI="subs.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=1000000,CODECS="avc1.4d401e,mp4a.40.2"
muxed.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=2000000,CODECS="avc1.4d401e,mp4a.40.2",AUDIO="muxed"
muxed-too.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=3000000,CODECS="avc1.4d401e,mp4a.40.2",AUDIO="apart"
video.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=1500000,CODECS="avc1.4d401e"
silent.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=64000,CODECS="mp4a.40.2"
audio.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=4000000
unknown.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=100000,URI="frames.m3u8"
"""


@pytest.mark.parametrize(
    ("name", "medium"),
    [
        ("muxed", Medium("av", 1_000, 4_000)),
        ("muxed-too", Medium("av", 2_000, 4_000)),
        ("video", Medium("v", 3_000, 4_000)),
        ("silent", Medium("v", 1_500, 4_000)),
        ("audio", Medium("a", 64, 4_000)),
        ("unknown", Medium("av", 4_000, 4_000)),
        ("en", Medium("a")),
        ("subs", Medium("tt")),
        ("frames", Medium("v")),
    ],
)
def test_a_multivariant_playlist_tells_what_each_of_its_playlists_holds(name, medium):
    playlist = parse(LADDER.encode(), URL)
    assert isinstance(playlist, Multivariant)
    assert media_of(playlist)[f"https://a.example/v/{name}.m3u8"] == medium
