"""The same playlists read by the m3u8 package, which many use, and openm3u8; where both accept one, they must agree.

On everything that the packages give and we keep.  What we keep otherwise is said where it is compared.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urljoin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.formats.hls import MediaPlaylist, Multivariant, parse

m3u8 = pytest.importorskip("m3u8")
openm3u8 = pytest.importorskip("openm3u8")
PACKAGES = [m3u8, openm3u8]

ALL = Path(__file__).parents[3] / "data"
DATA = ALL / "p2pml"
SHIPPED = sorted([*(ALL / "m3u8_parser").glob("*.m3u8"), *(Path(__file__).parent / "rfc8216").glob("*.m3u8")])
URL = "https://cdn.example/v/main.m3u8"


def both(text, package=m3u8):
    return parse(text.encode(), URL), package.loads(text, uri=URL)


def written_range(part):
    return None if part is None else f"{part.length}@{part.offset}"


def us(seconds):
    return None if seconds is None else round(float(seconds) * 1_000_000)


def moment(date):
    """A date without a zone is UTC to us, and to them has none."""
    if date is None:
        return None
    date = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
    return round((date - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))


def keys_of(segment):
    """They keep one key a segment, the last that was said, and that of METHOD=NONE too."""
    return [
        (key.method, key.uri, key.iv and key.iv.lower(), key.key_format, key.key_format_versions)
        for key in segment.keys
    ]


def key_of(key):
    absolute = key.absolute_uri if key.uri and not key.uri.startswith(("skd:", "data:")) else key.uri
    return (key.method, absolute, key.iv and key.iv.lower(), key.keyformat or "identity", key.keyformatversions)


def ours_of_segment(segment):
    return {
        "uri": segment.uri,
        "duration": segment.duration_us,
        "title": segment.title,
        "range": written_range(segment.byte_range),
        "discontinuity": segment.is_discontinuity,
        "gap": segment.is_gap,
        "date": segment.program_date_time_us,
        "bitrate": segment.bitrate_kbps,
        "map": segment.map and (segment.map.uri, written_range(segment.map.byte_range)),
        "parts": [ours_of_part(part) for part in segment.parts],
    }


def theirs_of_segment(segment):
    first = segment.init_section
    return {
        "uri": segment.absolute_uri,
        "duration": us(segment.duration),
        "title": (segment.title or "").strip(),
        "range": segment.byterange,
        "discontinuity": segment.discontinuity,
        "gap": bool(segment.gap_tag),
        "date": moment(segment.program_date_time),
        "bitrate": None if segment.bitrate is None else int(segment.bitrate),
        "map": first and (first.absolute_uri, first.byterange),
        "parts": [theirs_of_part(part) for part in segment.parts],
    }


def ours_of_part(part):
    written = written_range(part.byte_range)
    return (part.uri, part.duration_us, written, part.is_independent, part.is_gap)


def theirs_of_part(part):
    return (
        part.absolute_uri,
        us(part.duration),
        part.byterange and part.byterange.strip('"'),
        part.independent == "YES",
        part.gap == "YES",
    )


def ours_of_media(playlist):
    control = playlist.server_control
    return {
        "version": playlist.version,
        "target": playlist.target_duration_us,
        "sequence": playlist.media_sequence,
        "discontinuities": playlist.discontinuity_sequence,
        "type": playlist.playlist_type,
        "ends": playlist.has_end,
        "i-frames": playlist.is_i_frames_only,
        "independent": playlist.is_independent,
        "start": playlist.start and (playlist.start.time_offset_us, playlist.start.is_precise),
        "part target": playlist.part_target_us,
        "control": control
        and (
            control.can_block_reload,
            control.can_skip_until_us,
            control.can_skip_date_ranges,
            control.hold_back_us,
            control.part_hold_back_us,
        ),
        "hints": [(hint.type, hint.uri, hint.first_byte, hint.byte_count) for hint in playlist.preload_hints][-1:],
        "reports": [(one.uri, one.last_sequence, one.last_part) for one in playlist.rendition_reports],
    }


def theirs_of_media(playlist):
    start, control, hint = playlist.start, playlist.server_control, playlist.preload_hint
    parts = playlist.part_inf
    return {
        "version": int(playlist.version or 1),
        "target": us(playlist.target_duration),
        "sequence": playlist.media_sequence or 0,
        "discontinuities": playlist.discontinuity_sequence or 0,
        "type": playlist.playlist_type and playlist.playlist_type.upper(),
        "ends": playlist.is_endlist,
        "i-frames": playlist.is_i_frames_only,
        "independent": playlist.is_independent_segments,
        "start": start and (us(start.time_offset), start.precise == "YES"),
        "part target": us(parts.part_target) if parts else None,
        "control": control
        and (
            control.can_block_reload == "YES",
            us(control.can_skip_until),
            control.can_skip_dateranges == "YES",
            us(control.hold_back),
            us(control.part_hold_back),
        ),
        "hints": [
            (
                hint.hint_type,
                urljoin(URL, hint.uri),
                int(hint.byterange_start or 0),
                hint.byterange_length and int(hint.byterange_length),
            )
        ]
        if hint
        else [],
        "reports": [
            (urljoin(URL, one.uri), one.last_msn and int(one.last_msn), one.last_part and int(one.last_part))
            for one in playlist.rendition_reports
        ],
    }


def assert_same_media(text, package=m3u8):
    ours, theirs = both(text, package)
    assert isinstance(ours, MediaPlaylist)
    assert ours_of_media(ours) == theirs_of_media(theirs)
    segments = [segment for segment in theirs.segments if segment.uri]  # parts behind the last have one of their own
    assert [*map(ours_of_segment, ours.segments)] == [*map(theirs_of_segment, segments)]
    for one, other in zip(ours.segments, segments, strict=True):
        key = other.key
        assert (key is None or key.method == "NONE") == (not one.keys)
        assert key is None or key.method == "NONE" or key_of(key) in keys_of(one)


def ours_of_variant(one):
    return {
        "uri": one.uri,
        "bandwidth": one.bandwidth,
        "average": one.average_bandwidth,
        "codecs": one.codecs,
        "resolution": one.resolution and (one.resolution.width, one.resolution.height),
        "range": one.video_range,
        "hdcp": one.hdcp_level,
        "pathway": one.pathway_id,
        "stable": one.stable_variant_id,
    }


def theirs_of_variant(uri, info):
    return {
        "uri": uri,
        "bandwidth": info.bandwidth,
        "average": info.average_bandwidth,
        "codecs": info.codecs,
        "resolution": info.resolution,
        "range": info.video_range,
        "hdcp": info.hdcp_level,
        "pathway": info.pathway_id or ".",
        "stable": info.stable_variant_id,
    }


def groups(info):
    """Of a variant; CLOSED-CAPTIONS=NONE is a word, and they keep its quotes off as we do."""
    return (info.audio, info.video, info.subtitles, info.closed_captions)


def assert_same_multivariant(text, package=m3u8):
    ours, theirs = both(text, package)
    assert isinstance(ours, Multivariant)
    assert ours.version == int(theirs.version or 1)
    assert ours.is_independent == theirs.is_independent_segments
    assert (ours.start and ours.start.time_offset_us) == (theirs.start and us(theirs.start.time_offset))
    for one, other in zip(ours.variants, theirs.playlists, strict=True):
        assert ours_of_variant(one) == theirs_of_variant(other.absolute_uri, other.stream_info)
        assert groups(one) == tuple(name and name.strip('"') for name in groups(other.stream_info))
        assert one.frame_rate == other.stream_info.frame_rate
    for one, other in zip(ours.i_frame_streams, theirs.iframe_playlists, strict=True):
        assert ours_of_variant(one) == theirs_of_variant(other.absolute_uri, other.iframe_stream_info)
        assert one.video == ((other.iframe_stream_info.video or "").strip('"') or None)
    for one, other in zip(ours.renditions, theirs.media, strict=True):
        assert (one.type, one.group_id, one.name, one.uri) == (
            other.type,
            other.group_id,
            other.name,
            other.absolute_uri if other.uri else None,
        )
        assert (one.language, one.assoc_language, one.instream_id) == (
            other.language,
            other.assoc_language,
            other.instream_id,
        )
        assert (one.is_default, one.is_autoselect, one.is_forced) == tuple(
            flag == "YES" for flag in (other.default, other.autoselect, other.forced)
        )
        assert (one.characteristics, one.channels, one.stable_rendition_id) == (
            other.characteristics,
            other.channels,
            other.stable_rendition_id,
        )
    assert [(one.data_id, one.value, one.uri, one.language) for one in ours.session_data] == [
        (one.data_id, one.value, one.uri and urljoin(URL, one.uri), one.language) for one in theirs.session_data
    ]
    assert [
        (key.method, key.uri, key.iv and key.iv.lower(), key.key_format, key.key_format_versions)
        for key in ours.session_keys
    ] == [key_of(key) for key in theirs.session_keys]
    steering = theirs.content_steering
    assert (ours.steering and (ours.steering.server_uri, ours.steering.pathway_id)) == (
        steering and (urljoin(URL, steering.uri), steering.pathway_id)
    )


def is_read_by_both(text, package):
    try:
        both(text, package)
    except Exception:  # theirs raises whatever it comes upon
        return False
    return True


SHIPPED_TO_BOTH = [
    pytest.param(package, path, id=f"{package.__name__}-{path.stem}")
    for package in PACKAGES
    for path in SHIPPED
    if is_read_by_both(path.read_text(), package)
]


def test_most_shipped_playlists_are_read_by_both():
    assert len(SHIPPED) == 67
    assert len(SHIPPED_TO_BOTH) >= 80


@pytest.mark.parametrize(("package", "path"), SHIPPED_TO_BOTH)
def test_a_shipped_playlist_says_the_same_to_both(package, path):
    text = path.read_text()
    if isinstance(parse(text.encode(), URL), Multivariant):
        assert_same_multivariant(text, package)
    else:
        assert_same_media(text, package)


def test_a_recorded_media_playlist_says_the_same_to_both():
    assert_same_media((DATA / "v1.m3u8").read_text())


def test_a_recorded_multivariant_playlist_says_the_same_to_both():
    assert_same_multivariant((DATA / "master.m3u8").read_text())


@st.composite
def playlists(draw):
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{draw(st.integers(1, 12))}",
        f"#EXT-X-TARGETDURATION:{draw(st.integers(10, 12))}",
    ]
    lines.append(f"#EXT-X-MEDIA-SEQUENCE:{draw(st.integers(0, 10**6))}")
    for line in (
        "#EXT-X-PLAYLIST-TYPE:EVENT",
        "#EXT-X-INDEPENDENT-SEGMENTS",
        "#EXT-X-I-FRAMES-ONLY",
        "#EXT-X-START:TIME-OFFSET=-7.25,PRECISE=YES",
        "#EXT-X-DISCONTINUITY-SEQUENCE:7",
        "#EXT-X-PART-INF:PART-TARGET=1.5",
        "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=60,HOLD-BACK=30,PART-HOLD-BACK=4.5",
    ):
        lines += [line] * draw(st.integers(0, 1))
    for n in range(draw(st.integers(1, 6))):
        if draw(st.booleans()):
            part = draw(st.sampled_from(["", ',BYTERANGE="700@0"']))
            lines.append(f'#EXT-X-MAP:URI="init{draw(st.integers(0, 2))}.mp4"{part}')
        if draw(st.booleans()):
            # They tell keys apart by URI, so that what else is said of one is always the same.
            key = draw(st.integers(0, 2))
            more = ("", f",IV=0x{key:032x}", ',KEYFORMAT="identity",KEYFORMATVERSIONS="1"')[key]
            lines.append(f'#EXT-X-KEY:METHOD=AES-128,URI="key{key}"{more}')
        for line in ("#EXT-X-DISCONTINUITY", "#EXT-X-PROGRAM-DATE-TIME:2026-01-31T23:59:59.250+02:00"):
            lines += [line] * draw(st.integers(0, 1))
        if draw(st.booleans()):
            lines.append(f'#EXT-X-PART:DURATION=1.5,URI="{n}.0.m4s",INDEPENDENT=YES')
            lines.append(f'#EXT-X-PART:DURATION=1.25,URI="{n}.1.m4s",BYTERANGE="9@{n}",GAP=YES')
        # Behind the parts: before them they take it for one of a part, of which it would be GAP=YES.
        lines += ["#EXT-X-GAP"] * draw(st.integers(0, 1))
        title = draw(st.sampled_from(["", "a title", "one, two"]))
        lines.append(f"#EXTINF:{draw(st.integers(0, 10))}.{draw(st.integers(0, 999_999)):06},{title}")
        if draw(st.booleans()):
            lines.append(f"#EXT-X-BYTERANGE:{draw(st.integers(1, 10**6))}@{draw(st.integers(0, 10**6))}")
        lines.append(draw(st.sampled_from([f"{n}.ts", f"../{n}.ts?a=b", f"https://b.example/{n}.ts"])))
    if draw(st.booleans()):
        lines.append('#EXT-X-PRELOAD-HINT:TYPE=PART,URI="hint.m4s",BYTERANGE-START=5')
        lines.append('#EXT-X-RENDITION-REPORT:URI="../other.m3u8",LAST-MSN=7,LAST-PART=2')
    if draw(st.booleans()):
        lines.append("#EXT-X-ENDLIST")
    return "\n".join([*lines, ""])


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
@given(text=playlists())
def test_any_media_playlist_says_the_same_to_both(package, text):
    assert_same_media(text, package)


MULTIVARIANT = """#EXTM3U
#EXT-X-VERSION:12
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-START:TIME-OFFSET=5
#EXT-X-CONTENT-STEERING:SERVER-URI="https://steer.example/m",PATHWAY-ID="a"
#EXT-X-SESSION-DATA:DATA-ID="title",VALUE="A film",LANGUAGE="en"
#EXT-X-SESSION-DATA:DATA-ID="more",URI="more.json"
#EXT-X-SESSION-KEY:METHOD=SAMPLE-AES,URI="key",IV=0xAB,KEYFORMAT="identity",KEYFORMATVERSIONS="1/2"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="s",NAME="English",LANGUAGE="en",ASSOC-LANGUAGE="cy",DEFAULT=YES,AUTOSELECT=YES,\
CHANNELS="2",CHARACTERISTICS="public.easy-to-read",STABLE-RENDITION-ID="e",URI="audio/en.m3u8"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="t",NAME="Deutsch",LANGUAGE="de",FORCED=YES,URI="de.m3u8"
#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID="c",NAME="CC",INSTREAM-ID="CC1"
#EXT-X-STREAM-INF:BANDWIDTH=900000,AVERAGE-BANDWIDTH=800000,CODECS="avc1.4d401e,mp4a.40.2",RESOLUTION=1280x720,\
FRAME-RATE=29.970,VIDEO-RANGE=SDR,HDCP-LEVEL=NONE,PATHWAY-ID="a",STABLE-VARIANT-ID="v",AUDIO="s",SUBTITLES="t",\
CLOSED-CAPTIONS="c"
720p.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=400000,CLOSED-CAPTIONS=NONE
https://other.example/360p.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=80000,AVERAGE-BANDWIDTH=70000,CODECS="avc1.4d401e",RESOLUTION=1280x720,\
VIDEO-RANGE=PQ,HDCP-LEVEL=TYPE-0,PATHWAY-ID="a",STABLE-VARIANT-ID="i",VIDEO="x",URI="i.m3u8"
""".replace("\\\n", "")


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_a_multivariant_playlist_with_all_attributes_says_the_same_to_both(package):
    assert_same_multivariant(MULTIVARIANT, package)
