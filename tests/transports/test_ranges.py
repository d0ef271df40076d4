"""Range and Content-Range: the tables of RFC 9110, then that both directions agree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.transports.sansio.ranges import (
    ContentRange,
    Span,
    content_range_header,
    exact_range,
    parse_content_range,
    range_header,
    requested_span,
)

sizes = st.integers(0, 10**12)


@pytest.mark.parametrize(
    ("first", "last", "header"),
    [(0, None, None), (0, 0, "bytes=0-0"), (5, None, "bytes=5-"), (5, 9, "bytes=5-9")],
)
def test_a_range_is_asked_for_only_when_it_is_not_the_whole(first, last, header):
    assert range_header(first, last) == header


@pytest.mark.parametrize(("first", "last"), [(-1, None), (5, 4), (-2, -1)])
def test_an_impossible_range_is_wrong_use(first, last):
    with pytest.raises(ValueError, match="no such range"):
        range_header(first, last)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bytes 0-499/1234", ContentRange(0, 499, 1234)),  # RFC 9110, 14.4
        ("bytes 42-1233/*", ContentRange(42, 1233, None)),
        ("BYTES 0-0/1", ContentRange(0, 0, 1)),  # range units are case-insensitive (14.1)
    ],
)
def test_a_content_range_of_the_grammar_is_read(value, expected):
    assert parse_content_range(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        "bytes",
        "bytes */1234",
        "bytes 0-499",
        "bytes 0-499/",
        "bytes=0-499/1234",
        "bytes 0-499/1234, bytes 0-1/2",
        "bytes 5-4/10",
        "bytes 0-10/10",
        "bytes -1-5/10",
        "bytes 0 - 5/10",
        "bytes  0-5/10",
        "bytes 0-5/10\n",
        "bytes \u0660-\u0665/10",
        "bytes 0x0-5/10",
        "bytes +0-5/10",
        "items 0-5/10",
        "bytes 0-" + "9" * 5000 + "/*",
    ],
)
def test_any_other_content_range_is_refused(value):
    with pytest.raises(ValueError, match="Content-Range"):
        parse_content_range(value)


@pytest.mark.parametrize(
    ("value", "total", "expected"),
    [
        (None, 100, Span(0, 100)),
        ("bytes=0-9", 100, Span(0, 10)),
        ("bytes=90-", 100, Span(90, 10)),
        ("bytes=90-999", 100, Span(90, 10)),
        ("bytes=-10", 100, Span(90, 10)),
        ("bytes=-999", 100, Span(0, 100)),
        ("bytes=100-", 100, None),
        ("bytes=-0", 100, None),
        ("bytes=0-", 0, None),
        ("bytes=9-5", 100, Span(0, 100)),
        ("bytes=0-1,5-6", 100, Span(0, 100)),
        ("lines=0-1", 100, Span(0, 100)),
        ("bytes=a-b", 100, Span(0, 100)),
        ("bytes=-", 100, Span(0, 100)),
    ],
)
def test_a_range_header_is_answered_as_rfc_9110_has_it(value, total, expected):
    assert requested_span(value, total) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("bytes=0-0", Span(0, 1)),
        ("bytes=5-9", Span(5, 5)),
        ("bytes=5-", None),
        ("bytes=-5", None),
        ("bytes=9-5", None),
        ("bytes=0-1,5-6", None),
        ("lines=0-1", None),
    ],
)
def test_a_range_is_exact_where_it_names_both_ends(value, expected):
    assert exact_range(value) == expected


@given(sizes, sizes, st.one_of(st.none(), sizes))
def test_what_is_asked_for_is_what_is_answered(total, first, length):
    last = None if length is None else first + length
    header = range_header(first, last)
    span = requested_span(header, total)
    if span is None:
        assert first >= total
        assert content_range_header(None, total) == f"bytes */{total}"
    elif header is not None:
        part = parse_content_range(content_range_header(span, total))
        assert (part.first, part.length, part.total) == (first, span.length, total)
        assert part.last == (total - 1 if last is None else min(last, total - 1))


@given(st.text(), sizes)
def test_no_text_gets_more_than_there_is(value, total):
    span = requested_span(value, total)
    assert span is None or (span.first >= 0 and span.first + span.length <= total)


@given(st.text(alphabet="bytes =-/*,0123456789 ", max_size=30))
def test_no_text_makes_a_content_range_that_contradicts_itself(value):
    try:
        part = parse_content_range(value)
    except ValueError:
        return
    assert 0 <= part.first <= part.last
    assert part.total is None or part.last < part.total
