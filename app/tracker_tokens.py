"""Signed tokens that let a viewer in at a tracker, and expire: so that others' viewers do not ride on it.

    token = sign(key, expires_s, subject)        whoever serves the page does this, and puts it into the tracker's URL:
    wss://tracker.example/?token=1.1780000000.viewer7.5f3a...
    Tokens((key,)).check(token, now_s)           the tracker does that; whose it is and until when, or TokenRefused

A token is four words with dots between: the version, when it ends (seconds since 1970), whom it was made for, and
HMAC-SHA256 (RFC 2104) in hex over the three before it.  The subject is an opaque name of a viewer or a session, not of
a person: tokens stand in URLs, which proxies log.  One subject may have few sockets (`sockets_per_subject_max` in
tracker_core.py), so a token that was given on brings in as many as one viewer, and until it ends: soon after
(`token_grace_s`) the sockets that came with it are closed.  Whoever plays on keeps the peers that it has and meets no
others, so a token has to last as long as its page may play.

Several keys may be given: sign with the newest, and take the oldest away once its tokens have ended.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import NamedTuple

from shoal.balancer.errors import ConfigurationError

__all__ = ["TOKEN_PARAMETER", "Admission", "TokenRefused", "Tokens", "sign"]

TOKEN_PARAMETER = "token"  # noqa: S105, the name of it
KEY_BYTES_MIN = 16  # RFC 2104, 3: less than the digest's length weakens it; 128 bits are the least that nobody guesses
VERSION = "1"
_TOKEN = re.compile(r"1\.([0-9]{1,12})\.([A-Za-z0-9_-]{1,64})\.([0-9a-f]{64})", re.ASCII)
_SUBJECT = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


class Admission(NamedTuple):
    """What a token that counts says."""

    subject: str
    ends_s: int  # since 1970


class TokenRefused(Exception):
    """A viewer has no token that counts.  `kind` is a stable word for counters."""

    def __init__(self, message: str, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


def sign(key: bytes, expires_s: int, subject: str) -> str:
    """A token for `subject`, good until `expires_s`.  ConfigurationError for what could not be read back."""
    _check_key(key)
    if not _SUBJECT.fullmatch(subject):
        raise ConfigurationError(f"subject {subject[:80]!r} is not 1 to 64 letters, digits, _ and -")
    if not 0 <= expires_s < 10**12:
        raise ConfigurationError(f"expires_s is {expires_s}; give seconds since 1970")
    said = f"{VERSION}.{expires_s}.{subject}"
    return f"{said}.{_signature(key, said)}"


class Tokens:
    """The keys that count."""

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        if not keys:
            raise ConfigurationError("no key is given; without one nobody could come in")
        for key in keys:
            _check_key(key)
        self._keys = keys

    def check(self, token: str | None, now_s: float) -> Admission:
        """What a token that counts says; TokenRefused says why another one does not."""
        if not token:
            raise TokenRefused("a token is needed; it belongs into the tracker's URL as ?token=", "no_token")
        found = _TOKEN.fullmatch(token)
        said = token.rpartition(".")[0]
        # Every key is tried, whatever the first one says, so that the time tells nothing.
        rights = (
            [hmac.compare_digest(_signature(key, said), token.rpartition(".")[2]) for key in self._keys]
            if found
            else []
        )
        if found is None or not any(rights):
            raise TokenRefused("the token is not one of ours", "bad_token")
        ends_s = int(found[1])
        if ends_s <= now_s:
            raise TokenRefused("the token has ended; load the page again", "expired_token")
        return Admission(found[2], ends_s)


def _signature(key: bytes, said: str) -> str:
    return hmac.new(key, said.encode("ascii", "replace"), hashlib.sha256).hexdigest()


def _check_key(key: bytes) -> None:
    if len(key) < KEY_BYTES_MIN:
        raise ConfigurationError(
            f"a key of {len(key)} bytes; use {KEY_BYTES_MIN} or more of chance: openssl rand -hex 32"
        )
