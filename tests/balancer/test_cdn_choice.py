"""The circuit breaker of a CDN, and which CDN is the best."""

from shoal.balancer.bandwidth import Estimate
from shoal.balancer.cdn_choice import Cdn, Circuit, best_cdn
from shoal.balancer.config import BalancerConfig
from shoal.balancer.model import Kind, ResourceKey
from shoal.balancer.transfers import Want

SECOND = 1_000_000
CONFIG = BalancerConfig()
WANT = ResourceKey(0, Kind.MEDIA, 0)


def cdn(name: str, *, bytes_per_s: int | None = None, weight: float = 1.0, place: int = 0) -> Cdn:
    estimate = Estimate(fast_half_life_us=2 * SECOND, slow_half_life_us=8 * SECOND, error_half_life_us=30 * SECOND)
    if bytes_per_s is not None:
        estimate.sample(SECOND, bytes_per_s, 0)
        estimate.first_byte(50_000)
    return Cdn(name, weight, place, estimate, CONFIG)


def best(*ready: Cdn, may_explore: bool = False, now_us: int = 0, seed: int = 0) -> tuple[str, bool] | None:
    found = best_cdn(ready, 1_000_000, may_explore=may_explore, now_us=now_us, seed=seed, config=CONFIG)
    return found and (found[0].name, found[1])


def opened(times: int = 1) -> tuple[Circuit, int]:
    circuit, now_us = Circuit(CONFIG), 0
    circuit.failed(now_us)
    for _ in range(times):
        now_us = circuit.ready_us(now_us)
        circuit.failed(now_us)
    return circuit, now_us


def test_one_failure_may_be_chance_and_a_second_in_a_row_opens_the_circuit():
    circuit = Circuit(CONFIG)
    circuit.failed(0)
    assert circuit.state(0) == "closed"
    circuit.failed(0)
    assert circuit.state(0) == "open"
    assert circuit.ready_us(0) == SECOND


def test_a_success_between_them_keeps_it_closed():
    circuit = Circuit(CONFIG)
    circuit.failed(0)
    circuit.succeeded(0)
    circuit.failed(0)
    assert circuit.state(0) == "closed"


def test_an_open_circuit_turns_half_open_and_each_failed_probe_doubles_its_time():
    for times, open_us in ((1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (9, 10)):
        circuit, now_us = opened(times)
        assert circuit.ready_us(now_us) == now_us + open_us * SECOND
        assert circuit.state(now_us + open_us * SECOND) == "half-open"


def test_a_successful_probe_closes_it():
    circuit, now_us = opened(4)
    circuit.succeeded(now_us + 60 * SECOND)
    assert circuit.state(now_us + 60 * SECOND) == "closed"


def test_failures_while_it_is_open_change_nothing():
    circuit, now_us = opened()
    circuit.failed(now_us)
    assert circuit.ready_us(now_us) == now_us + SECOND


def test_only_one_transfer_probes_at_a_time():
    circuit, now_us = opened()
    circuit.probing = True
    assert circuit.ready_us(now_us + 5 * SECOND) > now_us + 5 * SECOND


def test_wrong_bytes_open_it_for_a_minute_whatever_good_comes_meanwhile_and_then_for_longer():
    circuit = Circuit(CONFIG)
    circuit.blamed(0)
    circuit.succeeded(SECOND)
    assert circuit.ready_us(SECOND) == 60 * SECOND
    circuit.blamed(60 * SECOND)
    assert circuit.ready_us(60 * SECOND) == 180 * SECOND


def test_the_fastest_is_the_best_and_a_weight_multiplies_its_speed():
    slow, fast = cdn("slow", bytes_per_s=1_000_000), cdn("fast", bytes_per_s=2_000_000, place=1)
    assert best(slow, fast) == ("fast", False)
    slow.weight = 3.0
    assert best(slow, fast) == ("slow", False)


def test_errors_count_against_speed():
    shaky, steady = cdn("shaky", bytes_per_s=2_000_000), cdn("steady", bytes_per_s=1_500_000, place=1)
    shaky.estimate.failed(0, "connect")
    assert best(shaky, steady) == ("steady", False)


def test_an_unmeasured_one_is_better_than_a_bad_and_worse_than_a_good_one():
    unknown = cdn("unknown", place=1)
    assert best(cdn("bad", bytes_per_s=100_000), unknown) == ("unknown", False)
    assert best(cdn("good", bytes_per_s=5_000_000), unknown) == ("good", False)


def test_at_the_start_viewers_spread_over_equals_by_their_seed():
    names = {best(cdn("a"), cdn("b", place=1), seed=seed)[0] for seed in range(20)}
    assert names == {"a", "b"}


def test_an_unmeasured_one_is_explored_only_with_time_to_spare_and_not_again_in_vain():
    good, unknown = cdn("good", bytes_per_s=5_000_000), cdn("unknown", place=1)
    assert best(good, unknown, may_explore=True, now_us=SECOND) == ("unknown", True)
    unknown.explored_us = SECOND
    assert best(good, unknown, may_explore=True, now_us=50 * SECOND) == ("good", False)
    assert best(good, unknown, may_explore=True, now_us=61 * SECOND) == ("unknown", True)


def test_one_without_weight_is_never_explored():
    good, unknown = cdn("good", bytes_per_s=5_000_000), cdn("unknown", weight=0.0, place=1)
    assert best(good, unknown, may_explore=True) == ("good", False)


def test_none_ready_is_none():
    assert best() is None


def test_when_it_may_be_asked_is_the_latest_of_all_reasons_to_wait():
    source, want = cdn("a"), Want(WANT)
    assert source.ready_us(want, 5) == 5
    want.mark("cdn:a").failed("connect", 0, CONFIG)
    assert source.ready_us(want, 5) == CONFIG.retry_backoff_us
    source.circuit.blamed(0)
    assert source.ready_us(want, 5) == 60 * SECOND
    assert source.ready_us(want, 5, last_resort=True) == CONFIG.retry_backoff_us
    source.retry_at_us = 90 * SECOND
    assert source.ready_us(want, 5, last_resort=True) == 90 * SECOND
    want.mark("cdn:a").never = True
    assert source.ready_us(want, 5, last_resort=True) is None


def priced(name: str, price: float, *, place: int = 0, commit_bytes: int = 0, priority: int = 0) -> Cdn:
    made = cdn(name, bytes_per_s=5_000_000, place=place)
    made.price_per_gb, made.commit_bytes, made.priority = price, commit_bytes, priority
    return made


def chosen(*ready: Cdn, slack_us: int | None = 20 * SECOND) -> str:
    found = best_cdn(ready, 1_000_000, may_explore=False, now_us=0, seed=0, config=CONFIG, slack_us=slack_us)
    assert found is not None
    return found[0].name


def test_what_is_committed_is_used_first_and_then_what_is_cheapest():
    dear, cheap = priced("dear", 4.0, commit_bytes=3_000_000), priced("cheap", 1.0, place=1)
    assert chosen(dear, cheap) == "dear"
    dear.sent_bytes = 3_000_000
    assert chosen(dear, cheap) == "cheap"


def test_a_cdn_of_a_later_priority_is_asked_only_when_none_of_an_earlier_is_ready():
    first, later = priced("first", 4.0), priced("later", 1.0, place=1, priority=1)
    assert chosen(first, later) == "first"
    assert chosen(first, later, slack_us=None) == "first"
    assert chosen(later) == "later"


def test_the_cheapest_must_be_fast_enough_to_go_on_so():
    slow, fast = priced("slow", 1.0), priced("fast", 4.0, place=1)
    slow.estimate.fell_to(200_000)  # 1 MB in 5 s, and it plays 4 s
    found = best_cdn(
        [slow, fast],
        1_000_000,
        may_explore=False,
        now_us=0,
        seed=0,
        config=CONFIG,
        slack_us=30 * SECOND,
        duration_us=4 * SECOND,
    )
    assert found is not None
    assert found[0].name == "fast"


def test_who_was_asked_last_stays_until_another_is_clearly_better():
    one, other = cdn("one", bytes_per_s=2_000_000), cdn("other", bytes_per_s=3_000_000, place=1)
    assert best(one, other) == ("other", False)
    one.last_used = 1
    assert best(one, other) == ("one", False)
    assert best(one, cdn("better", bytes_per_s=4_000_000, place=1)) == ("better", False)


def test_what_was_slow_long_ago_is_believed_to_be_middling_again():
    bad, fair = cdn("bad", bytes_per_s=10_000), cdn("fair", bytes_per_s=300_000, place=1)
    assert best(bad, fair) == ("fair", False)
    fair.estimate.sample(SECOND, 300_000, 60 * SECOND)
    assert best(bad, fair, now_us=60 * SECOND) == ("bad", False)
