"""How far a live MPD is, and by when it has to go on."""

from __future__ import annotations

import pytest

from shoal.balancer.formats.dash import parse
from shoal.balancer.formats.dash.progress import goes_on_within_us, listed_until_us

S = 1_000_000
LIVE = 'type="dynamic" availabilityStartTime="2026-01-01T00:00:00Z" minimumUpdatePeriod="PT3S"'


def mpd(*templates: str, attributes: str = LIVE):
    rows = "".join(
        f'<AdaptationSet mimeType="video/mp4"><Representation id="r{place}" bandwidth="1">{template}</Representation>'
        "</AdaptationSet>"
        for place, template in enumerate(templates)
    )
    text = f'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" {attributes}><Period start="PT10S">{rows}</Period></MPD>'
    return parse(text.encode(), "http://a.example/v/live.mpd")


def timeline(rows: str, more: str = "") -> str:
    return f'<SegmentTemplate media="$Time$.m4s" {more}><SegmentTimeline>{rows}</SegmentTimeline></SegmentTemplate>'


def test_it_is_as_far_as_the_timeline_that_ends_last():
    found = mpd(timeline('<S t="40" d="4" r="2"/>'), timeline('<S t="4000" d="500"/>', 'timescale="100"'))
    assert listed_until_us(found) == (10 + 52) * S
    assert goes_on_within_us(found) == 5 * S


def test_what_a_timeline_begins_with_is_the_beginning_of_the_period():
    assert listed_until_us(mpd(timeline('<S t="40" d="4"/>', 'presentationTimeOffset="40"'))) == 14 * S


def test_it_may_stay_as_it_is_for_its_update_period_where_that_is_longer():
    assert goes_on_within_us(mpd(timeline('<S t="0" d="1"/>'))) == 3 * S


@pytest.mark.parametrize(
    ("template", "attributes"),
    [
        ('<SegmentTemplate media="$Number$.m4s" duration="4"/>', LIVE),
        (timeline('<S t="0" d="4" r="-1"/>'), LIVE),
        (timeline('<S t="0" d="4"/>'), 'type="static" mediaPresentationDuration="PT4S"'),
        (timeline('<S t="0" d="4"/>'), LIVE.partition(" minimum")[0]),
    ],
    ids=["counted", "repeated as time goes by", "on demand", "never to be loaded again"],
)
def test_nothing_else_has_to_go_on(template: str, attributes: str):
    assert goes_on_within_us(mpd(template, attributes=attributes)) is None
