"""Recorded lines: what is read, and what is refused."""

from __future__ import annotations

import pytest

from shoal.balancer.sim.traces import BadTrace, parse


def test_each_line_holds_until_the_next_and_the_trace_begins_anew() -> None:
    trace = parse("0.5 8\n1.5 16\n\n2.5 0\n")
    assert [trace.at(us) for us in (0, 999_999, 1_000_000, 2_500_000, 3_000_000)] == [1e6, 1e6, 2e6, 0.0, 1e6]
    assert trace.next_us(0) == 1_000_000
    assert trace.next_us(2_000_000) == 3_000_000
    assert trace.next_us(3_000_000) == 4_000_000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no line"),
        ("1 2 3\n", "x:1"),
        ("0 1\nzero 2\n", "x:2"),
        ("0 1\n0 2\n", "not after"),
        ("0 -1\n", "out of range"),
        ("0 nan\n", "out of range"),
        ("0 inf\n", "out of range"),
    ],
)
def test_what_is_no_trace_is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(BadTrace, match=said):
        parse(text, name="x")
