"""Tokens of a tracker: what was signed comes in until it ends, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.app.tracker_tokens import TokenRefused, Tokens, sign
from shoal.balancer.errors import ConfigurationError

KEY, OTHER = b"k" * 32, b"o" * 32
ENDS_S = 2_000_000_000
OPENSSL = "e3890e5713cfff40a560c7fe75e329f44af124819ccfe23d19573dc66912a439"
subjects = st.text("abcXYZ019_-", min_size=1, max_size=64)


def refusal(tokens: Tokens, token: str | None, now_s: float = 0.0) -> str:
    with pytest.raises(TokenRefused) as caught:
        tokens.check(token, now_s)
    return caught.value.kind


def test_a_signed_token_is_one_that_others_can_make() -> None:
    # printf 1.2000000000.viewer7 | openssl dgst -sha256 -hmac kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk
    assert sign(KEY, ENDS_S, "viewer7") == f"1.2000000000.viewer7.{OPENSSL}"


@given(st.integers(0, 10**12 - 1), subjects, st.floats(0, 1e12))
def test_a_token_counts_until_it_ends(ends_s: int, subject: str, now_s: float) -> None:
    token = sign(KEY, ends_s, subject)
    if now_s < ends_s:
        assert Tokens((KEY,)).check(token, now_s) == (subject, ends_s)
    else:
        assert refusal(Tokens((KEY,)), token, now_s) == "expired_token"


@given(subjects, st.integers(0, 200), st.characters(codec="utf-8"))
def test_a_token_with_any_sign_changed_is_refused(subject: str, place: int, sign_: str) -> None:
    token = sign(KEY, ENDS_S, subject)
    place %= len(token)
    changed = token[:place] + sign_ + token[place + 1 :]
    if changed != token:
        assert refusal(Tokens((KEY,)), changed) == "bad_token"


@given(st.text() | st.text("1.abc0", max_size=120))
def test_whatever_stands_in_the_url_is_refused_by_name(token: str) -> None:
    assert refusal(Tokens((KEY,)), token) == ("bad_token" if token else "no_token")


def test_a_token_of_an_older_key_counts_as_long_as_the_key_is_given() -> None:
    token = sign(OTHER, ENDS_S, "viewer")
    assert Tokens((KEY, OTHER)).check(token, 0).subject == "viewer"
    assert refusal(Tokens((KEY,)), token) == "bad_token"
    assert refusal(Tokens((KEY,)), None) == "no_token"


@pytest.mark.parametrize("subject", ["", "a.b", "a" * 65, "a b", "ä"])
def test_a_subject_that_could_not_be_read_back_is_our_own_mistake(subject: str) -> None:
    with pytest.raises(ConfigurationError, match="subject"):
        sign(KEY, ENDS_S, subject)


def test_a_key_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="16 or more"):
        Tokens((b"secret",))
    with pytest.raises(ConfigurationError, match="no key"):
        Tokens(())
