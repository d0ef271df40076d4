"""What a collector is told of responses, and what becomes of it while the collector does not answer."""

from __future__ import annotations

import pytest

from shoal.balancer.formats.cmcd import decode, report
from shoal.balancer.model import Kind, ResourceKey, Segment
from shoal.balancer.responses import BATCH_MAX, EVENTS_MAX, RETRY_US_MAX, Responses
from shoal.balancer.streams import Medium
from shoal.balancer.telemetry import CmcdOptions

SECOND = 1_000_000
NOON_US = 1_700_000_000 * SECOND


def segment(kind: Kind = Kind.MEDIA) -> Segment:
    uri = "https://a.example/v/s3.m4s?signature=secret"
    return Segment(key=ResourceKey(0, kind, 3), uri=uri, duration_us=4 * SECOND if kind is Kind.MEDIA else 0)


def responses() -> Responses:
    found = Responses(CmcdOptions(mode="query", session_id="s", content_id="c"))
    found.telemetry.listed(0, Medium("v", 2_000, 9_000), is_live=False)
    return found


def tell(
    to: Responses, number: int = 1, *, source: str = "cdn:a", outcome: str = "ended", reason: str = "", **more: Kind
) -> None:
    to.began(number, segment(**more), source, is_range=False, now_us=SECOND)
    if outcome != "failed":
        to.grew(number, SECOND + 80_000)
        to.grew(number, SECOND + 90_000)
    to.ended(number, outcome, reason, now_us=2 * SECOND, utc_us=NOON_US)


def only(to: Responses) -> dict[str, object]:
    (event,) = to.take()
    return decode(report([event]).decode())


def test_a_response_says_who_sent_what_and_how_long_it_took() -> None:
    to = responses()
    tell(to)
    assert only(to) == {
        "br": {"v": 2_000},
        "cdn": "a",
        "cid": "c",
        "d": 4_000,
        "e": "rr",
        "ot": "v",
        "rc": 200,
        "sf": "h",
        "sid": "s",
        "sn": 0,
        "st": "v",
        "tb": {"v": 9_000},
        "ts": 1_700_000_000_000,
        "ttfb": 80,
        "ttlb": 1_000,
        "url": "https://a.example/v/s3.m4s",
        "v": 2,
    }


def test_a_peer_is_called_peer_and_answers_with_no_status() -> None:
    to = responses()
    tell(to, source="peer:-SH2300-abcdefabcdef")
    event = only(to)
    assert event["cdn"] == "peer"
    assert "rc" not in event


def test_a_refusal_says_its_status_and_a_silence_none() -> None:
    to = responses()
    tell(to, outcome="failed", reason="status 503")
    assert only(to)["rc"] == 503
    tell(to, outcome="failed", reason="stalled")
    event = only(to)
    assert "rc" not in event
    assert "ttfb" not in event


def test_what_nobody_waited_for_to_its_end_is_no_response() -> None:
    to = responses()
    tell(to, outcome="cancelled", reason="raced")
    assert to.due_us(0) is None


def test_keys_are_not_named() -> None:
    to = responses()
    tell(to, kind=Kind.KEY)
    assert "url" not in only(to)


def test_events_go_together_and_each_has_a_number() -> None:
    to = responses()
    for number in range(BATCH_MAX + 20):
        tell(to, number)
    assert to.due_us(5) == 5
    first = to.take()
    assert [event["sn"] for event in first] == list(range(BATCH_MAX))
    to.sent(SECOND)
    assert to.due_us(SECOND) == 2 * SECOND
    assert len(to.take()) == 20


@pytest.mark.parametrize("status", [None, 500, 503, 429, 408])
def test_a_collector_that_may_answer_later_is_asked_again_less_and_less_often(status: int | None) -> None:
    to = responses()
    tell(to)
    now_us, waits = 0, []
    for _ in range(10):
        events = to.take()
        assert [event["sn"] for event in events] == [0]
        to.refused(events, status, now_us)
        due_us = to.due_us(now_us)
        assert due_us is not None
        waits.append(due_us - now_us)
        now_us = due_us
    assert waits[:3] == [SECOND, 2 * SECOND, 4 * SECOND]
    assert waits[-1] == RETRY_US_MAX
    assert to.lost == 0


def test_what_a_collector_cannot_read_is_lost_and_counted() -> None:
    to = responses()
    tell(to)
    to.refused(to.take(), 400, 0)
    assert (to.due_us(0), to.lost) == (None, 1)
    tell(to, 2)
    assert to.due_us(0) is not None


def test_a_collector_that_is_gone_is_told_no_more() -> None:
    to = responses()
    for number in range(BATCH_MAX + 1):
        tell(to, number)
    to.refused(to.take(), 410, 0)
    tell(to, 999)
    assert (to.due_us(0), to.lost) == (None, BATCH_MAX + 1)


def test_of_too_many_the_oldest_are_lost_and_counted() -> None:
    to = responses()
    for number in range(EVENTS_MAX):
        tell(to, number)
    events = to.take()
    for number in range(EVENTS_MAX, EVENTS_MAX + 10):
        tell(to, number)
    to.refused(events, None, 0)
    kept = [event["sn"] for _ in range(11) for event in to.take()]
    assert kept == list(range(10, EVENTS_MAX + 10))
    assert to.lost == 10
