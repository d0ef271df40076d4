"""What is held against a peer that comes back."""

from __future__ import annotations

from shoal.balancer.bandwidth import Estimate
from shoal.balancer.config import BalancerConfig
from shoal.balancer.peer_choice import Peer
from shoal.balancer.returning import Returning

SECOND = 1_000_000
KEPT_S, REFUSED_S, REFUSED_S_MAX = 600, 30, 600
CONFIG = BalancerConfig()


def returning(*, records_max: int = 100) -> Returning:
    return Returning(
        kept_us=KEPT_S * SECOND,
        refused_us=REFUSED_S * SECOND,
        refused_us_max=REFUSED_S_MAX * SECOND,
        records_max=records_max,
    )


def peer(name: str = "p", fingerprint: str | None = "f", address: str | None = "8.8.8.8", *, failures: int = 0) -> Peer:
    estimate = Estimate(fast_half_life_us=SECOND, slow_half_life_us=SECOND, error_half_life_us=SECOND)
    made = Peer(name, 0, fingerprint, address, estimate)
    for _ in range(failures):
        made.failed(0, CONFIG)
    return made


def comes(known: Returning, one: Peer, now_s: int = 1) -> tuple[int, int]:
    """How often it has failed, and until when it is left alone, once it is here."""
    known.came(one, now_s * SECOND)
    return one.failures, one.cooldown_until_us


def test_who_comes_back_with_its_id_or_its_certificate_is_left_alone_for_as_long_as_if_it_had_stayed():
    known = returning()
    known.left(peer(failures=3), 0)
    as_it_was = (3, 4 * CONFIG.peer_cooldown_us)
    assert comes(known, peer()) == as_it_was
    assert comes(known, peer("q", "f")) == as_it_was
    assert comes(known, peer("p", "g")) == as_it_was
    assert comes(known, peer("p", None)) == as_it_was


def test_its_next_failure_counts_on():
    known = returning()
    known.left(peer(failures=3), 0)
    again = peer()
    comes(known, again)
    again.failed(SECOND, CONFIG)
    assert again.cooldown_until_us == SECOND + 8 * CONFIG.peer_cooldown_us


def test_nobody_else_at_its_address_is_held_for_it():
    known = returning()
    known.left(peer(failures=3), 0)
    assert comes(known, peer("q", "g")) == (0, 0)
    assert comes(known, peer("q", None)) == (0, 0)


def test_an_id_that_reads_as_somebodys_certificate_is_an_id():
    known = returning()
    known.left(peer("f", "x", failures=3), 0)
    assert comes(known, peer("q", "f")) == (0, 0)


def test_of_who_brought_something_in_the_end_nothing_is_kept():
    known = returning()
    known.left(peer(failures=3), 0)
    again = peer()
    comes(known, again)
    again.succeeded()
    known.left(again, 2 * SECOND)
    assert comes(known, peer(), 3) == (0, 0)


def test_it_is_forgotten_after_a_while():
    known = returning()
    known.left(peer(failures=3), 0)
    assert comes(known, peer(), KEPT_S - 1)[0] == 3
    assert comes(known, peer(), KEPT_S) == (0, 0)


def test_refusals_are_kept_as_failures_are():
    known, before, again = returning(), peer(), peer()
    before.refused(0, CONFIG)
    before.refused(0, CONFIG)
    known.left(before, 0)
    comes(known, again)
    again.refused(SECOND, CONFIG)
    assert again.failures == 1


def test_the_oldest_are_forgotten_when_there_are_too_many():
    known = returning(records_max=4)
    for name in "abc":
        known.left(peer(name, f"of {name}", failures=1), 0)
    assert [comes(known, peer(name, None))[0] for name in "abc"] == [0, 1, 1]


# --- who broke the protocol ---


def refused_s(known: Returning, one: Peer, now_s: float) -> float:
    """For how long from now."""
    until_us = known.refused_until_us(one.name, one.fingerprint, int(now_s * SECOND))
    return 0 if until_us is None else until_us / SECOND - now_s


def test_who_broke_the_protocol_is_refused_with_its_id_and_with_its_certificate():
    known = returning()
    assert known.violated(peer(), 0) == REFUSED_S * SECOND
    for again in (peer(), peer("q", "f"), peer("p", "g"), peer("p", None)):
        assert refused_s(known, again, 1) == REFUSED_S - 1
        assert refused_s(known, again, REFUSED_S) == 0


def test_nobody_else_at_its_address_is_refused():
    known = returning()
    known.violated(peer(), 0)
    assert refused_s(known, peer("q", "g"), 1) == refused_s(known, peer("q", None), 1) == 0


def test_each_time_that_it_breaks_the_protocol_again_it_is_refused_for_twice_as_long_up_to_a_limit():
    known, now_s, lengths = returning(), 0.0, []
    for turn in range(7):
        now_s = known.violated(peer("p", f"f{turn}"), int(now_s * SECOND)) / SECOND
        lengths.append(now_s - sum(lengths))
    assert lengths == [30, 60, 120, 240, 480, 600, 600]


def test_who_keeps_the_protocol_for_long_enough_begins_anew():
    known = returning()
    known.violated(peer(), 0)
    known.violated(peer(), REFUSED_S * SECOND)
    end_s = 3 * REFUSED_S
    assert known.violated(peer(), (end_s + REFUSED_S_MAX) * SECOND) == (end_s + REFUSED_S_MAX + REFUSED_S) * SECOND


def test_of_those_who_broke_the_protocol_the_oldest_are_let_in_when_there_are_too_many():
    known = returning(records_max=4)
    for name in "abc":
        known.violated(peer(name, f"of {name}"), 0)
    assert [refused_s(known, peer(name, None), 0) for name in "abc"] == [0, REFUSED_S, REFUSED_S]
