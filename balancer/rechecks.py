"""What is held without a hash, held against its hash once that has come.  Sans-IO.

    held(key)                       the store has it, and no hash vouched for it
    gone(key)                       it has not, or a hash has
    look(sha256)                    hashes came: whatever has one now is to be hashed
    next()                          what is to be hashed now; to be asked after each of the others
    hashed(check, digest, right)    right, wrong, or nothing that follows

    held ---a hash came---> due ---its turn---> under way ---the same---> right     may be offered from now on
     ^                                              |   '-----another---> wrong     to be dropped
     '------------the hash went meanwhile-----------'

A live stream names the hash of its newest segment a little later than the segment, so whoever is first at it has taken
it from a CDN alone, or had it audited.  Without this it could never give it to others, who ask for just that one.

Left to others: where the bytes are, hashing them, and what follows.  The hash that counts is the one that is known when
the digest comes, as for all else (trust.py): nothing is kept of earlier ones.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

import msgspec

from .model import ResourceKey

__all__ = ["Check", "Rechecks", "Verdict"]

# Bodies are hashed whole, and wait in one row with the blocks of what is coming: one at a time, so that a block waits
# for one of them at most (64 MiB take a native session 50 to 200 ms).
AT_ONCE_MAX = 1


class Verdict(enum.Enum):
    RIGHT = enum.auto()
    WRONG = enum.auto()


class Check(msgspec.Struct, frozen=True, eq=False):
    """One hashing of what is held; a later one of the same resource is another."""

    key: ResourceKey


class Rechecks:
    """Bounded by what the store holds: a key is here once, while it is there."""

    def __init__(self) -> None:
        self._held: dict[ResourceKey, None] = {}  # without a hash
        self._due: dict[ResourceKey, None] = {}  # in the order in which they are hashed
        self._under_way: dict[ResourceKey, Check] = {}

    def __len__(self) -> int:
        return len(self._held) + len(self._due) + len(self._under_way)

    def held(self, key: ResourceKey, *, is_hashed: bool) -> None:
        """`is_hashed`: its hash has come while it was under way."""
        self.gone(key)  # other bytes than before
        (self._due if is_hashed else self._held)[key] = None

    def gone(self, key: ResourceKey) -> None:
        for place in (self._held, self._due, self._under_way):
            place.pop(key, None)

    def look(self, sha256: Callable[[ResourceKey], bytes | None]) -> None:
        """`sha256` tells which hash a resource must have.  Cost: a question for each that is held without one."""
        for key in [key for key in self._held if sha256(key) is not None]:
            del self._held[key]
            self._due[key] = None

    def next(self) -> list[Check]:
        """What is to be hashed now."""
        checks: list[Check] = []
        while self._due and len(self._under_way) < AT_ONCE_MAX:
            key = next(iter(self._due))
            del self._due[key]
            self._under_way[key] = check = Check(key)
            checks.append(check)
        return checks

    def hashed(self, check: Check, digest: bytes | None, right: bytes | None) -> Verdict | None:
        """The digest of what is held, None where it was not found; and its hash, as it is known now, if it is."""
        if self._under_way.get(check.key) is not check:
            return None  # it went meanwhile, and may have come again
        del self._under_way[check.key]
        if digest is None:
            return None
        if right is None:
            self._held[check.key] = None
            return None
        return Verdict.RIGHT if digest == right else Verdict.WRONG
