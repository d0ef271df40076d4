"""Token buckets on virtual time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.rates import Pace, Rate


def test_a_burst_passes_at_once_and_the_next_has_to_wait() -> None:
    rate = Rate(per_second=10, burst=3)
    assert [rate.allows(0) for _ in range(4)] == [True, True, True, False]
    assert not rate.allows(99_999)
    assert rate.allows(100_000)
    assert not rate.allows(100_000)


def test_what_weighs_more_is_paid_for_by_a_longer_wait() -> None:
    rate = Rate(per_second=10, burst=3)
    assert rate.allows(0, 20)
    assert not rate.allows(1_799_999)
    assert rate.allows(1_800_000)


@given(st.integers(1, 1000), st.integers(1, 50), st.lists(st.integers(0, 400_000), max_size=200))
def test_never_more_than_the_burst_and_the_rate_together(per_second: int, burst: int, gaps_us: list[int]) -> None:
    rate, now_us, allowed = Rate(per_second, burst), 0, 0
    for gap_us in gaps_us:
        now_us += gap_us
        allowed += rate.allows(now_us)
    assert allowed <= burst + now_us // (1_000_000 // per_second)


@given(st.integers(1, 1000), st.integers(1, 50), st.lists(st.tuples(st.integers(0, 400_000), st.integers(1, 9))))
def test_who_waits_as_told_stays_within_the_rate(per_second: int, burst: int, taken: list[tuple[int, int]]) -> None:
    told, strict, now_us = Rate(per_second, burst), Rate(per_second, burst), 0
    for gap_us, count in taken:
        now_us += gap_us
        assert strict.allows(now_us, count)
        now_us += told.take(now_us, count)


@pytest.mark.parametrize(("per_second", "burst"), [(0, 1), (1, 0), (2_000_000, 1)])
def test_a_rate_that_allows_nothing_is_refused(per_second: int, burst: int) -> None:
    with pytest.raises(ValueError, match="both are 1 or more"):
        Rate(per_second, burst)


@given(st.lists(st.tuples(st.integers(1, 65_536), st.integers(0, 500_000)), min_size=1, max_size=50))
def test_a_pace_lets_no_more_through_than_its_rate_and_one_piece(pieces: list[tuple[int, int]]) -> None:
    pace, now_us, sent, last_us = Pace(200_000), 0, 0, 0
    for byte_count, pause_us in pieces:
        now_us += pause_us
        goes_us = now_us + pace.delay_us(byte_count, now_us)
        assert goes_us >= last_us
        assert sent <= 200_000 * goes_us // 1_000_000 + 65_536
        sent, last_us = sent + byte_count, goes_us


def test_what_did_not_go_makes_room_for_who_asks_next() -> None:
    pace = Pace(100_000)
    assert [pace.delay_us(50_000, 0) for _ in range(3)] == [0, 500_000, 1_000_000]
    pace.give_back(50_000)
    assert pace.delay_us(50_000, 0) == 1_000_000


def test_who_kept_within_the_pace_does_not_wait() -> None:
    pace = Pace(200_000)
    assert [pace.delay_us(20_000, moment * 100_000) for moment in range(10)] == [0] * 10
