"""What commands say at their end of whom the bytes came from: CDNs by name, and all peers together."""

from __future__ import annotations

from collections import Counter

from shoal.balancer.model import is_peer
from shoal.balancer.report import SessionReport

__all__ = ["bytes_by_source"]


def bytes_by_source(report: SessionReport) -> dict[str, int]:
    """Bytes used, of those that brought any; other viewers are nobody's business in what is printed."""
    found: Counter[str] = Counter()
    for source in report.sources:
        if source.used_bytes:
            found["peers" if is_peer(source.name) else source.name] += source.used_bytes
    return dict(found)
