"""How long a description waits for servers."""

from shoal.transports.sansio.gathering import Gathering

SECOND_US = 1_000_000


def gathering() -> Gathering:
    return Gathering(patience_us=2 * SECOND_US, distrust_patience_us=SECOND_US // 4, distrust_us=60 * SECOND_US)


def test_servers_that_answer_are_waited_for():
    servers = gathering()
    for second in range(10):
        assert servers.limit_us(second * SECOND_US) == 2 * SECOND_US
        servers.took(100_000, second * SECOND_US)


def test_after_one_wait_in_vain_the_next_are_short_for_a_while():
    servers = gathering()
    servers.took(2 * SECOND_US, 10 * SECOND_US)
    assert servers.limit_us(10 * SECOND_US) == SECOND_US // 4
    assert servers.limit_us(69 * SECOND_US) == SECOND_US // 4
    assert servers.limit_us(70 * SECOND_US) == 2 * SECOND_US


def test_short_waits_in_vain_go_on_being_short():
    servers = gathering()
    servers.took(2 * SECOND_US, 10 * SECOND_US)
    servers.took(SECOND_US // 4, 60 * SECOND_US)
    assert servers.limit_us(100 * SECOND_US) == SECOND_US // 4


def test_a_server_that_answers_again_is_waited_for_again():
    servers = gathering()
    servers.took(2 * SECOND_US, 10 * SECOND_US)
    servers.took(SECOND_US // 10, 20 * SECOND_US)
    assert servers.limit_us(20 * SECOND_US) == 2 * SECOND_US
