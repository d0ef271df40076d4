"""What is held against a peer that comes back, so that to connect anew is no new beginning.

    left(peer, now_us)        its channel is closed: how often it failed, and until when it is left alone, are kept
    came(peer, now_us)        a channel to it opened: it goes on from there
    violated(peer, now_us)    its channel was closed since it broke the protocol, or flooded; until when it is refused
    refused_until_us(...)     whether that still holds

Who breaks the protocol may be honest: one that plays another version of the stream answers in other lengths.  So it is
refused for `refused_us`, for twice as long each time after that, and for `refused_us_max` at most; who has kept the
protocol for so long after it was let in again begins anew.

Kept by peer id and by certificate, which are the peer's own, and not by address, which others share: what one did
costs nobody else anything.  Who comes with a new id and a new certificate is new: that costs it a tracker's answer and
two handshakes each time, and us one request.

Nothing is kept of a peer whose last transfer ended well.  What is kept is forgotten after `kept_us`, and the oldest
beyond `records_max`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .peer_choice import Peer

__all__ = ["Returning"]

_DOUBLINGS_MAX = 16  # the longest wait is reached long before


class _Failed(msgspec.Struct, frozen=True):
    """As the fields of a Peer."""

    failures: int
    refusals: int
    unfinished: int
    cooldown_until_us: int
    forgotten_us: int


class _Refused(msgspec.Struct, frozen=True):
    count: int  # violations in a row
    until_us: int


class Returning:
    def __init__(self, *, kept_us: int, refused_us: int, refused_us_max: int, records_max: int) -> None:
        self._kept_us = kept_us
        self._refused_us = refused_us
        self._refused_us_max = refused_us_max
        self._records_max = records_max
        self._refused: dict[str, _Refused] = {}  # as `_failed`
        self._failed: dict[str, _Failed] = {}  # by id, and by certificate; the oldest first

    def left(self, peer: Peer, now_us: int) -> None:
        names = _names(peer.name, peer.fingerprint)
        for name in names:
            self._failed.pop(name, None)
        if not peer.failures and not peer.refusals:
            return
        failed = _Failed(peer.failures, peer.refusals, peer.unfinished, peer.cooldown_until_us, now_us + self._kept_us)
        for name in names:
            self._failed[name] = failed
        _forget_oldest(self._failed, self._records_max)

    def came(self, peer: Peer, now_us: int) -> None:
        known = [self._failed[name] for name in _names(peer.name, peer.fingerprint) if name in self._failed]
        known = [failed for failed in known if failed.forgotten_us > now_us]
        if not known:
            return
        worst = max(known, key=lambda failed: (failed.failures, failed.refusals))
        peer.failures, peer.refusals, peer.unfinished = worst.failures, worst.refusals, worst.unfinished
        peer.cooldown_until_us = max(failed.cooldown_until_us for failed in known)

    def violated(self, peer: Peer, now_us: int) -> int:
        """Until when neither its id nor its certificate is let in."""
        names = _names(peer.name, peer.fingerprint)
        known = [self._refused.pop(name) for name in names if name in self._refused]
        count = max((one.count for one in known if one.until_us + self._refused_us_max > now_us), default=0)
        until_us = now_us + min(self._refused_us << min(count, _DOUBLINGS_MAX), self._refused_us_max)
        for name in names:
            self._refused[name] = _Refused(count + 1, until_us)
        _forget_oldest(self._refused, self._records_max)
        return until_us

    def refused_until_us(self, peer: str, fingerprint: str | None, now_us: int) -> int | None:
        """None: it is let in."""
        known = [self._refused[name] for name in _names(peer, fingerprint) if name in self._refused]
        until_us = max((one.until_us for one in known), default=0)
        return until_us if until_us > now_us else None


def _forget_oldest(records: dict[str, Any], records_max: int) -> None:
    while len(records) > records_max:
        del records[next(iter(records))]


def _names(peer: str, fingerprint: str | None) -> tuple[str, ...]:
    """An id may look like a certificate's fingerprint, since its owner chooses it: so each has a word before it."""
    return (f"id {peer}",) if fingerprint is None else (f"id {peer}", f"certificate {fingerprint}")
