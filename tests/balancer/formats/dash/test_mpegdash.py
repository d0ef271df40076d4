"""The same MPDs read by the mpegdash package: where both accept one, they must agree on what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.formats.dash import Mpd, Representation, parse, segments_of

from .mpds import HEAD, LIVE, URL, VOD
from .test_mpd_parser import ACCEPTED, DATA

mpegdash = pytest.importorskip("mpegdash.parser")


def theirs_of(text: str) -> Any:
    return mpegdash.MPEGDASHParser.parse(text)


def of_all(mpd: Mpd) -> list[Representation]:
    return [each for period in mpd.periods for one in period.adaptation_sets for each in one.representations]


def said_by_ours(mpd: Mpd) -> list[tuple[Any, ...]]:
    return [(each.id, each.bandwidth, each.width, each.height, each.mime_type, each.codecs) for each in of_all(mpd)]


def said_by_theirs(mpd: Any) -> list[tuple[Any, ...]]:
    """It fills in nothing that is inherited."""
    return [
        (
            each.id,
            int(each.bandwidth),
            each.width or one.width,
            each.height or one.height,
            each.mime_type or one.mime_type,
            each.codecs or one.codecs,
        )
        for period in mpd.periods
        for one in period.adaptation_sets or []
        for each in one.representations or []
    ]


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_shipped_mpd_says_the_same_to_both(name: str) -> None:
    text = Path(DATA / f"{name}.mpd").read_text()
    assert said_by_ours(parse(text.encode(), URL)) == said_by_theirs(theirs_of(text))


@pytest.mark.parametrize("text", [VOD, LIVE])
def test_an_mpd_of_ours_says_the_same_to_both(text: str) -> None:
    ours, theirs = parse(text.encode(), URL), theirs_of(text)
    assert said_by_ours(ours) == said_by_theirs(theirs)
    assert [each.id for each in ours.periods] == [each.id for each in theirs.periods]
    assert ("dynamic" if ours.is_live else "static") == theirs.type


@st.composite
def timelines(draw: st.DrawFn) -> str:
    """An MPD with timelines: rows of S, some with times, and templates whose attributes stand at any level."""
    rows, time = [], 0
    for _ in range(draw(st.integers(1, 6))):
        begin = ""
        if draw(st.booleans()):
            time += draw(st.integers(0, 1000))
            begin = f't="{time}" '
        duration, repeat = draw(st.integers(1, 10**6)), draw(st.integers(0, 4))
        rows.append(f'<S {begin}d="{duration}"' + (f' r="{repeat}"/>' if repeat or draw(st.booleans()) else "/>"))
        time += duration * (repeat + 1)
    attributes = {
        "timescale": draw(st.integers(1, 90_000)),
        "startNumber": draw(st.integers(0, 10**6)),
        "media": draw(st.sampled_from(["$Number%07d$.m4s", "a/$RepresentationID$-$Time$.m4s", "$Bandwidth$/$Number$"])),
    }
    above = {name for name in attributes if draw(st.booleans())}

    def written(names: set[str]) -> str:
        return " ".join(f'{name}="{attributes[name]}"' for name in sorted(names))

    return (
        f"{HEAD} mediaPresentationDuration='PT100S'><Period><AdaptationSet><SegmentTemplate {written(above)}>"
        f"<SegmentTimeline>{''.join(rows)}</SegmentTimeline></SegmentTemplate>"
        f'<Representation id="r{draw(st.integers(0, 9))}" bandwidth="{draw(st.integers(1, 10**9))}">'
        f"<SegmentTemplate {written(attributes.keys() - above)}/></Representation></AdaptationSet></Period></MPD>"
    )


@given(timelines())
def test_any_timeline_has_the_segments_that_its_rows_say(text: str) -> None:
    mpd, theirs = parse(text.encode(), URL), theirs_of(text)
    (representation,) = of_all(mpd)
    (their_set,) = theirs.periods[0].adaptation_sets
    (their_representation,) = their_set.representations
    (above,), (own,) = their_set.segment_templates, their_representation.segment_templates

    def inherited(name: str, default: Any) -> Any:
        return next((value for each in (own, above) if (value := getattr(each, name)) is not None), default)

    number, media = inherited("start_number", 1), inherited("media", None)
    timescale = inherited("timescale", 1)
    expected, time = [], 0
    for row in above.segment_timelines[0].Ss:
        time = time if row.t is None else row.t
        for _ in range((row.r or 0) + 1):
            name = (
                media.replace("$Number%07d$", f"{number:07}")
                .replace("$Number$", str(number))
                .replace("$Time$", str(time))
                .replace("$Bandwidth$", str(int(their_representation.bandwidth)))
                .replace("$RepresentationID$", their_representation.id)
            )
            expected.append((f"https://cdn.example/show/{name}", time * 10**6 // timescale, row.d * 10**6 // timescale))
            number += 1
            time += row.d
    found = segments_of(mpd, mpd.periods[0], representation, 0)
    assert [(each.uri, each.start_us, each.duration_us) for each in found] == expected
