"""What an MPD says, and why it is refused (ISO/IEC 23009-1)."""

import msgspec
import pytest

from shoal.balancer.errors import (
    ConfigurationError,
    NotAPlaylist,
    PlaylistMalformed,
    PlaylistTooLarge,
    PlaylistUnsupported,
)
from shoal.balancer.formats.dash import Descriptor, Limits, PatchLocation, parse

from .mpds import HEAD, LIVE, NOON_US, URL, VOD, S, one, read


def test_a_vod_says_who_it_is_and_what_it_has():
    mpd = read(VOD)
    assert not mpd.is_live
    assert mpd.duration_us == 10 * S
    assert mpd.profiles == ("urn:a", "urn:b")
    (period,) = mpd.periods
    assert (period.id, period.start_us, period.duration_us) == ("p", 0, 10 * S)
    (video,) = period.adaptation_sets
    assert (video.id, video.content_type, video.language) == ("1", "video", "en")
    hd, sd = video.representations
    assert (hd.id, hd.bandwidth, hd.mime_type, hd.codecs) == ("hd", 900_000, "video/mp4", "avc1.4d401e")
    assert (hd.width, hd.height) == (1280, 720)
    assert hd.frame_rate == pytest.approx(29.97, abs=0.001)
    assert sd.frame_rate is None


def test_each_base_url_is_an_alternative_of_each_representation():
    (hd, _) = read(VOD).periods[0].adaptation_sets[0].representations
    assert [(base.url, base.service_location) for base in hd.base_urls] == [
        ("https://a.example/v/", "a"),
        ("https://b.example/w/", "b"),
    ]


def test_base_urls_are_resolved_level_by_level():
    mpd = read(
        f"{HEAD} mediaPresentationDuration='PT1S'><BaseURL serviceLocation='x'>a/</BaseURL><BaseURL>../b/</BaseURL>"
        "<Period><BaseURL>p/</BaseURL><AdaptationSet><BaseURL availabilityTimeOffset='1.5'>s/</BaseURL>"
        "<Representation id='r' bandwidth='1'><BaseURL>f.vtt</BaseURL><BaseURL>https://c.example/f</BaseURL>"
        "</Representation></AdaptationSet></Period></MPD>"
    )
    (found,) = mpd.periods[0].adaptation_sets[0].representations
    assert [base.url for base in found.base_urls] == [
        "https://cdn.example/show/a/p/s/f.vtt",
        "https://c.example/f",
        "https://cdn.example/b/p/s/f.vtt",
        "https://c.example/f",
    ]
    assert [base.service_location for base in found.base_urls] == ["x", "x", None, None]
    assert found.base_urls[0].availability_offset_us == 1_500_000


def test_a_live_mpd_says_when_and_where_to_look_again():
    mpd = read(LIVE)
    assert mpd.is_live
    assert mpd.availability_start_us == mpd.publish_us == NOON_US
    assert (mpd.minimum_update_us, mpd.time_shift_us) == (2 * S, 20 * S)
    assert mpd.locations == ("https://cdn.example/show/live2.mpd",)
    assert mpd.patch_locations == (PatchLocation("https://cdn.example/show/patch.mpp", 60 * S),)
    assert mpd.utc_timings == (Descriptor("urn:mpeg:dash:utc:http-xsdate:2014", "time?a=1&b=2"),)
    assert mpd.steering is not None
    assert mpd.steering.url == "https://steer.example/m"
    assert mpd.steering.default_service_location == "b"
    assert mpd.steering.is_queried_before_start


def periods(*attributes, of_mpd=""):
    rows = "".join(f"<Period {each}/>" for each in attributes)
    return [(period.start_us, period.duration_us) for period in read(f"{HEAD} {of_mpd}>{rows}</MPD>").periods]


def test_a_period_begins_where_it_says_or_where_the_one_before_ends():
    assert periods('duration="PT3S"', 'duration="PT4S"', "", of_mpd='mediaPresentationDuration="PT10S"') == [
        (0, 3 * S),
        (3 * S, 4 * S),
        (7 * S, 3 * S),
    ]
    assert periods("", 'start="PT5S"') == [(0, 5 * S), (5 * S, None)]


def test_a_live_period_without_a_start_is_left_out_until_it_has_one():
    live = 'type="dynamic" availabilityStartTime="2026-01-31T12:00:00Z"'
    assert periods('start="PT5S"', "", 'duration="PT9S"', "", of_mpd=live) == [(5 * S, None)]
    assert periods('start="PT5S"', 'duration="PT9S"', 'start="PT7S" duration="PT1S"', "", of_mpd=live) == [
        (5 * S, 2 * S),
        (7 * S, S),
        (8 * S, None),
    ]
    assert periods("", "", of_mpd=live) == [(0, None)]  # of the first, which packagers mean to begin at 0


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("PT0S", 0),
        ("PT1H2M3.4S", 3_723_400_000),
        ("P1DT1S", 86_401 * S),
        ("P1Y2M", (365 + 60) * 86_400 * S),
        ("PT0.0000019S", 1),
        ("PT634.566S", 634_566_000),
    ],
)
def test_a_duration_is_read(text, us):
    assert read(f'{HEAD} mediaPresentationDuration="{text}"><Period/></MPD>').duration_us == us


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01", 1),  # without a zone it is UTC
        ("1970-01-01T01:00:00+01:00", 0),
        ("2016-12-31T23:59:60Z", 1_483_228_800),  # a leap second is the second after it
    ],
)
def test_a_date_is_read(text, seconds):
    assert read(f'{HEAD} publishTime="{text}"><Period/></MPD>').publish_us == seconds * S


WRONG = {
    "nothing at all": ("", NotAPlaylist, "is empty"),
    "an HLS playlist": ("#EXTM3U\n", NotAPlaylist, "is no XML"),
    "a page": ("<html><body/></html>", NotAPlaylist, "its root is 'html'"),
    "another namespace": ('<MPD xmlns="urn:other"/>', NotAPlaylist, "its root is '{urn:other}MPD'"),
    "cut off": (VOD[:600], PlaylistMalformed, "is it cut off"),
    "no period": (f"{HEAD}/>", PlaylistMalformed, "no Period"),
    "a type of its own": (f"{HEAD} type='live'><Period/></MPD>", PlaylistMalformed, "type is 'live'"),
    "live without a beginning": (
        f"{HEAD} type='dynamic'><Period/></MPD>",
        PlaylistMalformed,
        "no availabilityStartTime",
    ),
    "a negative duration": (f"{HEAD} mediaPresentationDuration='-PT1S'><Period/></MPD>", PlaylistMalformed, "'-PT1S'"),
    "a month 13": (f"{HEAD} publishTime='2026-13-01T00:00:00Z'><Period/></MPD>", PlaylistMalformed, "2026-13-01"),
    "a period of unknown start": (f"{HEAD}><Period/><Period/></MPD>", PlaylistMalformed, "when this period starts"),
    "periods out of order": (
        f"{HEAD}><Period start='PT5S'/><Period start='PT4S'/></MPD>",
        PlaylistMalformed,
        "put them in order",
    ),
    "a document type": (f"<!DOCTYPE MPD>{VOD.partition('?>')[2].strip()}", PlaylistUnsupported, "a document type"),
    "an entity": ('<!DOCTYPE M [<!ENTITY a "b">]><MPD>&a;</MPD>', PlaylistUnsupported, "a document type"),
    "an entity of nobody": (f"{HEAD}>&a;</MPD>", PlaylistMalformed, "undefined entity"),
    "another encoding": ("<?xml version='1.0' encoding='latin-1'?><MPD/>", PlaylistUnsupported, "'latin-1'"),
    "xlink": (
        f"{HEAD} xmlns:x='http://www.w3.org/1999/xlink'><Period x:href='http://169.254.169.254/'/></MPD>",
        PlaylistUnsupported,
        "Period has xlink:href 'http://169.254.169.254/'",
    ),
    "xlink to nothing": (
        f"{HEAD} xmlns:x='http://www.w3.org/1999/xlink'><Period x:href='urn:mpeg:dash:resolve-to-zero:2013'/></MPD>",
        PlaylistUnsupported,
        "resolve-to-zero",
    ),
    "a file": (f"{HEAD}><BaseURL>file:///etc/passwd</BaseURL><Period/></MPD>", PlaylistUnsupported, "scheme 'file'"),
    "a URL without a host": (f"{HEAD}><BaseURL>http:///x</BaseURL><Period/></MPD>", PlaylistMalformed, "no host"),
    "a URL with a line feed": (
        f"{HEAD}><BaseURL>a\nb/</BaseURL><Period/></MPD>",
        PlaylistMalformed,
        "percent-encode it",
    ),
    "a host with a blank": (f"{HEAD}><BaseURL>http://a b/</BaseURL><Period/></MPD>", PlaylistMalformed, "no host"),
    "a representation without id": (
        f"{HEAD}><Period><AdaptationSet><Representation bandwidth='1'/></AdaptationSet></Period></MPD>",
        PlaylistMalformed,
        "Representation has no id",
    ),
    "a representation without bandwidth": (
        f"{HEAD}><Period><AdaptationSet><Representation id='1'/></AdaptationSet></Period></MPD>",
        PlaylistMalformed,
        "Representation has no bandwidth",
    ),
    "two kinds of addressing": (
        one("<SegmentBase/><SegmentList/>"),
        PlaylistMalformed,
        "SegmentList and a SegmentBase",
    ),
    "two lists": (one("<SegmentList/><SegmentList/>"), PlaylistMalformed, "a second SegmentList"),
    "no media": (one("<SegmentTemplate/>"), PlaylistMalformed, "has no media"),
    "half an identifier": (one('<SegmentTemplate media="a$Number.m4s"/>'), PlaylistMalformed, "without its partner"),
    "an identifier of its own": (one('<SegmentTemplate media="$Name$"/>'), PlaylistMalformed, r"has \$Name\$"),
    "an odd width": (one('<SegmentTemplate media="$Number%5x$"/>'), PlaylistMalformed, "a width is written"),
    "a huge width": (one('<SegmentTemplate media="$Number%099d$"/>'), PlaylistMalformed, "a width is written"),
    "parts of segments": (one('<SegmentTemplate media="$SubNumber$"/>'), PlaylistUnsupported, "parts of segments"),
    "number and time": (one('<SegmentTemplate media="$Number$$Time$"/>'), PlaylistMalformed, "use one of them"),
    "a number in the first": (
        one('<SegmentTemplate media="$Number$" initialization="$Number$"/>'),
        PlaylistMalformed,
        "there is one of it",
    ),
    "no timescale": (one('<SegmentTemplate media="$Number$" timescale="0"/>'), PlaylistMalformed, "timescale is 0"),
    "no length": (one('<SegmentTemplate media="$Number$" duration="0"/>'), PlaylistMalformed, "duration is '0'"),
    "a segment of no length": (
        one('<SegmentTemplate media="$Number$"><SegmentTimeline><S/></SegmentTimeline></SegmentTemplate>'),
        PlaylistMalformed,
        "S has no d",
    ),
    "time that goes back": (
        one(
            '<SegmentTemplate media="$Number$"><SegmentTimeline><S t="5" d="5" r="1"/><S t="10" d="1"/>'
            "</SegmentTimeline></SegmentTemplate>"
        ),
        PlaylistMalformed,
        "begins at 10, and not after the one above it",
    ),
    "time beyond 64 bits": (
        one(
            '<SegmentTemplate media="$Number$"><SegmentTimeline><S t="18446744073709551615" d="5"/></SegmentTimeline>'
            "</SegmentTemplate>"
        ),
        PlaylistMalformed,
        "beyond 64 bits",
    ),
    "an odd range": (one('<SegmentBase indexRange="9-3"/>'), PlaylistMalformed, "a range of bytes"),
    "a timeline of millions": (
        one(
            '<SegmentTemplate media="$Number$"><SegmentTimeline><S d="1" r="99999999"/></SegmentTimeline>'
            "</SegmentTemplate>"
        ),
        PlaylistTooLarge,
        "raise segments_max",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_mpd_is_refused_with_the_reason(name):
    text, kind, message = WRONG[name]
    with pytest.raises(kind, match=message) as caught:
        read(text, URL + "?token=secret")
    assert type(caught.value) is kind
    assert caught.value.url == URL
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "limit", "text"),
    [
        ("mpd_bytes_max", 100, VOD),
        ("elements_max", 5, VOD),
        ("depth_max", 3, VOD),
        ("attributes_max", 3, VOD),
        ("value_chars_max", 30, VOD),
        ("representations_max", 1, VOD),
        ("periods_max", 1, f"{HEAD}><Period duration='PT1S'/><Period/></MPD>"),
        ("base_urls_max", 1, VOD),
        ("resolved_urls_max", 1, VOD),
        ("duration_us_max", 1, VOD),
    ],
)
def test_what_is_beyond_a_limit_is_refused(field, limit, text):
    parse(text.encode(), URL)
    with pytest.raises(PlaylistTooLarge):
        parse(text.encode(), URL, limits=msgspec.structs.replace(Limits(), **{field: limit}))


def test_a_url_that_is_none_is_the_callers_mistake():
    with pytest.raises(ConfigurationError, match="absolute http or https"):
        parse(VOD.encode(), "main.mpd")


def test_a_byte_order_mark_and_old_or_no_namespaces_are_read():
    for text in (VOD.replace("2011", "2011", 1), VOD.replace("urn:mpeg:dash:schema:mpd:2011", ""), "\ufeff" + VOD):
        assert len(read(text).periods[0].adaptation_sets[0].representations) == 2
    assert read(VOD.replace("urn:mpeg:dash:schema:mpd:2011", "urn:mpeg:DASH:schema:MPD:2011")).periods
