"""What the viewer's own line carries."""

from __future__ import annotations

from shoal.balancer.bandwidth import Estimate
from shoal.balancer.line import Line


def line() -> Line:
    return Line(
        Estimate(fast_half_life_us=2_000_000, slow_half_life_us=8_000_000, error_half_life_us=1_000_000), deviations=3.0
    )


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


def test_a_slow_peer_alone_does_not_make_the_line_look_slow_and_a_fast_one_makes_it_look_faster():
    one = line()
    one.look(0, is_flowing=True)
    one.came(1_000_000)
    one.look(1_000_000, is_flowing=True, is_full=False)
    one.came(10_000)
    one.look(9_000_000, is_flowing=True, is_full=False)
    assert round(one.bytes_per_s or 0) == 1_000_000
    one.came(16_000_000)
    one.look(17_000_000, is_flowing=False)
    assert one.bytes_per_s is not None
    assert one.bytes_per_s > 1_100_000


def test_what_a_line_surely_carries_is_less_the_more_it_fell_short_of_its_estimate():
    steady, restless = line(), line()
    for moment in range(200):
        for one, byte_count in ((steady, 100_000), (restless, 20_000 if moment % 10 == 0 else 110_000)):
            one.look(moment * 200_000, is_flowing=True)
            one.came(byte_count)
    assert steady.bytes_per_s is not None
    assert steady.sure_bytes_per_s is not None
    assert restless.sure_bytes_per_s is not None
    assert 0.85 * steady.bytes_per_s < steady.sure_bytes_per_s < steady.bytes_per_s
    assert restless.sure_bytes_per_s < 0.5 * steady.sure_bytes_per_s
