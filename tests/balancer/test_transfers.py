"""How fast a source is, as a transfer shows it."""

from __future__ import annotations

import pytest

from shoal.balancer.bandwidth import Estimate
from shoal.balancer.model import Kind, ResourceKey
from shoal.balancer.transfers import Transfer, Want


def sampled(byte_count: int, duration_us: int) -> float | None:
    """The speed that is believed of a source after one transfer."""
    estimate = Estimate(fast_half_life_us=3_000_000, slow_half_life_us=9_000_000, error_half_life_us=60_000_000)
    transfer = Transfer(
        number=1,
        want=Want(ResourceKey(0, Kind.INIT, 0)),
        label="cdn:a",
        is_peer=False,
        started_us=0,
        first_byte_limit_us=1_000_000,
        stall_limit_us=1_000_000,
    )
    transfer.answered(10_000, estimate)
    transfer.progressed(byte_count, 10_000 + duration_us, 1)
    transfer.close_slice(10_000 + duration_us, estimate)
    return estimate.bytes_per_s


@pytest.mark.parametrize("duration_us", [1, 2_000, 150_000])
def test_what_comes_in_one_flight_says_nothing_of_speed(duration_us: int) -> None:
    assert sampled(716, duration_us) is None


def test_what_drips_is_slow_however_little_it_is() -> None:
    assert sampled(716, 2_000_000) == pytest.approx(358)


def test_more_than_a_flight_is_a_sample() -> None:
    assert sampled(100_000, 100_000) == pytest.approx(1_000_000)
