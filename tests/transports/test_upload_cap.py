"""An upload cap holds over any time, is used up by those who have enough to send, and is shared in turns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.transports.sansio.upload_cap import UploadCap, line_bytes

SECOND = 1_000_000
sizes = st.lists(st.integers(0, 65_535), min_size=1, max_size=80)


def test_a_full_packet_carries_eight_percent_more_than_its_content():
    assert line_bytes(1160) == 1160 + 93
    assert line_bytes(64_000) == pytest.approx(1.08 * 64_000, rel=0.01)
    assert line_bytes(0) == 93


@given(st.integers(8_000, 100_000_000), sizes)
def test_a_sender_with_enough_to_send_gets_its_rate_within_one_percent(rate, messages):
    cap = UploadCap(rate)
    now_us, sent = 1_000_000, 0
    cap.take(rate, now_us)  # the burst is used up
    began_us = now_us + cap.wait_us(now_us)
    now_us = began_us
    for size in messages:
        now_us += cap.wait_us(now_us)
        cap.take(size, now_us)
        sent += line_bytes(size)
    took_us = now_us + cap.wait_us(now_us) - began_us
    assert sent * SECOND / rate == pytest.approx(took_us, rel=0.01, abs=len(messages) + 1)


@given(
    st.integers(8_000, 10_000_000),
    st.lists(st.tuples(st.integers(0, 65_535), st.integers(0, 2_000_000)), min_size=1, max_size=80),
)
def test_over_any_time_it_is_at_most_the_rate_a_burst_and_one_message(rate, history):
    cap = UploadCap(rate)
    now_us = 0
    sent: list[tuple[int, int]] = []
    for size, pause_us in history:
        now_us += pause_us
        if cap.wait_us(now_us) == 0:
            cap.take(size, now_us)
            sent.append((now_us, line_bytes(size)))
    for start in range(len(sent)):
        total = 0
        for at_us, size in sent[start:]:
            total += size
            allowed = rate * (at_us - sent[start][0] + 50_000) / SECOND + line_bytes(65_535)
            assert total <= allowed + 1


def test_two_that_wait_take_turns():
    cap = UploadCap(100_000)
    now_us, turns = 0, []
    wakes = {"a": 0, "b": 0}
    while len(turns) < 40:
        who = min(wakes, key=lambda name: (wakes[name], turns[-1:] == [name]))
        now_us = max(now_us, wakes[who])
        if (wait_us := cap.wait_us(now_us)) == 0:
            cap.take(10_000, now_us)
            turns.append(who)
            wait_us = cap.wait_us(now_us)
        wakes[who] = now_us + wait_us
    assert abs(turns.count("a") - turns.count("b")) <= 2


def test_a_cap_that_lets_nothing_through_is_wrong_use():
    with pytest.raises(ValueError, match="7999 bytes/s"):
        UploadCap(7_999)
