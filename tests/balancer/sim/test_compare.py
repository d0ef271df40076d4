"""Means with their intervals, and policies against each other seed by seed."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.sim.compare import FIGURES, Interval, compare, interval, paired
from shoal.balancer.sim.outcome import Outcome, ViewerOutcome

numbers = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=60)


def outcome(policy: str, seed: int, stall_us: int) -> Outcome:
    viewer = ViewerOutcome(viewer=0, stall_us=stall_us, startup_us=1, media_us=1, delivered_bytes=1)
    return Outcome(scenario="vod", policy=policy, seed=seed, viewers=[viewer])


def test_an_interval_is_that_of_students_t() -> None:
    found = interval([1.0, 2.0, 3.0, 4.0, 5.0])  # t(4) = 2.776, s = 1.5811
    assert found.mean == 3.0
    assert found.half == pytest.approx(2.776 * 1.581139 / 5**0.5, abs=1e-4)


@given(numbers)
def test_a_mean_is_in_its_interval_and_equal_values_have_none_to_speak_of(values: list[float]) -> None:
    found = interval(values)
    assert found.half is not None
    assert found.half >= 0
    assert found.mean == pytest.approx(statistics.fmean(values), abs=1e-6)
    assert interval([values[0]] * len(values)).half == pytest.approx(0.0, abs=1e-6)


@given(numbers)
def test_a_policy_against_itself_differs_by_nothing(values: list[float]) -> None:
    assert paired(values, values) == Interval(0.0, 0.0)


def test_what_varies_from_seed_to_seed_is_no_doubt_about_a_difference() -> None:
    theirs = [1.0, 100.0, 10.0, 1000.0]
    found = paired([value - 0.5 for value in theirs], theirs)
    assert found.is_below_zero
    assert not found.is_above_zero


def test_one_run_says_nothing_for_sure() -> None:
    assert interval([-3.0]) == Interval(-3.0, None)
    assert not interval([-3.0]).is_below_zero


def test_the_first_policy_is_compared_with_each_other() -> None:
    runs = [outcome(policy, seed, stall) for seed in (1, 2, 3) for policy, stall in (("a", 0), ("b", 2_000_000))]
    first, second = compare(runs)
    assert (first.policy, first.seeds, first.difference) == ("a", 3, {})
    assert second.difference["stall_s"] == Interval(-2.0, 0.0)
    assert set(second.figures) == {figure.key for figure in FIGURES} == set(runs[0].figures())


def test_policies_of_other_seeds_are_not_compared() -> None:
    with pytest.raises(ValueError, match="seeds"):
        compare([outcome("a", 1, 0), outcome("b", 2, 0)])
    with pytest.raises(ValueError, match="no values"):
        interval([])
    with pytest.raises(ValueError, match="1 values against 2"):
        paired([1.0], [1.0, 2.0])


def test_a_second_of_waiting_is_one_without_bits() -> None:
    """Else a policy is the better the less it delivers while lines are bad."""
    second = 1_000_000

    def bitrate(stall_s: int, bit_per_s: int) -> float:
        played_us = (99 - stall_s) * second
        viewer = ViewerOutcome(
            viewer=0,
            startup_us=second,
            stall_us=stall_s * second,
            played_us=played_us,
            bitrate_us=bit_per_s * played_us,
        )
        return Outcome(scenario="vod", policy="shoal", seed=1, viewers=[viewer]).bitrate

    assert bitrate(0, 1000) == 990
    assert bitrate(49, 1500) == 750


def test_who_never_saw_a_picture_waited_for_it_all_the_time() -> None:
    second = 1_000_000
    seen = ViewerOutcome(
        viewer=0, present_us=100 * second, startup_us=second, played_us=99 * second, bitrate_us=99 * second
    )
    never = ViewerOutcome(viewer=1, present_us=100 * second)
    outcome = Outcome(scenario="vod", policy="shoal", seed=1, viewers=[seen, never])
    assert (outcome.startup_s, outcome.never_started) == (50.5, 1)
    assert outcome.bitrate == 99 / 200
