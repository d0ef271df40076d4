"""Which CDN says whether the bytes of peers are right, and what follows where none does.

Asked are those that are well, the first priority before the others, then the soonest;
each once for one segment, and `audit_tries_max` in all.  One that ignores ranges is never
asked again, and neither is one that answered three in a row with something else.  Where
no CDN is left for audits, peers are no source either.
"""

from __future__ import annotations

from collections.abc import Mapping

from .audit import RANGE_BYTES_MAX
from .cdn_choice import Cdn
from .config import BalancerConfig
from .events import AuditAtCdn, AuditEnded, AuditFailed, DropUnaudited
from .transfers import Want

__all__ = ["AuditChoice"]

_USELESS_MAX = 3  # answers in a row that say nothing
_USELESS = {
    "short",
    "truncated",
    "changed",
    "too_large",
    "lengthless",
    "body",
}  # it answered, and not what it was asked


class AuditChoice:
    def __init__(self, cdns: Mapping[str, Cdn], config: BalancerConfig) -> None:
        """`cdns` by label; looked at, never kept a copy of."""
        self._cdns = cdns
        self._config = config

    @property
    def is_possible(self) -> bool:
        """Whether any CDN is left that may be asked, now or later."""
        return any(cdn.is_used and cdn.audits_failed < _USELESS_MAX for cdn in self._cdns.values())

    def next(self, want: Want, now_us: int) -> AuditAtCdn | DropUnaudited:
        """Whom to ask about this resource now."""
        if len(want.audited_at) >= self._config.audit_tries_max:
            return DropUnaudited(want.key)
        best = min(
            (
                (cdn.priority, cdn.expected_us(RANGE_BYTES_MAX, now_us, self._config), cdn.place, cdn)
                for cdn in self._cdns.values()
                if self._may_be_asked(cdn, want, now_us)
            ),
            key=lambda found: found[:3],
            default=None,
        )
        if best is None:
            return DropUnaudited(want.key)
        want.audited_at = (*want.audited_at, best[3].label)
        return AuditAtCdn(want.key, best[3].name)

    def ended(self, event: AuditEnded) -> None:
        cdn = self._cdns.get(f"cdn:{event.cdn}")
        if cdn is not None:
            cdn.audits_failed = 0
            cdn.sent_bytes += event.byte_count

    def failed(self, event: AuditFailed) -> None:
        cdn = self._cdns.get(f"cdn:{event.cdn}")
        if cdn is None:
            return
        cdn.sent_bytes += event.byte_count
        if event.reason == "rangeless":
            cdn.audits_failed = _USELESS_MAX  # of the body that it began to send, as much came as sockets hold
        elif event.reason in _USELESS:
            cdn.audits_failed += 1

    def _may_be_asked(self, cdn: Cdn, want: Want, now_us: int) -> bool:
        return (
            cdn.is_used
            and cdn.label not in want.audited_at
            and cdn.audits_failed < _USELESS_MAX
            and not cdn.circuit.is_broken
            and cdn.retry_at_us <= now_us
        )
