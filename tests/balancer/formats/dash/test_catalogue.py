"""Representations as renditions of the balancer: numbers that stay, and the resource behind each name."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.formats.dash import Catalogue, Name, Reference, segments_of
from shoal.balancer.model import ByteRange, Kind, ResourceKey

from .mpds import HEAD, LIVE, NOON_US, VOD, S, one, read


def catalogue_of(text):
    catalogue = Catalogue()
    catalogue.update(read(text))
    return catalogue


def test_media_are_numbered_in_half_seconds_and_called_by_their_names():
    catalogue = catalogue_of(VOD)
    assert sorted(catalogue.renditions) == [0, 1]
    found = catalogue.resources(0, 0)
    assert [segment.key.number for segment in found.media] == [0, 8, 16]
    (section,) = found.inits
    assert section.key == ResourceKey(0, Kind.INIT, 0)
    assert catalogue.find(0, Name("init"), None, 0) == section
    assert catalogue.find(0, Name("number", 6), None, 0) == found.media[1]
    assert catalogue.find(0, Name("number", 8), None, 0) is None
    assert catalogue.find(0, Name("file"), None, 0) is None
    assert catalogue.find(0, Name("index"), None, 0) is None


def test_segments_shorter_than_half_a_second_have_numbers_of_their_own():
    catalogue = catalogue_of(one('<SegmentTemplate media="$Number$" timescale="10" duration="2"/>'))
    numbers = [segment.key.number for segment in catalogue.resources(0, 0).media]
    assert numbers == list(range(50))


def test_a_rendition_keeps_its_number_and_a_new_period_has_new_ones():
    def text(*periods):
        rows = "".join(
            f'<Period id="{name}" start="PT{start}S"><AdaptationSet><SegmentTemplate media="{name}$Number$" '
            'duration="2"/><Representation id="v" bandwidth="1"/></AdaptationSet></Period>'
            for name, start in periods
        )
        return f"{HEAD} mediaPresentationDuration='PT30S'>{rows}</MPD>"

    catalogue = catalogue_of(text(("a", 0), ("b", 10)))
    assert {number: known.period.id for number, known in catalogue.renditions.items()} == {0: "a", 1: "b"}
    catalogue.update(read(text(("b", 10), ("c", 20))))
    assert {number: known.period.id for number, known in catalogue.renditions.items()} == {1: "b", 2: "c"}


def test_numbers_that_mean_other_segments_are_a_new_beginning():
    catalogue = catalogue_of(LIVE)
    assert not catalogue.resources(0, NOON_US + 40 * S).is_restarted
    assert not catalogue.resources(0, NOON_US + 44 * S).is_restarted
    catalogue.update(read(LIVE.replace("$Number$", "new$Number$")))
    assert catalogue.resources(0, NOON_US + 44 * S).is_restarted


def test_a_segment_that_is_about_to_be_there_is_found_by_its_number():
    catalogue = catalogue_of(LIVE)
    listed = catalogue.resources(0, NOON_US + 40 * S).media
    early = catalogue.find(0, Name("number", 21), None, NOON_US + 40 * S)
    assert early is not None
    assert early.key.number == listed[-1].key.number + 4
    assert catalogue.find(0, Name("number", 40), None, NOON_US + 40 * S) is None


def test_any_range_of_a_file_that_is_named_is_a_resource():
    catalogue = catalogue_of(
        one(
            '<BaseURL>film.mp4</BaseURL><SegmentBase indexRange="100-199"><Initialization range="0-99"/></SegmentBase>',
        )
    )
    assert catalogue.renditions[0].index == ("https://cdn.example/show/film.mp4", ByteRange(100, 100))
    whole = catalogue.resources(0, 0).media
    assert [segment.byte_range for segment in whole] == [None]
    section = catalogue.find(0, Name("file"), ByteRange(0, 100), 0)
    assert section is not None
    assert section.key.kind is Kind.INIT
    asked = catalogue.find(0, Name("file"), ByteRange(0, 1500), 0)
    assert asked is not None
    assert (asked.key.kind, asked.byte_range) == (Kind.DATA, ByteRange(0, 1500))
    assert catalogue.find(0, Name("file"), ByteRange(0, 1500), 0) == asked
    catalogue.renditions[0].references = (
        Reference(0, 40, 10, ByteRange(200, 1000)),
        Reference(40, 60, 10, ByteRange(1200, 900)),
    )
    media = catalogue.resources(0, 0).media
    assert [segment.byte_range for segment in media] == [ByteRange(200, 1000), ByteRange(1200, 900)]
    assert catalogue.find(0, Name("file"), ByteRange(1200, 900), 0) == media[1]


def test_ranges_that_were_asked_for_are_forgotten_in_the_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("shoal.balancer.formats.dash.catalogue.REMEMBERED_MAX", 5)
    catalogue = catalogue_of(one("<BaseURL>film.mp4</BaseURL>"))
    catalogue.resources(0, 0)
    for first in range(50):
        assert catalogue.find(0, Name("file"), ByteRange(first, 10), 0) is not None
    assert len(catalogue.renditions[0].segments) == 6  # these, and the whole file


class Made(NamedTuple):
    """What all segments of a load have in common."""

    media: str = "$Time$.m4s"
    timescale: int = 1
    lengths: tuple[int, ...] = (4,)  # of segments one after another, in ticks; in a timeline
    overlap: int = 0  # by how many ticks each begins before the one before has ended, if that is as long; < 0: gaps
    counted: int | None = None  # the length of each, where they are counted
    start_s: int = 0  # of the period
    length_s: int | None = None
    offset: int = 0
    early: str = ""
    base: str = ""
    is_live: bool = True

    def number_of(self, first: int) -> int:
        """Windows whose segments are called by their times count from one, mostly."""
        return 1 if "$Time$" in self.media else first

    def mpd(self, first: int, count: int) -> str:
        kind = (
            'type="dynamic" availabilityStartTime="2026-01-31T12:00:00Z" timeShiftBufferDepth="PT20S"'
            if self.is_live
            else 'mediaPresentationDuration="PT40S"'
        )
        length = "" if self.length_s is None else f'duration="PT{self.length_s}S"'
        steps = [length - min(self.overlap, length - 1) for length in self.lengths]
        times = [sum(steps[place % len(steps)] for place in range(each)) for each in range(first + count)]
        rows = "".join(
            f'<S t="{times[place]}" d="{self.lengths[place % len(self.lengths)]}"/>'
            for place in range(first, first + count)
        )
        how = "" if self.counted is None else f'duration="{self.counted}"'
        inner = f"<SegmentTimeline>{rows}</SegmentTimeline>" if self.counted is None else ""
        return (
            f'{HEAD} {kind}><Period id="p" start="PT{self.start_s}S" {length}><AdaptationSet>'
            f'<SegmentTemplate media="{self.media}" timescale="{self.timescale}" startNumber="{self.number_of(first)}" '
            f'presentationTimeOffset="{self.offset}" {how} {self.early}>{inner}</SegmentTemplate>'
            f'<Representation id="v" bandwidth="1"><BaseURL>{self.base}</BaseURL></Representation>'
            "</AdaptationSet></Period></MPD>"
        )


MADE = st.builds(
    Made,
    media=st.sampled_from(["$Time$.m4s", "$Number$.m4s", "$Time$.m4s?a=1", "$Time$.m4s?a=2"]),
    timescale=st.sampled_from([1, 3, 10]),
    lengths=st.sampled_from([(4,), (1,), (1, 2), (3, 1, 9)]),
    overlap=st.sampled_from([0, 0, 1, 8, -2]),
    counted=st.sampled_from([None, None, 1, 3]),
    start_s=st.sampled_from([0, 5]),
    length_s=st.sampled_from([None, 7, 20]),
    offset=st.sampled_from([0, 2]),
    early=st.sampled_from(["", 'availabilityTimeOffset="0.5" availabilityTimeComplete="false"']),
    base=st.sampled_from(["", "x/"]),
    is_live=st.booleans(),
)


@st.composite
def loads(draw: st.DrawFn) -> list[tuple[Made, int, int, int]]:
    """Of two kinds that differ in anything, mostly: what they are made of, the first segment, how many, and when."""
    kinds = st.sampled_from(draw(st.lists(MADE, min_size=1, max_size=2)))
    each = st.tuples(kinds, st.integers(0, 6), st.integers(1, 12), st.integers(0, 40))
    return draw(st.lists(each, min_size=2, max_size=5))


@given(loads())
def test_what_is_taken_from_the_listing_before_is_what_a_whole_reading_makes(loads):
    catalogue, last = Catalogue(), {}
    for made, first, count, at_s in loads:
        mpd, now_us = read(made.mpd(first, count)), NOON_US + at_s * S
        whole = Catalogue()
        whole.update(mpd)
        right = whole.resources(0, now_us)
        catalogue.update(mpd)
        found = catalogue.resources(0, now_us)
        assert found.media == right.media
        every = segments_of(mpd, mpd.periods[0], mpd.periods[0].adaptation_sets[0].representations[0], now_us)
        assert [each.uri for each in found.media] == [each.uri for each in every]  # and so no two took one place
        assert found.inits == right.inits
        assert catalogue.renditions[0].names == whole.renditions[0].names
        assert catalogue.renditions[0].segments == whole.renditions[0].segments
        named = {each.key.number: each.uri.partition("?")[0] for each in right.media}
        assert found.is_restarted == any(last.get(number, uri) != uri for number, uri in named.items())
        last = named


@pytest.mark.parametrize("media", ["$Time$.m4s", "$Number$.m4s"])
def test_segments_that_stayed_are_not_made_again(media):
    catalogue, made = Catalogue(), Made(lengths=(3, 4), media=media)
    catalogue.update(read(made.mpd(2, 9)))
    before = catalogue.resources(0, 0).media
    catalogue.update(read(made.mpd(4, 9)))
    after = catalogue.resources(0, 0).media
    assert all(one is other for one, other in zip(after[:-2], before[2:], strict=True))
