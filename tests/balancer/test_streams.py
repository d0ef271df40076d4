"""Media playlists have the names under which players of p2p-media-loader look for their peers."""

from pathlib import Path

from shoal.balancer.formats.hls import Multivariant, parse
from shoal.balancer.identity import Scheme23, Stream, StreamType
from shoal.balancer.streams import streams_of

RECORDED = Path(__file__).resolve().parent.parent / "data" / "p2pml"


def of(text: bytes) -> list[tuple[str, Stream, StreamType]]:
    playlist = parse(text, "http://cdn/master.m3u8")
    assert isinstance(playlist, Multivariant)
    return streams_of(playlist)


def test_variants_have_the_stream_indexes_that_were_recorded():
    rows = of((RECORDED / "master.m3u8").read_bytes())
    assert [(uri, Scheme23().stream_index(stream)) for uri, stream, _ in rows] == [
        ("http://cdn/v0.m3u8", "0gJwIi4LaQJhE2jGA85fpvUTKO8="),
        ("http://cdn/v1.m3u8", "3iNpPOm8HgtnNSxDv6fxlKxuR7I="),
    ]


def test_an_audio_rendition_is_a_secondary_stream_of_its_language_and_name():
    rows = of(
        b'#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="Deutsch",LANGUAGE="de",CHANNELS="2",URI="a.m3u8"\n'
        b'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="inside",LANGUAGE="en"\n'
        b'#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS="mp4a.40.2",AUDIO="a"\nv.m3u8\n'
    )
    assert rows[1:] == [
        ("http://cdn/a.m3u8", Stream(language="de", channels="2", name="Deutsch"), StreamType.SECONDARY)
    ]
    assert rows[0][1].codecs == "mp4a.40.2"  # a variant without video is named by what it has
