"""What an answer may say, and how many bytes its body must have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.transports.errors import BodyChanged, BodyError, BodyTooLarge, BodyTruncated, StatusError
from shoal.transports.interface import FetchRequest
from shoal.transports.sansio.bodies import BodyCounter, plan_body, request_headers, status_error

URL = "http://cdn.example/a"


def ask(**fields):
    return FetchRequest(url=URL, **fields)


def test_a_plain_request_asks_for_identity_and_for_no_range():
    headers = dict(request_headers(ask(headers=(("X-Token", "t"),)), "agent"))
    assert headers == {"user-agent": "agent", "accept": "*/*", "x-token": "t", "accept-encoding": "identity"}


def test_a_resumed_request_names_the_version_it_resumes():
    headers = dict(request_headers(ask(first_byte=5, if_range='"v1"'), "agent"))
    assert (headers["range"], headers["if-range"]) == ("bytes=5-", '"v1"')


@pytest.mark.parametrize("status", [200, 206])
@pytest.mark.parametrize("coding", ["gzip", "GZIP", " br", "zstd, gzip"])
def test_a_content_coding_that_nobody_asked_for_is_refused(status, coding):
    with pytest.raises(BodyError, match="encoded"):
        plan_body(status, {"content-encoding": coding, "content-range": "bytes 0-1/2"}, ask())


def test_identity_is_no_coding():
    assert plan_body(200, {"content-encoding": "identity", "content-length": "2"}, ask()).wire_bytes == 2


def test_if_range_without_a_range_is_not_sent():
    assert "if-range" not in dict(request_headers(ask(if_range='"v1"'), "agent"))


@pytest.mark.parametrize(
    ("etag", "strong"),
    [('"a"', '"a"'), ('""', '""'), ('W/"a"', None), ("a", None), ('"a', None), ('"a b"', None), (None, None)],
)
def test_only_a_strong_etag_counts(etag, strong):
    headers = {} if etag is None else {"etag": etag}
    assert plan_body(200, headers, ask()).etag == strong


@pytest.mark.parametrize("length", ["-1", "1e3", "0x10", " 5", "5, 5", "\u0665", "9" * 30])
def test_a_malformed_length_announces_nothing(length):
    assert plan_body(200, {"content-length": length}, ask()).total_bytes is None


def test_a_length_beside_chunks_announces_nothing():
    assert plan_body(200, {"content-length": "5", "transfer-encoding": "chunked"}, ask()).wire_bytes is None


@pytest.mark.parametrize(
    ("headers", "fields", "error"),
    [
        ({}, {"first_byte": 5}, BodyError),
        ({"content-range": "nonsense"}, {"first_byte": 5}, BodyError),
        ({"content-range": "bytes 4-9/10"}, {"first_byte": 5}, BodyError),
        ({"content-range": "bytes 5-9/10"}, {"first_byte": 5, "last_byte": 8}, BodyError),
        ({"content-range": "bytes 5-9/10", "content-length": "6"}, {"first_byte": 5}, BodyError),
        ({"content-range": "bytes 5-9/10"}, {}, StatusError),
        ({"content-range": "bytes 5-9/10", "etag": '"b"'}, {"first_byte": 5, "if_range": '"a"'}, BodyChanged),
        ({"content-range": "bytes 5-9/10"}, {"first_byte": 5, "body_bytes_max": 4}, BodyTooLarge),
    ],
)
def test_a_206_that_is_not_what_was_asked_for_is_refused(headers, fields, error):
    with pytest.raises(error):
        plan_body(206, headers, ask(**fields))


def test_a_206_without_total_owes_what_it_says():
    plan = plan_body(206, {"content-range": "bytes 5-9/*"}, ask(first_byte=5, last_byte=100))
    assert (plan.total_bytes, plan.wanted_bytes) == (None, 5)


@pytest.mark.parametrize(
    ("value", "date", "delay_us"),
    [
        ("120", None, 120_000_000),
        ("0", None, 0),
        ("999999999", None, 86_400_000_000),
        ("Fri, 31 Dec 1999 23:59:59 GMT", "Fri, 31 Dec 1999 23:59:29 GMT", 30_000_000),
        ("Fri, 31 Dec 1999 23:59:59 GMT", "Fri, 31 Dec 1999 23:59:59 GMT", 0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", "Sat, 01 Jan 2000 23:59:59 GMT", 0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", None, None),
        ("-5", None, None),
        ("soon", None, None),
        (None, None, None),
    ],
)
def test_retry_after_is_a_delay_of_at_most_a_day(value, date, delay_us):
    headers = {name: text for name, text in (("retry-after", value), ("date", date)) if text is not None}
    assert status_error(URL, 503, "Busy", headers).retry_after_us == delay_us


@given(st.lists(st.binary(min_size=1, max_size=50)), st.integers(0, 300))
def test_the_counter_passes_exactly_the_announced_bytes_and_tells_every_other_number(pieces, announced):
    request = ask()
    counter = BodyCounter(plan_body(200, {"content-length": str(announced)}, request), request)
    whole = b"".join(pieces)
    passed = b""
    outcome = "exact"
    for piece in pieces:
        fitting = counter.take(piece)
        passed += fitting
        try:
            counter.check_piece(URL, piece, fitting)
        except BodyTooLarge:
            outcome = "large"
            break
    else:
        try:
            counter.check_end(URL)
        except BodyTruncated:
            outcome = "short"
    assert passed == whole[:announced]
    assert outcome == ("large" if len(whole) > announced else "short" if len(whole) < announced else "exact")
