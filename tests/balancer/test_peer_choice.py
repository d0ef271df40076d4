"""Which peers are taken to be in time."""

from __future__ import annotations

from shoal.balancer.bandwidth import Estimate
from shoal.balancer.config import BalancerConfig
from shoal.balancer.peer_choice import InTime, Peer

S = 1_000_000
CONFIG = BalancerConfig(retry_peer_us=20 * S)


def slow_peer() -> Peer:
    estimate = Estimate(fast_half_life_us=3 * S, slow_half_life_us=9 * S, error_half_life_us=60 * S)
    estimate.sample(S, 20_000, 1 * S)
    return Peer("p", 0, None, None, estimate)


def is_in_time(peer: Peer, now_us: int, *, takes_unmeasured: bool = True) -> bool:
    return InTime(CONFIG).within(500_000, 4 * S, now_us, takes_unmeasured).holds(peer)


def test_a_peer_that_was_slow_is_asked_again_after_a_while_as_one_that_was_never_measured() -> None:
    assert not is_in_time(slow_peer(), 2 * S)
    assert not is_in_time(slow_peer(), 21 * S - 1)
    assert is_in_time(slow_peer(), 21 * S)


def test_but_not_for_somebody_who_waits() -> None:
    assert not is_in_time(slow_peer(), 100 * S, takes_unmeasured=False)


def test_the_wait_doubles_with_each_try_in_vain_and_one_that_was_not_begins_anew() -> None:
    peer = slow_peer()
    for tries, wait_us in ((1, 20 * S), (2, 40 * S), (3, 80 * S)):
        peer.unfinished = tries
        assert not is_in_time(peer, S + wait_us - 1)
        assert is_in_time(peer, S + wait_us)
    peer.succeeded()
    assert is_in_time(peer, 21 * S)
