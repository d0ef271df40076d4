"""Whom an audit is asked of, and when peers are no source because nobody audits."""

import pytest

from shoal.balancer.audit_choice import AuditChoice
from shoal.balancer.bandwidth import Estimate
from shoal.balancer.cdn_choice import Cdn
from shoal.balancer.config import BalancerConfig
from shoal.balancer.events import AuditAtCdn, AuditEnded, AuditFailed, DropUnaudited
from shoal.balancer.model import Kind, ResourceKey
from shoal.balancer.transfers import Want

CONFIG = BalancerConfig()
KEY = ResourceKey(0, Kind.MEDIA, 7)
SECOND = 1_000_000


def cdn(name: str, place: int, *, priority: int = 0) -> Cdn:
    estimate = Estimate(fast_half_life_us=SECOND, slow_half_life_us=SECOND, error_half_life_us=SECOND)
    made = Cdn(name, 1.0, place, estimate, CONFIG)
    made.priority = priority
    return made


def choice(*cdns: Cdn) -> AuditChoice:
    return AuditChoice({one.label: one for one in cdns}, CONFIG)


def test_each_cdn_is_asked_once_for_one_segment_and_two_of_them_in_all() -> None:
    want, audits = Want(KEY), choice(cdn("a", 0), cdn("b", 1), cdn("c", 2))
    assert [audits.next(want, 0) for _ in range(4)] == [
        AuditAtCdn(KEY, "a"),
        AuditAtCdn(KEY, "b"),
        DropUnaudited(KEY),
        DropUnaudited(KEY),
    ]


def test_one_of_a_later_priority_is_asked_last() -> None:
    audits = choice(cdn("dear", 0, priority=1), cdn("usual", 1))
    assert audits.next(Want(KEY), 0) == AuditAtCdn(KEY, "usual")


def test_one_whose_circuit_is_open_or_that_said_retry_after_is_not_asked() -> None:
    broken, later = cdn("a", 0), cdn("b", 1)
    broken.circuit.failed(0)
    broken.circuit.failed(0)
    later.retry_at_us = 5 * SECOND
    audits = choice(broken, later)
    assert audits.next(Want(KEY), 0) == DropUnaudited(KEY)
    assert audits.next(Want(KEY), 5 * SECOND) == AuditAtCdn(KEY, "b")


def test_one_that_ignores_ranges_is_not_asked_again() -> None:
    audits = choice(cdn("a", 0))
    audits.failed(AuditFailed(KEY, "a", "rangeless", 0))
    assert not audits.is_possible
    assert audits.next(Want(KEY), 0) == DropUnaudited(KEY)


@pytest.mark.parametrize("reason", ["short", "truncated", "changed", "too_large", "lengthless", "body"])
def test_one_that_answers_three_times_in_a_row_with_something_else_is_not_asked_again(reason: str) -> None:
    audits = choice(cdn("a", 0))
    for _ in range(2):
        audits.failed(AuditFailed(KEY, "a", reason, 10))
    audits.ended(AuditEnded(KEY, "a", 100))
    for _ in range(2):
        audits.failed(AuditFailed(KEY, "a", reason, 10))
    assert audits.is_possible
    audits.failed(AuditFailed(KEY, "a", reason, 10))
    assert not audits.is_possible


@pytest.mark.parametrize("reason", ["timeout", "connect", "status"])
def test_one_that_is_down_for_a_while_is_asked_again(reason: str) -> None:
    audits = choice(cdn("a", 0))
    for _ in range(10):
        audits.failed(AuditFailed(KEY, "a", reason, 0))
    assert audits.is_possible


def test_what_an_audit_costs_counts_for_the_cdns_bill() -> None:
    one = cdn("a", 0)
    audits = choice(one)
    audits.ended(AuditEnded(KEY, "a", 100))
    audits.failed(AuditFailed(KEY, "a", "timeout", 10))
    assert one.sent_bytes == 110
