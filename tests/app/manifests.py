"""The demo's stream under other manifests: as DASH in several forms, live, with subtitles; the files are the same."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import shutil
from pathlib import Path

from shoal.app.demo.stream import Stream, StreamOptions, make_stream

from .support import STREAMS

__all__ = [
    "AAC_FRAME_S",
    "SUBTITLES",
    "copy_of",
    "file_of",
    "listed",
    "live_mpd",
    "mpd_of",
    "with_clock",
    "with_list",
    "with_subtitles",
]

SUBTITLES = ("in the beginning", "towards the end")
# By a frame of sound before the first picture, pictures end later than they are long.  An MPD that leaves it out ends
# before its media do, and dash.js 5.2, which looks every 200 ms whether its MPD is over, may then stop there before the
# video has ended: once in twenty times, of the last 10 ms.
AAC_FRAME_S = 1024 / 48_000
_EN = """WEBVTT

00:00:01.000 --> 00:00:04.000
in the beginning

00:00:05.000 --> 00:00:10.000
towards the end
"""


def copy_of(options: StreamOptions, folder: Path) -> Stream:
    """A stream of one's own, to add manifests to."""
    stream = make_stream(options, STREAMS)
    shutil.copytree(stream.folder, folder)
    return dataclasses.replace(stream, folder=folder)


def with_subtitles(stream: Stream) -> None:
    """Give its multivariant playlist subtitles in one file of WebVTT."""
    (stream.folder / "en.vtt").write_text(_EN)
    target = stream.seconds
    (stream.folder / "en.m3u8").write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:{target}\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXTINF:{target}.0,\nen.vtt\n#EXT-X-ENDLIST\n"
    )
    place = stream.folder / stream.playlist
    text = re.sub(r"(#EXT-X-STREAM-INF:.*)", r'\1,SUBTITLES="text"', place.read_text())
    media = '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="text",NAME="English",LANGUAGE="en",AUTOSELECT=YES,URI="en.m3u8"\n'
    place.write_text(text.replace("#EXT-X-STREAM-INF", media + "#EXT-X-STREAM-INF", 1))


def listed(name: str, stream: Stream) -> str:
    urls = "".join(f'<SegmentURL media="{name}_{place:03}.m4s"/>' for place in range(stream.segment_count))
    return (
        f'<SegmentList timescale="1" duration="{stream.segment_seconds}">'
        f'<Initialization sourceURL="{name}_init.mp4"/>{urls}</SegmentList>'
    )


def mpd_of(stream: Stream, options: StreamOptions, inner: dict[str, str], attributes: str, text: str = "") -> bytes:
    """`inner` says for each rendition how its segments are found; `text` is one more AdaptationSet."""
    rows = [
        f'<Representation id="{each.name}" bandwidth="{each.video_bits_per_s}" width="{each.width}" '
        f'height="{each.height}">{inner[each.name]}</Representation>'
        for each in options.renditions
    ]
    return (
        f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" minBufferTime="PT1S" {attributes} '
        'profiles="urn:mpeg:dash:profile:isoff-live:2011"><Period start="PT0S"><AdaptationSet contentType="video" '
        'mimeType="video/mp4" codecs="avc1.64000d,mp4a.40.2" segmentAlignment="true" startWithSAP="1">'
        f"{''.join(rows)}</AdaptationSet>{text}</Period></MPD>"
    ).encode()


def vod_mpd(stream: Stream, options: StreamOptions, inner: dict[str, str]) -> bytes:
    """With subtitles."""
    (stream.folder / "en.vtt").write_text(_EN)
    text = (
        '<AdaptationSet contentType="text" mimeType="text/vtt" lang="en"><Representation id="en" bandwidth="100">'
        "<BaseURL>en.vtt</BaseURL></Representation></AdaptationSet>"
    )
    until_s = stream.seconds + AAC_FRAME_S
    return mpd_of(stream, options, inner, f'type="static" mediaPresentationDuration="PT{until_s:.3f}S"', text)


def with_list(stream: Stream, options: StreamOptions) -> bytes:
    return vod_mpd(stream, options, {each.name: listed(each.name, stream) for each in options.renditions})


def live_mpd(stream: Stream, options: StreamOptions, *, before_s: int) -> bytes:
    """On air since `before_s` seconds ago, in counted segments."""
    template = (
        f'<SegmentTemplate timescale="1" duration="{stream.segment_seconds}" startNumber="0" '
        'media="$RepresentationID$_$Number%03d$.m4s" initialization="$RepresentationID$_init.mp4"/>'
    )
    began = (dt.datetime.now(dt.UTC) - dt.timedelta(seconds=before_s)).isoformat(timespec="milliseconds")
    attributes = (
        f'type="dynamic" availabilityStartTime="{began}" publishTime="{began}" minimumUpdatePeriod="PT2S" '
        'timeShiftBufferDepth="PT600S" suggestedPresentationDelay="PT4S"'
    )
    return mpd_of(stream, options, {each.name: template for each in options.renditions}, attributes)


def with_clock(mpd: bytes, scheme: str, value: str) -> bytes:
    """With a clock that players go by (UTCTiming).  Without one dash.js asks a server on the internet for the time."""
    clock = f'<UTCTiming schemeIdUri="urn:mpeg:dash:utc:{scheme}:2014" value="{value}"/>'
    return mpd.replace(b"</MPD>", clock.encode() + b"</MPD>")


def file_of(stream: Stream, options: StreamOptions, path: str, *, first: int = 1) -> bytes:
    """What a path that the proxy gave out stands for; `first` is the number of an MPD's first segment.

    A path may be followed by a blank and where in its file the range began.
    """
    path, _, begin = path.partition(" ")
    _, _, rendition, *rest = path.split("/")
    place = stream.folder / rest[-1]
    if not place.exists():  # by the names of our MPD
        stem, prefix = rest[-1].partition(".")[0], options.renditions[int(rendition)].name
        place = stream.folder / (f"{prefix}_init.mp4" if stem == "init" else f"{prefix}_{int(stem[1:]) - first:03}.m4s")
    return place.read_bytes()[int(begin or 0) :]
