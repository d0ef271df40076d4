import pytest

from shoal.balancer.reputation import Reputation


def reputation(*, ban_records_max: int = 100) -> Reputation:
    return Reputation(ban_records_max=ban_records_max, address_offenders_max=3)


def test_id_and_certificate_of_an_offender_are_banned_at_once():
    known = reputation()
    known.blame("p", "f", "8.8.8.8")
    assert known.ban_reason("p", "g", None) == "banned id"
    assert known.ban_reason("q", "f", None) == "banned certificate"
    assert known.ban_reason("q", "g", "8.8.8.8") is None
    assert known.ban_reason("q", None, None) is None


def test_an_address_with_one_offender_puts_its_peers_on_probation():
    known = reputation()
    known.blame("p", "f", "8.8.8.8")
    assert known.is_on_probation("8.8.8.8")
    assert not known.is_on_probation("8.8.4.4")
    assert not known.is_on_probation(None)


@pytest.mark.parametrize(
    ("address", "banned"),
    [
        ("8.8.8.8", True),
        ("2001:4860:4860::8888", True),
        ("127.0.0.1", False),
        ("192.168.1.9", False),
        ("10.0.0.1", False),
        ("fe80::1%eth0", False),
        ("::1", False),
        ("not an address", False),
        ("relay 8.8.8.8", False),
    ],
)
def test_an_address_is_banned_after_three_distinct_offenders_unless_many_share_it_by_nature(address, banned):
    known = reputation()
    for offender in "abc":
        assert known.ban_reason("x", "y", address) is None
        known.blame(offender, f"f{offender}", address)
    assert (known.ban_reason("x", "y", address) is not None) == banned
    assert known.is_on_probation(address)


def test_what_happens_behind_a_relay_is_not_held_against_who_has_its_address_and_the_reverse():
    known = reputation()
    for offender in "abc":
        known.blame(offender, f"f{offender}", "relay 8.8.8.8")
    assert known.is_on_probation("relay 8.8.8.8")
    assert not known.is_on_probation("8.8.8.8")
    for offender in "def":
        known.blame(offender, f"f{offender}", "8.8.4.4")
    assert known.ban_reason("x", "y", "8.8.4.4") == "banned address"
    assert known.ban_reason("x", "y", "relay 8.8.4.4") is None


@pytest.mark.parametrize(
    ("addresses", "another", "banned"),
    [
        (("2001:4860:4860::1", "2001:4860:4860::2", "2001:4860:4860:0:ffff::"), "2001:4860:4860::9", True),
        (("2001:4860:4860::1", "2001:4860:4860::2", "2001:4860:4860:1::3"), "2001:4860:4860::9", False),
        (("2001:4860:4860::1", "2001:4860:4860::2", "2001:4860:4860::3"), "2001:4860:4860:1::9", False),
        (("8.8.8.8", "::ffff:8.8.8.8", "::ffff:808:808"), "8.8.8.8", True),
        (("8.8.8.8", "8.8.8.9", "8.8.8.10"), "8.8.8.8", False),
        (("::ffff:8.8.8.1", "::ffff:8.8.8.2", "::ffff:8.8.8.3"), "::ffff:8.8.8.4", False),
        (("::ffff:127.0.0.1", "127.0.0.1", "127.0.0.1"), "::ffff:127.0.0.1", False),
        (("fe80::1%eth0", "fe80::2%eth0", "fe80::3"), "fe80::4", False),
        (("::1", "::1", "::1"), "::1", False),
    ],
)
def test_offenders_count_for_the_holder_of_their_addresses(addresses, another, banned):
    known = reputation()
    for number, address in enumerate(addresses):
        known.blame(f"p{number}", f"f{number}", address)
    assert known.ban_reason("x", "y", another) == ("banned address" if banned else None)


def test_one_offender_many_times_is_one_offender():
    known = reputation()
    for count in range(5):
        known.blame(f"id{count}", "same certificate", "8.8.8.8")
    assert known.offender_count("8.8.8.8") == 1


def test_records_are_bounded_and_the_oldest_are_forgotten():
    known = reputation(ban_records_max=2)
    for number in range(3):
        known.blame(f"p{number}", f"f{number}", f"8.8.8.{number}")
    assert known.ban_reason("p0", "f0", "8.8.8.0") is None
    assert not known.is_on_probation("8.8.8.0")
    assert known.ban_reason("p2", None, None) == "banned id"
    assert known.ban_reason("x", "f1", None) == "banned certificate"
