from shoal.balancer.mixing import mix, mix_three, share, text_number


def test_the_same_numbers_give_the_same_mix_in_every_run():
    assert mix(1, 2, 3) == 0xA6FDE042
    assert text_number("peer") == 0xB8150F49


def test_every_argument_and_their_order_count():
    assert len({mix(1, 2), mix(2, 1), mix(1), mix(1, 2, 0), mix(1, 3)}) == 5


def test_shares_are_spread_evenly():
    shares = [share(7, number) for number in range(10_000)]
    assert all(0 <= value < 1 for value in shares)
    for tenth in range(10):
        assert 850 < sum(tenth / 10 <= value < (tenth + 1) / 10 for value in shares) < 1_150


def test_three_numbers_give_the_same_however_they_are_mixed():
    for numbers in ((1, 2, 3), (0, 0, 0), (0xFFFFFFFF, 1 << 40, -5)):
        assert mix_three(*numbers) == mix(*numbers)
