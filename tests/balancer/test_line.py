"""What the viewer's own line carries."""

from __future__ import annotations

from shoal.balancer.bandwidth import Estimate
from shoal.balancer.line import Line


def line() -> Line:
    return Line(Estimate(fast_half_life_us=2_000_000, slow_half_life_us=8_000_000, error_half_life_us=1_000_000))


def test_time_in_which_nobody_sends_is_not_counted():
    one = line()
    one.look(0, is_flowing=True)
    one.came(100_000)
    one.look(100_000, is_flowing=False)
    one.look(60_000_000, is_flowing=True)
    one.came(100_000)
    one.look(60_100_000, is_flowing=False)
    assert round(one.bytes_per_s or 0) == 1_000_000


def test_a_burst_of_a_few_milliseconds_tells_nothing():
    one = line()
    one.look(0, is_flowing=True)
    one.came(1_000_000)
    one.look(10_000, is_flowing=False)
    assert one.bytes_per_s is None
