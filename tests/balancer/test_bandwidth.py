import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.bandwidth import Estimate, half_life_decay

SECOND = 1_000_000


def estimate() -> Estimate:
    return Estimate(fast_half_life_us=2 * SECOND, slow_half_life_us=8 * SECOND, error_half_life_us=30 * SECOND)


@given(elapsed=st.integers(0, 10**9), half_life=st.integers(1_000, 10**9))
def test_the_decay_is_a_half_per_half_life(elapsed, half_life):
    expected = 0.5 ** min(1000.0, elapsed / half_life)
    assert half_life_decay(elapsed, half_life) == pytest.approx(expected, rel=1e-4, abs=1e-11)


def test_nothing_is_known_before_the_first_sample():
    assert estimate().bytes_per_s is None
    assert estimate().first_byte_us is None
    assert estimate().error_rate(0) == 0


@given(rate=st.integers(1_000, 10**8), durations=st.lists(st.integers(2_000, 10 * SECOND), min_size=1, max_size=20))
def test_a_steady_rate_is_found_from_the_first_sample_on(rate, durations):
    known = estimate()
    for duration in durations:
        known.sample(duration, rate * duration // SECOND, 0)
        assert known.bytes_per_s == pytest.approx(rate, rel=0.6)
    known.sample(SECOND, rate, 0)
    assert known.bytes_per_s == pytest.approx(rate, rel=0.6)


def test_a_drop_counts_at_once_and_a_rise_must_last():
    known = estimate()
    known.sample(8 * SECOND, 8_000_000, 0)
    known.sample(2 * SECOND, 0, 0)
    dropped = known.bytes_per_s
    assert dropped < 550_000
    known.sample(2 * SECOND, 2_000_000, 0)
    assert dropped < known.bytes_per_s < 900_000


def test_a_burst_from_a_local_buffer_weighs_almost_nothing():
    known = estimate()
    known.sample(SECOND, 1_000_000, 0)
    known.sample(1, 65_536, 0)
    assert known.bytes_per_s < 1_100_000


def test_first_byte_times_are_averaged_towards_the_newest():
    known = estimate()
    known.first_byte(100_000)
    known.first_byte(200_000)
    assert known.first_byte_us == 130_000


def test_errors_are_counted_by_reason_and_half_forgiven_after_a_half_life():
    known = estimate()
    known.failed(0, "timeout")
    known.failed(0, "timeout")
    assert known.errors == {"timeout": 2}
    assert known.error_rate(0) == pytest.approx(2 / 3)
    assert known.error_rate(30 * SECOND) == pytest.approx(1 / 2)
    known.succeeded(30 * SECOND)
    assert known.error_rate(30 * SECOND) == pytest.approx(1 / 3)


def test_the_expected_time_takes_the_stand_ins_only_for_what_was_not_measured():
    known = estimate()
    assert known.expected_us(1_000, 0, bytes_per_s=1_000, first_byte_us=7, half_life_us=SECOND) == SECOND + 7
    known.sample(SECOND, 2_000, 0)
    known.first_byte(50)
    assert known.expected_us(1_000, 0, bytes_per_s=1_000, first_byte_us=7, half_life_us=SECOND) == pytest.approx(
        SECOND // 2 + 50, abs=2
    )
