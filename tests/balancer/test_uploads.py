"""Who is served, and with how much at a time: piece by piece under a cap, nobody silent for long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.balancer.config import BalancerConfig
from shoal.balancer.uploads import Turn, Uploads

CAP = 128 * 1024
PIECE = 64 * 1024
SECOND = 1_000_000


class Served:
    """Peers that take as fast as they are let: (when, who, how much) of each piece."""

    def __init__(self, uploads: Uploads, peers: list[str], *, until_us: int) -> None:
        due = dict.fromkeys(peers, 0)
        self.pieces: list[tuple[int, str, int]] = []
        for peer in peers:
            uploads.choking.heard(peer, 1)
            uploads.choking.begin(peer)
        while due:
            peer = min(due, key=lambda one: (due[one], one))
            now_us = due[peer]
            if now_us >= until_us:
                del due[peer]
                continue
            turn = uploads.turn(peer, PIECE, now_us, is_patient=True)
            assert turn is not None
            due[peer] = now_us + turn.delay_us + 1
            self.pieces.append((now_us + turn.delay_us, peer, turn.byte_count))

    def longest_silence_us(self, peer: str, bytes_min: int) -> int:
        """The longest time in which fewer than `bytes_min` came."""
        longest, since_us, came = 0, 0, 0
        for at_us, who, byte_count in self.pieces:
            if who == peer:
                came += byte_count
                if came >= bytes_min:
                    longest, since_us, came = max(longest, at_us - since_us), at_us, 0
        return longest


def test_without_a_cap_pieces_are_as_large_as_channels_take() -> None:
    uploads = Uploads(None)
    assert [uploads.turn(str(n), PIECE, 0, is_patient=True) for n in range(40)] == [Turn(PIECE, 0)] * 40
    assert uploads.may_begin("p", 0, hears_why=True) is None
    assert uploads.state("p", 0) == "free"


@pytest.mark.parametrize("count", [1, 4, 8, 32])
def test_at_128_kib_per_second_nobody_is_silent_for_as_long_as_a_stall(count: int) -> None:
    """All 32 that a viewer meets at most, though 8 are let in: whoever came before is served on."""
    served = Served(Uploads(CAP), [f"p{n}" for n in range(count)], until_us=20 * SECOND)
    config = BalancerConfig()
    for n in range(count):
        assert served.longest_silence_us(f"p{n}", config.stall_bytes_min) < config.stall_limit_us


@given(st.integers(8_000, 10_000_000), st.integers(1, 12))
def test_a_cap_is_kept_and_shared_alike(cap: int, count: int) -> None:
    served = Served(Uploads(cap), [f"p{n}" for n in range(count)], until_us=10 * SECOND)
    by_peer = {f"p{n}": sum(size for at, who, size in served.pieces if who == f"p{n}") for n in range(count)}
    slack = count * max(size for _, _, size in served.pieces)
    assert sum(by_peer.values()) <= 1.01 * cap * 10 + 2 * slack  # times are whole microseconds
    assert max(by_peer.values()) - min(by_peer.values()) <= 2 * slack


def test_who_comes_when_a_cap_can_help_no_more_is_refused_until_one_has_gone() -> None:
    uploads = Uploads(CAP)
    for n in range(8):
        uploads.choking.heard(f"p{n}", 1)
        assert uploads.may_begin(f"p{n}", 0, hears_why=False) is None
        uploads.turn(f"p{n}", PIECE, 0, is_patient=True)
    assert uploads.is_full(0)
    uploads.choking.heard("late", 1)
    assert uploads.may_begin("late", 0, hears_why=False) == uploads.state("late", 0) == "busy"
    assert uploads.may_begin("p3", 0, hears_why=False) is None  # its next segment: it is one of the eight
    uploads.ended("p0", 1)
    assert uploads.may_begin("late", 0, hears_why=False) is None


def test_free_riders_that_wait_for_their_turn_keep_out_each_other_and_nobody_who_gives() -> None:
    uploads = Uploads(CAP)
    for n in range(8):
        assert uploads.may_begin(f"rider{n}", 0, hears_why=False) is None
        uploads.turn(f"rider{n}", PIECE, 0, is_patient=True)
    assert uploads.state("one more", 0) == "busy"
    uploads.choking.heard("giver", 1)
    assert uploads.may_begin("giver", 0, hears_why=True) is None
    assert not uploads.is_full(0)
    assert uploads.turn("rider0", PIECE, 0, is_patient=True) is None  # from now on they wait


def test_those_who_ask_and_hardly_read_keep_nobody_out() -> None:
    uploads = Uploads(CAP)
    for n in range(20):
        uploads.may_begin(f"p{n}", 0, hears_why=False)
        uploads.turn(f"p{n}", PIECE, 0, is_patient=True)
    assert uploads.may_begin("late", SECOND, hears_why=False) is None  # nothing more has gone for a second


def test_a_free_rider_of_ours_is_told_so_and_another_waits_for_its_turn() -> None:
    uploads = Uploads(None)
    uploads.choking.heard("giver", 3)
    assert uploads.may_begin("giver", 0, hears_why=True) is None
    assert uploads.may_begin("ours", 0, hears_why=True) == uploads.state("ours", 0) == "choked"
    assert uploads.may_begin("theirs", 0, hears_why=False) is None
    assert uploads.turn("theirs", PIECE, 0, is_patient=True) is None
    assert uploads.turn("theirs", PIECE, 0, is_patient=False) == Turn(PIECE, 0)
    uploads.ended("giver", PIECE)
    assert uploads.may_begin("ours", 0, hears_why=True) is None


def test_uploads_that_are_cancelled_before_their_turn_take_no_turn_from_others() -> None:
    uploads = Uploads(100_000)
    uploads.choking.heard("p", 1)
    for _ in range(100):
        assert uploads.turn("p", PIECE, 0, is_patient=True) == Turn(20_000, 0)
        uploads.ended("p", 0)
    uploads.turn("p", PIECE, 0, is_patient=True)
    uploads.ended("p", 20_000)
    assert uploads.turn("p", PIECE, 0, is_patient=True) == Turn(20_000, 200_000)


def test_a_free_rider_waits_until_the_line_has_rested_and_is_told_so() -> None:
    uploads = Uploads(CAP)
    uploads.choking.heard("giver", 3)
    turn = uploads.turn("giver", PIECE, 0, is_patient=True)
    assert turn is not None
    uploads.ended("giver", turn.byte_count)
    for now_us in (0, SECOND // 2, SECOND - 1):
        assert uploads.state("rider", now_us) == uploads.may_begin("rider", now_us, hears_why=True) == "choked"
        assert uploads.turn("rider", PIECE, now_us, is_patient=True) is None
    assert uploads.turn("rider", PIECE, SECOND // 2, is_patient=False) is not None  # nobody waits for ever
    assert uploads.state("rider", SECOND) == "free"
    assert uploads.turn("rider", PIECE, SECOND, is_patient=True) is not None


def test_free_riders_alone_have_all_of_a_line_and_wait_for_nobody() -> None:
    uploads = Uploads(CAP)
    now_us = came = 0
    while now_us < 10 * SECOND:
        turn = uploads.turn("rider", PIECE, now_us, is_patient=True)
        assert turn is not None
        came += turn.byte_count
        now_us += turn.delay_us + 1
    assert came >= 0.99 * CAP * 10


@pytest.mark.parametrize("riders", [1, 3])
def test_who_comes_while_free_riders_are_served_hardly_waits_for_their_pieces(riders: int) -> None:
    uploads = Uploads(CAP)
    for n in range(riders):
        assert uploads.may_begin(f"rider{n}", 0, hears_why=True) is None
    for n in range(riders):
        assert uploads.turn(f"rider{n}", PIECE, 0, is_patient=True) is not None
    uploads.choking.heard("giver", 1)
    turn = uploads.turn("giver", PIECE, 0, is_patient=True)
    assert turn is not None
    assert turn.delay_us <= max(20_000, riders * 1024 * SECOND // CAP)


@pytest.mark.parametrize("riders", [1, 3])
def test_who_asks_for_one_segment_after_the_other_has_the_line_as_if_no_free_rider_were_there(riders: int) -> None:
    """A round trip lies between two segments, and free riders look again every so often meanwhile."""
    segment_bytes, round_trip_us, look_us = 100_000, 60_000, 50_000
    uploads = Uploads(75_000)
    uploads.choking.heard("giver", 1)
    due_us = {"giver": 0, **{f"rider{n}": 7_000 * n for n in range(riders)}}
    left, finished = segment_bytes, 0
    while due_us["giver"] < 60 * SECOND:
        peer = min(due_us, key=lambda one: due_us[one])
        now_us = due_us[peer]
        turn = uploads.turn(peer, left if peer == "giver" else PIECE, now_us, is_patient=True)
        if turn is None:
            due_us[peer] += look_us
            continue
        due_us[peer] += turn.delay_us + 1
        if peer == "giver":
            left -= turn.byte_count
            if not left:
                uploads.ended("giver", segment_bytes)
                left, finished = segment_bytes, finished + 1
                due_us["giver"] += round_trip_us
    alone = 60 * SECOND // (segment_bytes * SECOND // 75_000 + round_trip_us)
    assert finished >= alone - 1
