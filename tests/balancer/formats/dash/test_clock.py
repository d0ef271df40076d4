"""Which clock of an MPD is read, and what it tells."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.errors import PlaylistMalformed
from shoal.balancer.formats import dash
from shoal.balancer.formats.dash.clock import Clock, clock_of, told_us
from shoal.balancer.formats.dash.values import date_of, date_us

NOON_US = 1_769_860_800_000_000  # 2026-01-31T12:00:00Z


def clock(*rows: tuple[str, str]) -> Clock | None:
    timings = "".join(f'<UTCTiming schemeIdUri="{scheme}" value="{value}"/>' for scheme, value in rows)
    head = '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="dynamic" availabilityStartTime="1970-01-01T00:00:00Z">'
    text = f'{head}<Period start="PT0S"/>{timings}</MPD>'
    return clock_of(dash.parse(text.encode(), "https://one/v/main.mpd"))


@pytest.mark.parametrize(
    ("scheme", "value", "right"),
    [
        ("urn:mpeg:dash:utc:direct:2014", "2026-01-31T12:00:00Z", Clock(said_us=NOON_US)),
        ("urn:mpeg:dash:utc:http-iso:2014", "https://t/?iso", Clock(("https://t/?iso",))),
        ("urn:mpeg:dash:utc:http-xsdate:2012", "time https://t/", Clock(("https://one/v/time", "https://t/"))),
        ("urn:mpeg:dash:utc:http-head:2014", "/", Clock(("https://one/",), by_head=True)),
        ("urn:mpeg:dash:utc:ntp:2014", "ntp.example", None),
        ("urn:mpeg:dash:utc:http-iso:2030", "https://t/", None),
        ("urn:mpeg:dash:utc:direct:2014", "soon", None),
        ("urn:mpeg:dash:utc:http-iso:2014", "ftp://t/", None),
        ("urn:mpeg:dash:utc:http-iso:2014", "", None),
        ("urn:other", "https://t/", None),
    ],
)
def test_a_clock_that_can_be_asked_is_found(scheme: str, value: str, right: Clock | None) -> None:
    assert clock((scheme, value)) == right


def test_the_first_that_can_be_asked_counts() -> None:
    rows = [(f"urn:mpeg:dash:utc:{name}:2014", "https://t/") for name in ("sntp", "http-head", "http-iso")]
    assert clock(*rows) == Clock(("https://t/",), by_head=True)


def test_what_clocks_tell() -> None:
    by_body, by_head = Clock(("https://t/",)), Clock(("https://t/",), by_head=True)
    assert told_us(by_body, None, b"2026-01-31T12:00:00.25Z\n") == NOON_US + 250_000
    assert told_us(by_head, "Sat, 31 Jan 2026 12:00:00 GMT", b"") == NOON_US + 500_000


@given(st.booleans(), st.none() | st.text(), st.binary())
def test_an_answer_is_a_time_or_refused(by_head: bool, date: str | None, body: bytes) -> None:
    asked = Clock(("https://t/",), by_head=by_head)
    with contextlib.suppress(PlaylistMalformed):
        assert isinstance(told_us(asked, date, body), int)


@given(st.integers(-(10**17), 3 * 10**17))
def test_a_date_is_read_as_it_was_written(us: int) -> None:
    read = date_us(date_of(us))
    assert read is not None
    assert read == us // 1000 * 1000 or not 0 < us + 62 * 10**15 < 314 * 10**15  # beyond what a date can say
