"""Which segments an MPD names, and which of them are there by now (ISO/IEC 23009-1, 5.3.9)."""

import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.errors import PlaylistMalformed, PlaylistTooLarge, PlaylistUnsupported
from shoal.balancer.formats.dash import Limits, Reference, init_of, parse, references, segments_of
from shoal.balancer.formats.dash.segments import Growth, growth, indexed, segment_numbered, slots_of
from shoal.balancer.model import ByteRange

from .mpds import HEAD, LIVE, NOON_US, URL, VOD, S, one, read

BASE = "https://cdn.example/show/"
EARLY_BASE = '<BaseURL availabilityTimeOffset="1.5" availabilityTimeComplete="0">x/</BaseURL>'


def first(mpd):
    period = mpd.periods[0]
    return mpd, period, period.adaptation_sets[0].representations[0]


def listed(text, now_us=0, **more):
    """(name, start in seconds, duration in seconds) of each segment."""
    return [
        (segment.uri.removeprefix(BASE), segment.start_us / S, segment.duration_us / S)
        for segment in segments_of(*first(read(text)), now_us, **more)
    ]


def early(element, attributes):
    """The live presentation, whose first such element says this as well."""
    return LIVE.replace(element, f"{element} {attributes}", 1)


def timeline(rows, attributes='media="$Time$" timescale="10"'):
    return one(f"<SegmentTemplate {attributes}><SegmentTimeline>{rows}</SegmentTimeline></SegmentTemplate>")


def test_counted_segments_fill_the_period_and_the_last_is_as_long_as_what_is_left():
    assert listed(VOD) == [
        ("https://a.example/v/hd/005.m4s", 0, 4),
        ("https://a.example/v/hd/006.m4s", 4, 4),
        ("https://a.example/v/hd/007.m4s", 8, 2),
    ]
    section = init_of(first(read(VOD))[2])
    assert section is not None
    assert (section.uri, section.byte_range) == ("https://a.example/v/hd/init.mp4", None)


def test_identifiers_are_filled_in():
    assert listed(one('<SegmentTemplate media="$$$Bandwidth$-$RepresentationID$-$Time%04d$" duration="6"/>')) == [
        ("$7-r-0000", 0, 6),
        ("$7-r-0006", 6, 4),
    ]


def test_an_end_number_ends_what_is_counted():
    assert len(listed(one('<SegmentTemplate media="$Number$" duration="1" endNumber="3"/>'))) == 3


def test_a_template_without_lengths_is_one_segment():
    assert listed(one('<SegmentTemplate media="all.mp4"/>')) == [("all.mp4", 0, 10)]


def test_counted_segments_of_a_period_of_unknown_length_are_refused():
    with pytest.raises(PlaylistMalformed, match="how long the period is"):
        listed(one('<SegmentTemplate media="$Number$" duration="1"/>', of_mpd=""))


def test_more_segments_than_allowed_are_refused():
    with pytest.raises(PlaylistTooLarge, match="10 segments; raise segments_max above 9"):
        listed(one('<SegmentTemplate media="$Number$" duration="1"/>'), limits=Limits(segments_max=9))


def test_a_timeline_repeats_goes_on_and_leaves_gaps():
    rows = '<S t="100" d="20" r="1"/><S d="10"/><S t="170" d="5"/>'
    assert listed(timeline(rows, 'media="$Time$" timescale="10" presentationTimeOffset="100"')) == [
        ("100", 0, 2),
        ("120", 2, 2),
        ("140", 4, 1),
        ("170", 7, 0.5),
    ]


def test_a_timeline_is_counted_where_the_template_asks_for_numbers():
    rows = '<S t="0" d="20" r="1"/><S n="9" d="10"/>'
    assert [name for name, _, _ in listed(timeline(rows, 'media="$Number$" timescale="10" startNumber="3"'))] == [
        "3",
        "4",
        "9",
    ]


def test_a_negative_repeat_goes_up_to_the_next_or_to_the_end_of_the_period():
    assert [time for _, time, _ in listed(timeline('<S t="0" d="30" r="-1"/>'))] == [0, 3, 6, 9]
    assert [time for _, time, _ in listed(timeline('<S t="0" d="30" r="-1"/><S t="60" d="40"/>'))] == [0, 3, 6]


def test_a_list_names_each_segment_with_its_range():
    text = one(
        '<SegmentList duration="4" startNumber="7"><Initialization sourceURL="a.mp4" range="0-99"/>'
        '<SegmentURL media="a.mp4" mediaRange="100-299"/><SegmentURL media="b.mp4"/></SegmentList>'
    )
    mpd, period, representation = first(read(text))
    one_, two = segments_of(mpd, period, representation, 0)
    assert (one_.number, one_.uri, one_.byte_range) == (7, BASE + "a.mp4", ByteRange(100, 200))
    assert (two.number, two.uri, two.byte_range, two.start_us) == (8, BASE + "b.mp4", None, 4 * S)
    section = init_of(representation)
    assert section is not None
    assert section.byte_range == ByteRange(0, 100)


def test_a_list_of_several_says_how_long_they_are():
    with pytest.raises(PlaylistMalformed, match="neither duration nor SegmentTimeline"):
        listed(one('<SegmentList><SegmentURL media="a"/><SegmentURL media="b"/></SegmentList>'))
    with pytest.raises(PlaylistMalformed, match="2 SegmentURLs, and its SegmentTimeline 1"):
        listed(
            one(
                '<SegmentList><SegmentTimeline><S d="1"/></SegmentTimeline>'
                '<SegmentURL media="a"/><SegmentURL media="b"/></SegmentList>'
            )
        )


def test_what_is_inherited_comes_from_the_nearest_that_says_it():
    text = VOD.replace(
        '<Representation id="sd"',
        '<Representation id="x" bandwidth="1"><SegmentTemplate duration="5000"/></Representation>'
        '<Representation id="sd"',
    )
    mpd = read(text)
    period = mpd.periods[0]
    found = segments_of(mpd, period, period.adaptation_sets[0].representations[1], 0)
    assert [segment.uri for segment in found] == [f"https://a.example/v/x/00{place}.m4s" for place in (5, 6)]


def test_a_file_without_addressing_is_one_segment():
    assert listed(one("<BaseURL>en.vtt</BaseURL>")) == [("en.vtt", 0, 10)]


# -- live


def test_live_segments_are_there_once_they_are_complete_and_until_the_window_has_passed_them():
    names = [name for name, _, _ in listed(LIVE, NOON_US + 41_900_000)]
    assert names == [f"{number}.m4s" for number in range(11, 21)]  # of 2 s each, in a window of 20 s
    assert listed(LIVE, NOON_US - 5 * S) == []


def test_segments_that_come_early_are_listed_early():
    early = LIVE.replace("<SegmentTemplate", '<SegmentTemplate availabilityTimeOffset="1.5"')
    assert listed(early, NOON_US + 2_500_000)[-1][0] == "2.m4s"
    assert listed(LIVE, NOON_US + 2_500_000)[-1][0] == "1.m4s"


@pytest.mark.parametrize(
    ("text", "by_us"),
    [
        (early("<SegmentTemplate", 'availabilityTimeOffset="1.5" availabilityTimeComplete="false"'), S // 2),
        (LIVE.replace("<Period", f"{EARLY_BASE}<Period"), S // 2),
        (early("<SegmentTemplate", 'availabilityTimeOffset="INF" availabilityTimeComplete="false"'), 2 * S),
        (early("<SegmentTemplate", 'availabilityTimeOffset="1.5" availabilityTimeComplete="true"'), None),
        (early("<SegmentTemplate", 'availabilityTimeOffset="1.5"'), None),
        (early("<SegmentTemplate", 'availabilityTimeComplete="false"'), None),
        (LIVE, None),
    ],
)
def test_what_can_be_had_before_it_is_complete_grows_until_then_by_what_is_left_of_it(text, by_us):
    mpd, period, representation = first(read(text))
    segment = segment_numbered(mpd, period, representation, 5, NOON_US + 8 * S, ahead_us=20 * S)
    assert segment is not None
    found = growth(mpd, representation, segment)
    assert found == (None if by_us is None else Growth(NOON_US + 10 * S, by_us))


def test_a_live_presentation_without_a_window_lists_the_newest():
    text = LIVE.replace('timeShiftBufferDepth="PT20S"', "")
    found = listed(text, NOON_US + 20_000 * S, limits=Limits(segments_max=100))
    assert [found[0][0], found[-1][0], len(found)] == ["9901.m4s", "10000.m4s", 100]


def test_a_player_whose_clock_is_ahead_is_told_of_the_next_segment_and_no_further():
    mpd, period, representation = first(read(LIVE))
    now_us = NOON_US + 40 * S

    def named(number):
        return segment_numbered(mpd, period, representation, number, now_us, ahead_us=2 * S)

    found = named(21)
    assert found is not None
    assert (found.uri, found.start_us) == (BASE + "21.m4s", 40 * S)
    assert named(22) is None
    assert named(5) is None


def test_an_open_timeline_of_a_live_presentation_grows_with_time():
    text = LIVE.replace('duration="20"', "").replace(
        'initialization="i.mp4"/>',
        'initialization="i.mp4"><SegmentTimeline><S t="0" d="20" r="-1"/></SegmentTimeline></SegmentTemplate>',
    )
    assert len(listed(text, NOON_US + 9 * S)) == 4
    assert len(listed(text, NOON_US + 10 * S)) == 5
    assert [start for _, start, _ in listed(text, NOON_US + 10**6 * S)] == list(range(10**6 - 20, 10**6, 2))


@given(st.integers(1, 90_000), st.integers(1, 10**6), st.integers(1, 3 * 10**7), st.integers(0, 3 * 10**7))
def test_counted_segments_of_any_length_follow_on_one_another_and_fill_the_period(timescale, ticks, length_us, offset):
    if length_us * timescale > 5_000 * ticks * S:
        length_us = 5_000 * ticks * S // timescale
    text = one(
        f'<SegmentTemplate media="$Number$" timescale="{timescale}" duration="{ticks}" '
        f'presentationTimeOffset="{offset}"/>',
        of_mpd=f'mediaPresentationDuration="PT{length_us // S}.{length_us % S:06}S"',
    )
    found = segments_of(*first(read(text)), 0)
    assert sum(segment.duration_us for segment in found) == pytest.approx(length_us, abs=len(found) + 1)
    for place, segment in enumerate(found):
        assert segment.start_us == pytest.approx(place * ticks * S / timescale, abs=1)
        assert segment.number == place + 1


# -- sidx


def sidx(rows, *, version=0, timescale=10, time=0, first_offset=0):
    """A box as ISO/IEC 14496-12, 8.16.3.2 writes it."""
    body = struct.pack(">B3xII", version, 1, timescale)
    body += struct.pack(">QQ" if version else ">II", time, first_offset) + struct.pack(">HH", 0, len(rows))
    for size, duration in rows:
        body += struct.pack(">III", size, duration, 0x9000_0000)
    return struct.pack(">I4s", len(body) + 8, b"sidx") + body


@pytest.mark.parametrize("version", [0, 1])
def test_an_index_names_the_ranges_of_its_file(version):
    data = sidx([(100, 20), (50, 10)], version=version, time=5, first_offset=3)
    begin = 700 + len(data) + 3
    assert references(data + b"more", 700) == (
        Reference(5, 20, 10, ByteRange(begin, 100)),
        Reference(25, 10, 10, ByteRange(begin + 100, 50)),
    )


def test_segments_of_an_index_are_ranges_of_the_one_file():
    text = one(
        '<BaseURL>film.mp4</BaseURL><SegmentBase indexRange="700-800" timescale="10" presentationTimeOffset="5"/>'
    )
    _, period, representation = first(read(text))
    one_, two = indexed(period, representation, references(sidx([(100, 20), (50, 10)], time=5), 700))
    assert (one_.uri, one_.start_us, one_.duration_us) == (BASE + "film.mp4", 0, 2 * S)
    assert (two.byte_range.length, two.start_us, two.duration_us) == (50, 2 * S, S)


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (b"", PlaylistMalformed, "no sidx box"),
        (b"\0\0\0\x20ftypisom" + bytes(40), PlaylistMalformed, "no sidx box"),
        (sidx([(1, 1)])[:-1], PlaylistMalformed, "cut off"),
        (sidx([], timescale=0), PlaylistMalformed, "timescale 0"),
        (sidx([(0, 1)]), PlaylistMalformed, "0 bytes"),
        (sidx([(1 << 31 | 5, 1)]), PlaylistUnsupported, "another index"),
        (sidx([(1, 1)] * 20_001), PlaylistTooLarge, "20001 segments"),
    ],
)
def test_what_is_no_index_is_refused(data, kind, message):
    with pytest.raises(kind, match=message):
        references(data, 0)


def test_a_timeline_is_read_once_for_the_representations_that_share_it() -> None:
    template = '<SegmentTemplate media="$RepresentationID$-$Number$.m4s"><SegmentTimeline><S t="0" d="2" r="9"/>'
    ends = "</SegmentTimeline></SegmentTemplate>"
    own = '<Representation id="c" bandwidth="3"><SegmentTemplate startNumber="7"/></Representation>'
    both = '<Representation id="a" bandwidth="1"/><Representation id="b" bandwidth="2"/>'
    mpd = parse(
        f"{HEAD} mediaPresentationDuration='PT20S'><Period><AdaptationSet>{template}{ends}{both}{own}"
        "</AdaptationSet></Period></MPD>".encode(),
        URL,
    )
    a, b, c = mpd.periods[0].adaptation_sets[0].representations
    assert a.addressing.runs is b.addressing.runs
    assert [segments_of(mpd, mpd.periods[0], each, 0)[0].number for each in (a, b, c)] == [1, 1, 7]


def test_a_segment_may_begin_a_little_before_the_one_above_it_has_ended() -> None:
    assert listed(timeline('<S t="0" d="20" r="1"/><S t="39" d="20"/>')) == [("0", 0, 2), ("20", 2, 2), ("39", 3.9, 2)]


def test_a_segment_begins_after_the_one_above_it_where_a_row_between_them_has_none() -> None:
    none = '<S t="0" d="20"/><S t="15" d="1" r="-1"/>'
    assert [time for _, time, _ in listed(timeline(f'{none}<S t="10" d="20"/>'))] == [0, 1]
    with pytest.raises(PlaylistMalformed, match=r"begins at 0, and not after the one above it \(0\)"):
        listed(timeline(f'{none}<S t="0" d="20"/>'))


ROWS = st.lists(
    st.tuples(st.sampled_from(["", 't="0"', 't="5"']), st.sampled_from([2, 9]), st.sampled_from([-1, 0, 1])),
    min_size=2,
    max_size=4,
)


@given(ROWS)
def test_each_segment_of_a_timeline_begins_after_the_one_before(rows) -> None:
    text = "".join(f'<S {begin} d="{duration}" r="{repeat}"/>' for begin, duration, repeat in rows)
    try:
        mpd, period, representation = first(read(timeline(text)))
    except PlaylistMalformed:
        return
    slots = slots_of(mpd, period, representation, 0)
    assert all(one[1] < other[1] for one, other in pairwise(slots))


def test_where_length_and_timeline_are_said_the_timeline_counts() -> None:
    rows = '<S t="0" d="20"/><S d="30"/>'
    assert listed(timeline(rows, 'media="$Time$" timescale="10" duration="25"')) == [("0", 0, 2), ("20", 2, 3)]
