"""Representations as renditions of the balancer: numbers that stay, and the resource behind each name."""

import pytest

from shoal.balancer.formats.dash import Catalogue, Name, Reference
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
