"""What is held against a peer that comes back, so that to connect anew is no new beginning.

    left(peer, now_us)        its channel is closed: how often it failed, and until when it is left alone, are kept
    came(peer, now_us)        a channel to it opened: it goes on from there

Kept by peer id and by certificate, which are the peer's own, and not by address, which others share: what one did
costs nobody else anything.  Who comes with a new id and a new certificate is new: that costs it a tracker's answer and
two handshakes each time, and us one request.

Nothing is kept of a peer whose last transfer ended well.  What is kept is forgotten after `kept_us`, and the oldest
beyond `records_max`.
"""

from __future__ import annotations

import msgspec

from .peer_choice import Peer

__all__ = ["Returning"]


class _Failed(msgspec.Struct, frozen=True):
    """As the fields of a Peer."""

    failures: int
    refusals: int
    unfinished: int
    cooldown_until_us: int
    forgotten_us: int


class Returning:
    def __init__(self, *, kept_us: int, records_max: int) -> None:
        self._kept_us = kept_us
        self._records_max = records_max
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
        while len(self._failed) > self._records_max:
            del self._failed[next(iter(self._failed))]

    def came(self, peer: Peer, now_us: int) -> None:
        known = [self._failed[name] for name in _names(peer.name, peer.fingerprint) if name in self._failed]
        known = [failed for failed in known if failed.forgotten_us > now_us]
        if not known:
            return
        worst = max(known, key=lambda failed: (failed.failures, failed.refusals))
        peer.failures, peer.refusals, peer.unfinished = worst.failures, worst.refusals, worst.unfinished
        peer.cooldown_until_us = max(failed.cooldown_until_us for failed in known)


def _names(peer: str, fingerprint: str | None) -> tuple[str, ...]:
    """An id may look like a certificate's fingerprint, since its owner chooses it: so each has a word before it."""
    return (f"id {peer}",) if fingerprint is None else (f"id {peer}", f"certificate {fingerprint}")
