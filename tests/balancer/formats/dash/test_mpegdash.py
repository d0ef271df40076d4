"""The same MPDs read by the mpegdash package: where both accept one, they must agree on what it says."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
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


_LENGTH = re.compile(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?")


def us(length: str | None) -> int | None:
    """An ISO 8601 length, which they leave as text; a month is 30 days and a year 365, as to us."""
    if length is None:
        return None
    found = _LENGTH.fullmatch(length)
    assert found is not None
    years, months, days, hours, minutes, seconds = (Decimal(part or 0) for part in found.groups())
    whole = ((365 * years + 30 * months + days) * 24 + hours) * 60 + minutes
    return int((whole * 60 + seconds) * 1_000_000)


def moment(date: str | None) -> int | None:
    if date is None:
        return None
    read = datetime.fromisoformat(date)
    read = read if read.tzinfo is not None else read.replace(tzinfo=UTC)
    return round((read - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000)


def said_by_ours(mpd: Mpd) -> dict[str, Any]:
    return {
        "type": "dynamic" if mpd.is_live else "static",
        "id": mpd.id,
        "profiles": mpd.profiles,
        "lengths": (mpd.duration_us, mpd.min_buffer_us, mpd.time_shift_us, mpd.suggested_delay_us, mpd.max_segment_us),
        "update": mpd.minimum_update_us,
        "moments": (mpd.availability_start_us, mpd.availability_end_us, mpd.publish_us),
        "clocks": [(one.scheme, one.value) for one in mpd.utc_timings],
        "periods": [each.id for each in mpd.periods],
        "sets": [
            (one.id, one.language, one.content_type if one.element.attributes.get("contentType") else None)
            for period in mpd.periods
            for one in period.adaptation_sets
        ],
        "representations": [
            (
                *(each.id, each.bandwidth, each.width, each.height, each.mime_type, each.codecs),
                *(each.frame_rate, each.audio_sampling_rate),
            )
            for each in of_all(mpd)
        ],
    }


def said_by_theirs(mpd: Any) -> dict[str, Any]:
    """It fills in nothing that is inherited."""
    is_live = mpd.type == "dynamic"
    return {
        "type": mpd.type or "static",
        "id": mpd.id,
        "profiles": tuple(filter(None, map(str.strip, (mpd.profiles or "").split(",")))),
        "lengths": (
            us(mpd.media_presentation_duration),
            us(mpd.min_buffer_time),
            us(mpd.time_shift_buffer_depth),
            us(mpd.suggested_presentation_delay),
            us(mpd.max_segment_duration),
        ),
        "update": us(mpd.minimum_update_period) if is_live else None,
        "moments": (moment(mpd.availability_start_time), moment(mpd.availability_end_time), moment(mpd.publish_time)),
        "clocks": [(one.scheme_id_uri, one.value or "") for one in mpd.utc_timings or []],
        "periods": [each.id for each in mpd.periods],
        "sets": [
            (None if one.id is None else str(one.id), one.lang, one.content_type)
            for period in mpd.periods
            for one in period.adaptation_sets or []
        ],
        "representations": [
            (
                each.id,
                int(each.bandwidth),
                each.width or one.width,
                each.height or one.height,
                each.mime_type or one.mime_type,
                each.codecs or one.codecs,
                rate(each.frame_rate or one.frame_rate),
                each.audio_sampling_rate or one.audio_sampling_rate,
            )
            for period in mpd.periods
            for one in period.adaptation_sets or []
            for each in one.representations or []
        ],
    }


def rate(written: str | None) -> float | None:
    return None if written is None else float(Fraction(written))


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_shipped_mpd_says_the_same_to_both(name: str) -> None:
    text = Path(DATA / f"{name}.mpd").read_text()
    assert said_by_ours(parse(text.encode(), URL)) == said_by_theirs(theirs_of(text))


@pytest.mark.parametrize("text", [VOD, LIVE])
def test_an_mpd_of_ours_says_the_same_to_both(text: str) -> None:
    assert said_by_ours(parse(text.encode(), URL)) == said_by_theirs(theirs_of(text))


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
