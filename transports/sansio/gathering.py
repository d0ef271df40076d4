"""How long a description waits for the addresses that STUN and TURN servers tell.

    limit_us(now_us)                for the next description; at its end it goes out with the addresses that are there
    took(elapsed_us, now_us)        how long it was

A server that answers does so within a round trip.  `patience_us` has room for two packets that were lost, which are
sent again after 0.5 and 1.5 s (RFC 8489, 6.2.1).  A description that waited in vain would be followed by others that
do, one for each peer that we meet: so for `distrust_us` they wait `distrust_patience_us` only.  The servers are still
asked, and one that answers in that time ends it.
"""

from __future__ import annotations

__all__ = ["Gathering"]


class Gathering:
    """What one connector has seen of its servers."""

    def __init__(
        self,
        *,
        patience_us: int = 2_000_000,
        distrust_patience_us: int = 250_000,
        distrust_us: int = 60_000_000,
    ) -> None:
        """`distrust_patience_us`: more than a round trip to anywhere but another continent's far side."""
        self._patience_us = patience_us
        self._distrust_patience_us = distrust_patience_us
        self._distrust_us = distrust_us
        self._distrusted_until_us: int | None = None

    def limit_us(self, now_us: int) -> int:
        return self._distrust_patience_us if self._is_distrusted(now_us) else self._patience_us

    def took(self, elapsed_us: int, now_us: int) -> None:
        """A description is there, asked for when it was `now_us - elapsed_us`."""
        if elapsed_us >= self.limit_us(now_us - elapsed_us) * 9 // 10:  # uvloop's clock and timers are coarse
            self._distrusted_until_us = now_us + self._distrust_us
        else:
            self._distrusted_until_us = None

    def _is_distrusted(self, now_us: int) -> bool:
        return self._distrusted_until_us is not None and now_us < self._distrusted_until_us
