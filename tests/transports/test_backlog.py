"""How much may wait in a browser's channel: by time, on fast and slow paths, and with a page that is late."""

from __future__ import annotations

import pytest

from shoal.transports.sansio.backlog import Backlog

MIB = 1024 * 1024
MESSAGE = 65_535


def send(backlog: Backlog, rate: float, seconds: float, *, late_us: int = 0, began_us: int = 0) -> int:
    """Bulk without end over a path of that many bytes a microsecond, to a page that hears of room so much later.

    How many bytes the path could have taken and did not.
    """
    now_us, buffered, idle = began_us, 0.0, 0.0
    while now_us < began_us + seconds * 1e6:
        backlog.room(int(buffered), now_us)
        while buffered < backlog.high_bytes:
            buffered += MESSAGE
            backlog.sent(MESSAGE)
        backlog.full(int(buffered), now_us)
        wait_us = int((buffered - backlog.low_bytes) / rate) + 1 + late_us
        idle += max(0.0, wait_us * rate - buffered)
        buffered = max(0.0, buffered - wait_us * rate)
        now_us += wait_us
    return int(idle)


@pytest.mark.parametrize("late_us", [0, 1_000, 5_000, 15_000])
@pytest.mark.parametrize("rate", [0.1, 1.0, 5.0, 13.0, 20.0])
def test_a_path_is_kept_busy_though_the_page_hears_late_of_room(rate: float, late_us: int):
    backlog = Backlog()
    send(backlog, rate, 2, late_us=late_us)
    assert send(backlog, rate, 10, late_us=late_us, began_us=3_000_000) <= 0.01 * rate * 10e6


@pytest.mark.parametrize("rate", [2.0, 5.0, 13.0, 30.0])
def test_what_is_given_to_the_channel_is_what_it_sends_in_the_time_that_was_said(rate: float):
    backlog = Backlog(hold_us_min=20_000)
    send(backlog, rate, 5)
    assert backlog.high_bytes == pytest.approx(20_000 * rate, rel=0.02)
    assert backlog.low_bytes == backlog.high_bytes // 2


@pytest.mark.parametrize("late_us", [15_000, 30_000, 60_000])
def test_a_page_that_hears_late_holds_for_longer_and_for_no_longer_than_that(late_us: int):
    backlog = Backlog()
    send(backlog, 5.0, 2, late_us=late_us)
    assert send(backlog, 5.0, 10, late_us=late_us, began_us=3_000_000) <= 0.05 * 5.0 * 10e6
    assert backlog.low_bytes / 5.0 <= 2 * late_us


def test_a_page_that_is_idle_again_holds_no_longer_than_before():
    backlog = Backlog(hold_us_min=20_000)
    send(backlog, 5.0, 2, late_us=60_000)
    assert backlog.high_bytes > 2 * 20_000 * 5.0
    send(backlog, 5.0, 10, began_us=3_000_000)
    assert backlog.high_bytes == pytest.approx(20_000 * 5.0, rel=0.02)


def test_a_page_that_is_always_late_does_not_take_the_path_for_slow():
    backlog = Backlog(hold_us_max=40_000)
    send(backlog, 10.0, 2)
    idle = send(backlog, 10.0, 10, late_us=100_000, began_us=3_000_000)
    assert backlog.high_bytes == 40_000 * 10  # what it sent was held up by the page, a quarter of that rate
    assert idle > 0.5 * 10.0 * 10e6


def test_marks_grow_from_the_first_time_a_new_channel_runs_dry():
    backlog = Backlog(bytes_first=128 * 1024)
    send(backlog, 25.0, 0.05, late_us=6_000)
    assert backlog.high_bytes >= 512 * 1024  # before the rate is known


def test_a_slow_path_has_half_a_message_at_most_when_it_gets_the_next():
    backlog = Backlog()
    send(backlog, 0.05, 20)
    assert backlog.high_bytes == 32 * 1024


def test_the_fastest_path_gets_a_megabyte_and_no_more():
    backlog = Backlog()
    send(backlog, 500.0, 1)
    assert backlog.high_bytes == MIB


def test_a_path_that_becomes_slow_is_noticed_within_seconds():
    backlog = Backlog()
    send(backlog, 13.0, 2)
    send(backlog, 0.5, 3, began_us=3_000_000)
    assert backlog.high_bytes == 32 * 1024


def test_a_channel_that_waited_for_us_says_nothing_of_its_path():
    backlog = Backlog()
    before = backlog.high_bytes
    for now_us in range(0, 1_000_000, 10_000):
        backlog.sent(1_000)
        backlog.room(0, now_us)
    assert backlog.high_bytes == before


def test_small_messages_in_between_count_as_sent():
    backlog = Backlog(hold_us_min=40_000)
    backlog.sent(200_000)
    backlog.full(200_000, 0)
    backlog.sent(50_000)
    backlog.room(50_000, 100_000)  # 200,000 of 250,000 bytes left in a tenth of a second
    assert backlog.high_bytes == 80_000


def test_the_moment_after_the_page_was_busy_says_nothing():
    backlog = Backlog(hold_us_min=40_000)
    now_us = 0
    for _ in range(100):  # of 10 ms: all but 1,000 bytes at once, which the page hears of when it has handed over more
        backlog.sent(100_000)
        backlog.full(101_000, now_us)
        backlog.room(1_000, now_us + 100)
        now_us += 100
        backlog.sent(100_000)
        backlog.full(101_000, now_us)
        now_us += 9_900
        backlog.room(1_000, now_us)
    assert backlog.high_bytes == pytest.approx(40_000 * 200_000 / 10_000, rel=0.02)
