"""A silent peer is asked, one that does not answer is given up, and our own pauses are nobody's silence."""

from __future__ import annotations

from shoal.transports.sansio.liveness import Liveness, Pulse

SECOND = 1_000_000


def pulses(liveness: Liveness, *seconds: float) -> list[Pulse]:
    return [liveness.tick(int(at * SECOND)) for at in seconds]


def test_a_peer_that_vanished_is_given_up_within_five_seconds():
    liveness = Liveness(0, interval_us=SECOND, dead_after_us=3_500_000)
    assert pulses(liveness, 1, 2, 3) == [Pulse.ASK] * 3
    assert pulses(liveness, 4) == [Pulse.DEAD]
    assert liveness.missed == 3


def test_a_peer_that_sends_is_never_asked():
    liveness = Liveness(0, interval_us=SECOND, dead_after_us=3_500_000)
    for number in range(1, 20):
        liveness.heard(number * SECOND - 1)
        assert liveness.tick(number * SECOND) is Pulse.NOTHING
    assert liveness.missed == 0


def test_a_peer_that_answers_is_kept():
    liveness = Liveness(0, interval_us=SECOND, dead_after_us=3_500_000)
    for number in range(1, 100):
        assert liveness.tick(number * SECOND) is not Pulse.DEAD
        if number % 3 == 0:
            liveness.heard(number * SECOND + 20_000)


def test_a_loop_that_was_blocked_takes_nobody_for_dead():
    liveness = Liveness(0, interval_us=SECOND, dead_after_us=3_500_000)
    assert pulses(liveness, 1, 31) == [Pulse.ASK, Pulse.ASK]
    liveness.heard(31 * SECOND + 1000)  # it had been in our socket all the time
    assert pulses(liveness, 32) == [Pulse.NOTHING]


def test_after_a_blocked_loop_a_dead_peer_is_still_noticed():
    liveness = Liveness(0, interval_us=SECOND, dead_after_us=3_500_000)
    assert Pulse.DEAD in pulses(liveness, 1, 31, 32, 33, 34, 35)
