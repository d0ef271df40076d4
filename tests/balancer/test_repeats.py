"""What one peer may be sent of one segment."""

from shoal.balancer.repeats import _NUMBERS_MAX, Repeats


def test_a_segment_goes_to_one_peer_so_many_times_its_length_at_most():
    repeats, sent = Repeats(3), 0
    for _ in range(100):
        if repeats.may_send(7, 40, 100):
            repeats.sent(7, 40)
            sent += 40
    assert sent == 280
    assert repeats.may_send(7, 20, 100)
    assert not repeats.may_send(7, 21, 100)
    assert repeats.may_send(8, 100, 100)


def test_what_was_not_sent_is_not_counted():
    repeats = Repeats(1)
    repeats.sent(1, 0)
    assert repeats.may_send(1, 100, 100)


def test_what_is_remembered_is_bounded_and_the_oldest_goes():
    repeats = Repeats(1)
    for number in range(_NUMBERS_MAX + 1):
        repeats.sent(number, 10)
    assert len(repeats._sent_bytes) == _NUMBERS_MAX
    assert repeats.may_send(0, 10, 10)
    assert not repeats.may_send(_NUMBERS_MAX, 10, 10)
