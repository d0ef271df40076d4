"""Reports of what came: agreed on in descriptions, exact, and of no use to who would forge them."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shoal.transports.sansio.descriptions import bounded_description
from shoal.transports.sansio.reports import (
    REPORT_BYTES,
    Arrivals,
    BadReport,
    Departures,
    Reports,
    reports_of,
    with_reports,
)

DESCRIPTION = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
sizes = st.lists(st.integers(0, 70_000), max_size=60)


def said(reports: Reports) -> tuple[bool, bool]:
    return reports.wanted, reports.given


@pytest.mark.parametrize("wanted", [False, True])
@pytest.mark.parametrize("given_", [False, True])
def test_the_other_side_reads_what_a_description_says(wanted, given_):
    told = bounded_description(with_reports(DESCRIPTION, Reports(wanted=wanted, given=given_)))
    assert said(reports_of(told)) == (wanted, wanted or given_)


def test_a_description_without_a_word_of_it_stays_as_it_is_and_says_nothing():
    assert with_reports(DESCRIPTION, Reports(wanted=False, given=False)) == DESCRIPTION
    assert said(reports_of(DESCRIPTION)) == (False, False)
    assert said(reports_of(DESCRIPTION + "a=x-shoal-reports:monthly\r\n")) == (False, False)


@given(sizes)
def test_what_is_not_reported_is_always_less_than_a_report_is_due_for(messages):
    arrivals, departures = Arrivals(), Departures()
    for number, size in enumerate(messages):
        departures.sent(size, number)
        if (report := arrivals.came(size)) is not None:
            departures.reported(report, number)
        assert 0 <= departures.in_flight_bytes < REPORT_BYTES


@given(sizes, st.integers(1, 500_000))
@example([16384, 0], 1)
def test_a_round_trip_is_that_of_the_last_message_that_came(messages, path_us):
    """Against a list of when each left: as long as the path, and shorter by no more than what shares a mark with it."""
    arrivals, departures = Arrivals(), Departures()
    for number, size in enumerate(messages):
        departures.sent(size, 1000 * number)
    for number, size in enumerate(messages):
        if (report := arrivals.came(size)) is not None:
            round_trip_us = departures.reported(report, 1000 * number + path_us)
            if size >= 8 * 1024:  # then no other message is in its mark
                assert round_trip_us == path_us


def test_small_messages_under_way_cost_a_mark_for_each_eight_kibibytes():
    departures = Departures()
    for number in range(100_000):
        departures.sent(100, number)
    assert len(departures._marks) <= 100_000 * 100 // (8 * 1024) + 1


@pytest.mark.parametrize(
    "text",
    ["", "-1", "20000 ", "20_000", "\u0662" * 5, "1e5", "100001", "9" * 5000, "16383"],
)
def test_a_report_of_what_did_not_leave_or_is_no_number_is_refused(text):
    departures = Departures()
    departures.sent(100_000, 0)
    with pytest.raises(BadReport, match=r"report"):
        departures.reported(text, 1)
    assert departures.in_flight_bytes == 100_000


def test_reports_cannot_come_more_often_than_they_are_due():
    departures = Departures()
    departures.sent(100_000, 0)
    departures.reported("50000", 1)
    for again in ("50000", "49999", "50001", str(50_000 + REPORT_BYTES - 1)):
        with pytest.raises(BadReport, match="too soon"):
            departures.reported(again, 2)
    departures.reported(str(50_000 + REPORT_BYTES), 3)


@given(st.lists(st.one_of(st.text(max_size=30), st.integers(-10, 10**20).map(str)), max_size=40), sizes)
def test_whatever_is_reported_no_more_is_under_way_than_left(texts, messages):
    departures = Departures()
    for now_us, (text, size) in enumerate(zip(texts, messages, strict=False)):
        departures.sent(size, now_us)
        before = departures.in_flight_bytes
        try:
            departures.reported(text, now_us)
        except BadReport:
            assert departures.in_flight_bytes == before
        assert 0 <= departures.in_flight_bytes <= before


@pytest.mark.parametrize("grouped", [False, True])
def test_who_sends_in_groups_says_so_in_a_line_of_its_own(grouped):
    told = bounded_description(with_reports(DESCRIPTION, Reports(wanted=False, given=True, grouped=grouped)))
    heard = reports_of(told)
    assert (heard.wanted, heard.given, heard.grouped) == (False, True, grouped)
