"""Who sent wrong bytes, and what follows.

    id, certificate fingerprint   banned at once: both are the offender's own
    holder of the address         that is the address, or of IPv6 its /64 (`holders.py`);
                                  others may share it (one household, one NAT), so it only
                                  puts its peers on probation: asked last, and for little;
                                  after `address_offenders_max` distinct offenders a public
                                  address is banned, a loopback or private one never,
                                  and neither is a relay's (`relay ADDRESS`), behind which
                                  strangers meet; who says falsely that it is behind one
                                  stays on probation, where it is asked last

Every record is bounded by `ban_records_max`; the oldest are forgotten.
"""

from __future__ import annotations

from .holders import has_global_address, holder_of

__all__ = ["Reputation"]


class Reputation:
    def __init__(self, *, ban_records_max: int, address_offenders_max: int) -> None:
        self._records_max = ban_records_max
        self._address_offenders_max = address_offenders_max
        self._ids: dict[str, None] = {}
        self._fingerprints: dict[str, None] = {}
        self._offenders: dict[str, dict[str, None]] = {}  # holder of an address -> distinct offenders

    def blame(self, peer: str, fingerprint: str | None, address: str | None) -> None:
        """The peer sent wrong bytes."""
        _remember(self._ids, peer, self._records_max)
        if fingerprint is not None:
            _remember(self._fingerprints, fingerprint, self._records_max)
        if address is None:
            return
        holder = holder_of(address)
        offenders = self._offenders.pop(holder, {})
        _remember(offenders, fingerprint or peer, self._address_offenders_max)
        self._offenders[holder] = offenders
        if len(self._offenders) > self._records_max:
            del self._offenders[next(iter(self._offenders))]

    def ban_reason(self, peer: str, fingerprint: str | None, address: str | None) -> str | None:
        """Why this peer is refused, or None."""
        if peer in self._ids:
            return "banned id"
        if fingerprint is not None and fingerprint in self._fingerprints:
            return "banned certificate"
        if (
            address is not None
            and self.offender_count(address) >= self._address_offenders_max
            and not _is_shared_by_nature(address)
        ):
            return "banned address"
        return None

    @property
    def is_clean(self) -> bool:
        """Whether no address has an offender, and so nobody is on probation."""
        return not self._offenders

    def is_on_probation(self, address: str | None) -> bool:
        """Whether an offender was seen at this address, so that its peers have to show that they are none."""
        return self.offender_count(address) > 0

    def offender_count(self, address: str | None) -> int:
        return 0 if address is None else len(self._offenders.get(holder_of(address), ()))


def _remember(records: dict[str, None], record: str, records_max: int) -> None:
    records[record] = None
    if len(records) > records_max:
        del records[next(iter(records))]


def _is_shared_by_nature(address: str) -> bool:
    """Loopback, private, link-local, a relay's, or no address at all: many machines may look the same."""
    return not has_global_address(holder_of(address))
