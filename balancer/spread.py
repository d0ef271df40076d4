"""Whose turn it is to bring a segment into the swarm, and how long a CDN can wait.

Each segment should come from a CDN about once for a whole swarm, and nobody
coordinates.  So every viewer ranks itself among the peers it has heard of by the same
numbers (rendezvous hashing: Thaler and Ravishankar, 1998): the first fetches at once
and announces that it does; the second would after one `spread_turn_us`, the third
after two, if nothing is announced until then.  Views of a swarm that differ cost a
second copy, never a missing one: at the last safe moment everybody fetches.

    last safe moment = two tries one after the other, each late with at most the root of `miss_share`

Of a time X, of which m is expected, with a mean square lateness s s above it:
P(X > m + k s) <= 1 / (k k), whatever its distribution (Markov's inequality for the
squared lateness).  Two tries with different sources that may each be late with the
root of the risk are both late with the risk, as far as they do not depend on each
other; where they do, on the viewer's own line, `busy_share` leaves no time to wait.
"""

from __future__ import annotations

import math
from typing import Any

from .availability import Availability
from .config import BalancerConfig
from .mixing import mix_three, text_number
from .model import ResourceKey

__all__ = ["Spread"]

_SEEN_MAX = 32  # beside the window, of segments that were looked at: what is wanted and not there yet is among them


class Spread:
    __slots__ = ("_availability", "_config", "_joined_us", "_own", "_ranks", "_seed", "_seen_us", "deviations")

    def __init__(self, config: BalancerConfig, seed: int, availability: Availability) -> None:
        self._config = config
        self._seed = seed & 0xFFFFFFFF  # of which `mix` takes no more
        self._availability = availability
        self._own: dict[int, str] = {}  # by rendition: what peers call us
        self._joined_us: dict[int, int] = {}
        self._seen_us: dict[ResourceKey, int] = {}
        self._ranks: dict[ResourceKey, tuple[int, int]] = {}  # of the same keys: version of the peers, rank among them
        # How many deviations each of the tries is allowed.
        self.deviations = math.sqrt(1.0 / math.sqrt(config.miss_share))

    def joined(self, rendition: int, now_us: int) -> None:
        self._joined_us.setdefault(rendition, now_us)

    def met(self, rendition: int, own: str) -> None:
        if own and self._own.get(rendition) != own:
            self._own[rendition] = own
            self._ranks.clear()

    def forget(self, key: ResourceKey) -> None:
        self._seen_us.pop(key, None)
        self._ranks.pop(key, None)

    def hopes(self, rendition: int, now_us: int) -> bool:
        """Whether peers may bring something: some have told what they hold, or could not yet."""
        if self._availability.peer_count(rendition):
            return True
        joined_us = self._joined_us.get(rendition)
        return joined_us is not None and now_us - joined_us < self._config.swarm_grace_us

    def keep(self, window: dict[ResourceKey, Any]) -> None:
        """Forget what left the window without ever being wanted: after a seek, or a switch."""
        if len(self._seen_us) > len(window) + _SEEN_MAX:
            for key in [key for key in self._seen_us if key not in window]:
                self.forget(key)

    def safe_us(self, expected_us: int, spread: float) -> int:
        """How long before a deadline a CDN must be asked, that takes `expected_us` and is late by `spread` of it."""
        try_us = int(expected_us * (1.0 + self.deviations * spread))
        first_us = max(try_us, self._config.first_byte_limit_us_min)  # a silent source is left no earlier
        return min(self._config.cdn_prefetch_deadline_us, first_us + try_us)

    def turn_us(self, key: ResourceKey, now_us: int) -> int:
        """When it is this viewer's turn to ask a CDN for it, which nobody holds; the first call counts as seeing it."""
        seen_us = self._seen_us.setdefault(key, now_us)
        joined_us = self._joined_us.get(key.rendition)
        if not self._availability.peer_count(key.rendition) and joined_us is not None:
            return joined_us + self._config.swarm_grace_us
        return seen_us + self._rank(key) * self._config.spread_turn_us

    def _rank(self, key: ResourceKey) -> int:
        """How many of the peers come before this viewer; they see the same order.

        Cost: a look-up, and all peers when they are others than at the last call.
        """
        version = self._availability.version(key.rendition)
        known = self._ranks.get(key)
        if known is None or known[0] != version:
            known = self._ranks[key] = (version, self._rank_anew(key))
        return known[1]

    def _rank_anew(self, key: ResourceKey) -> int:
        own, rendition, number = self._own.get(key.rendition), key.rendition, key.number & 0xFFFFFFFF
        mine = mix_three(self._seed if own is None else text_number(own), rendition, number)
        before = 0
        for peer in self._availability.known_numbers(rendition):
            if mix_three(peer, rendition, number) < mine:
                before += 1
        return before
