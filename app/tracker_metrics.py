"""A tracker's figures in Prometheus' text format, version 0.0.4.  Nothing in them tells one viewer from another."""

from __future__ import annotations

from collections.abc import Iterator

from .tracker_core import TrackerStatistics

__all__ = ["METRICS_TYPE", "metrics_text"]

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_FIGURES = (
    ("sockets", "gauge", "Open WebSockets."),
    ("swarms", "gauge", "Swarms with at least one peer."),
    ("peers", "gauge", "Memberships in swarms; a page in two swarms counts twice."),
    ("announces", "counter", "Announces that were answered."),
    ("offers_relayed", "counter", "Offers handed to a peer."),
    ("answers_relayed", "counter", "Answers handed to the peer that made the offer."),
)


def metrics_text(statistics: TrackerStatistics) -> str:
    """All figures; counters end in `_total`, and `failures` has a line for each reason."""
    return "\n".join([*_lines(statistics), ""])


def _lines(statistics: TrackerStatistics) -> Iterator[str]:
    for name, kind, what in _FIGURES:
        full = f"shoal_tracker_{name}" + ("_total" if kind == "counter" else "")
        yield f"# HELP {full} {what}"
        yield f"# TYPE {full} {kind}"
        yield f"{full} {getattr(statistics, name)}"
    full = "shoal_tracker_failures_total"
    yield f"# HELP {full} Sockets and messages that were refused or not passed on, by reason."
    yield f"# TYPE {full} counter"
    # The reasons are words of tracker_core.py and tracker_tokens.py, never of a client: they need no escaping.
    for reason, count in sorted(statistics.failures.items()):
        yield f'{full}{{reason="{reason}"}} {count}'
