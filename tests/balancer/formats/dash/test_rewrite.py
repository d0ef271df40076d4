"""What a local player gets: the same document, and every URL in it is ours."""

from urllib.parse import unquote, urljoin

import pytest

from shoal.balancer.errors import ConfigurationError, PlaylistUnsupported
from shoal.balancer.formats.dash import Descriptor, Name, file_name, init_of, parse, read_name, rewrite, segments_of

from .mpds import HEAD, LIVE, NOON_US, VOD, S, one, read

PROXY = "http://127.0.0.1:1/stream.mpd"


def rewritten(text):
    mpd = read(text)
    numbers = {}
    for period in mpd.periods:
        for adaptation_set in period.adaptation_sets:
            for representation in adaptation_set.representations:
                numbers[id(representation)] = len(numbers)
    return rewrite(mpd, lambda representation: f"/dash/{numbers[id(representation)]}/")


def text_of(text):
    return rewritten(text).data.decode()


def player_sees(text, now_us=0):
    """Per representation: where a player looks for its initialization section and its segments."""
    mpd = parse(rewritten(text).data, PROXY)
    rows = []
    for period in mpd.periods:
        for adaptation_set in period.adaptation_sets:
            for representation in adaptation_set.representations:
                section = init_of(representation)
                found = segments_of(mpd, period, representation, now_us)
                rows.append((section and section.uri, [segment.uri for segment in found]))
    return rows


def ours(path):
    return urljoin(PROXY, path)


def test_every_segment_of_a_template_has_our_name():
    assert player_sees(VOD) == [
        (ours(f"/dash/{number}/init.mp4"), [ours(f"/dash/{number}/n{place}.m4s") for place in (5, 6, 7)])
        for number in (0, 1)
    ]


def test_segments_by_time_are_called_by_time():
    inner = (
        '<SegmentTemplate media="x/$Time%09d$.cmfv?sig=1"><SegmentTimeline><S t="3" d="5" r="1"/></SegmentTimeline>'
        "</SegmentTemplate>"
    )
    assert player_sees(one(inner)) == [(None, [ours("/dash/0/t3.cmfv"), ours("/dash/0/t8.cmfv")])]


def test_ranges_of_a_list_are_resources_of_their_own():
    inner = (
        '<SegmentList duration="4" startNumber="7"><Initialization range="0-99"/>'
        '<SegmentURL media="a.mp4" mediaRange="100-299" indexRange="100-120"/><SegmentURL mediaRange="300-400"/>'
        "</SegmentList>"
    )
    assert player_sees(one(f"<BaseURL>all.mp4</BaseURL>{inner}")) == [
        (ours("/dash/0/init"), [ours("/dash/0/n7.mp4"), ours("/dash/0/n8")])
    ]
    assert "ange" not in text_of(one(inner)).partition("<SegmentList")[2]


def test_a_file_keeps_its_ranges():
    inner = '<SegmentBase indexRange="100-200"><Initialization range="0-99"/></SegmentBase>'
    assert inner in text_of(one(f"<BaseURL>all.mp4</BaseURL>{inner}"))


def test_all_else_stays_byte_for_byte():
    text = text_of(VOD)
    for kept in (
        '<?xml version="1.0" encoding="UTF-8"?>\n<MPD xmlns',
        "<!-- a comment that stays -->",
        '<x:extra xmlns:x="urn:x" y="1 &lt; 2">kept</x:extra>',
        'profiles="urn:a, urn:b"',
        'timescale="1000" duration="4000" startNumber="5"\n          media=',
    ):
        assert kept in text
    assert text.count("<BaseURL>") == 3  # one above, ours in each representation
    assert "example" not in text


def test_prefixes_of_the_document_are_used():
    text = (
        '<m:MPD xmlns:m="urn:mpeg:dash:schema:mpd:2011" mediaPresentationDuration="PT1S"><m:Period><m:AdaptationSet>'
        '<m:Representation id="1" bandwidth="1" /></m:AdaptationSet></m:Period></m:MPD>'
    )
    assert '<m:Representation id="1" bandwidth="1"><m:BaseURL>/dash/0/</m:BaseURL></m:Representation>' in text_of(text)


def test_what_a_base_url_says_of_time_stays_and_who_it_is_goes():
    text = text_of(
        f"{HEAD} mediaPresentationDuration='PT1S'><BaseURL a='b>c' availabilityTimeOffset='1.5' serviceLocation='x' />"
        "<Period><BaseURL/><BaseURL>z/</BaseURL></Period></MPD>"
    )
    assert "<BaseURL a='b>c' availabilityTimeOffset='1.5'>/</BaseURL><Period><BaseURL>/</BaseURL></Period>" in text


def test_a_player_is_not_led_around_us():
    result = rewritten(LIVE)
    assert result.dropped == {"Location": 1, "PatchLocation": 1, "ContentSteering": 1}
    text = result.data.decode()
    assert "steer.example" not in text
    assert "patch.mpp" not in text
    assert 'value="https://cdn.example/show/time?a=1&amp;b=2"' in text
    assert player_sees(LIVE, NOON_US + 4 * S) == [
        (ours("/dash/0/init.mp4"), [ours("/dash/0/n1.m4s"), ours("/dash/0/n2.m4s")])
    ]


def test_a_period_that_has_not_begun_is_not_given_to_players():
    early = '<Period id="2"><BaseURL>https://b.example/</BaseURL><AdaptationSet/></Period>'
    result = rewritten(LIVE.replace("</Period>", f"</Period>{early}<Period />"))
    assert result == rewritten(LIVE)


def test_a_list_that_two_representations_count_differently_is_refused():
    text = (
        f"{HEAD} mediaPresentationDuration='PT8S'><Period><AdaptationSet><SegmentList duration='4'>"
        "<SegmentURL media='a'/></SegmentList><Representation id='1' bandwidth='1'/><Representation id='2' "
        "bandwidth='1'><SegmentList startNumber='5'/></Representation></AdaptationSet></Period></MPD>"
    )
    with pytest.raises(PlaylistUnsupported, match="counts from 1 and, in another representation, from 5"):
        rewritten(text)


def test_a_base_url_that_could_break_out_of_its_place_is_refused():
    with pytest.raises(ConfigurationError, match="cannot be the base URL"):
        rewrite(read(VOD), lambda _: '"><Location>')


def test_names_are_read_as_they_are_written():
    assert read_name("n17.m4s") == Name("number", 17)
    assert read_name("t0") == Name("time", 0)
    assert read_name("init.mp4") == Name("init")
    assert read_name("index") == Name("index")
    for name in ("film.mp4", "n.m4s", "n1.m4s/..", "n" + "1" * 21, ""):
        assert read_name(name) == Name("file")
        assert file_name(name) == name


@pytest.mark.parametrize("name", ["index.mp4", "init.mp4", "t1.vtt", "n1.mp4", "init", "n%31.mp4", "%69ndex.mp4"])
def test_a_file_that_is_called_as_a_segment_has_another_name(name):
    assert file_name(name) == f"file-{name}"
    assert read_name(unquote(file_name(name))) == Name("file")


def test_a_clock_that_tells_the_time_itself_can_tell_a_later_one():
    scheme = "urn:mpeg:dash:utc:direct:2014"
    clocks = (
        f"<UTCTiming value = '2026-01-31T12:00:00.25+00:00' schemeIdUri='{scheme}'/>"
        f'<UTCTiming schemeIdUri="{scheme}" value="soon"/><UTCTiming schemeIdUri="urn:x" value="2026-01-31T12:00:00Z"/>'
    )
    after = f'<UTCTiming schemeIdUri="{scheme}" value="2026-01-31T12:00:00Z"></UTCTiming></MPD>'
    result = rewritten(LIVE.replace("<Period", f"{clocks}<Period").replace("</MPD>", after))
    assert clocks.encode() in result.data
    later = result.at(NOON_US + 3_125_000)
    assert parse(later, PROXY).utc_timings == (
        Descriptor(scheme, "2026-01-31T12:00:03.125Z"),
        Descriptor(scheme, "soon"),
        Descriptor("urn:x", "2026-01-31T12:00:00Z"),
        Descriptor("urn:mpeg:dash:utc:http-xsdate:2014", "https://cdn.example/show/time?a=1&b=2"),
        Descriptor(scheme, "2026-01-31T12:00:03.125Z"),
    )
    told = b"2026-01-31T12:00:03.125Z"
    for before in (b"2026-01-31T12:00:00.25+00:00", b'2026-01-31T12:00:00Z"></'):
        assert result.data.count(before) == 1
    right = result.data.replace(b"2026-01-31T12:00:00.25+00:00", told)
    assert later == right.replace(b'2026-01-31T12:00:00Z"></', told + b'"></')


def test_what_tells_no_time_itself_is_the_same_at_any():
    result = rewritten(LIVE)
    assert result.at(NOON_US) == result.data
