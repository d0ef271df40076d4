"""A tracker's figures in Prometheus' text format, version 0.0.4.  Nothing in them tells one viewer from another."""

from __future__ import annotations

from collections.abc import Iterator

from .tracker_core import TrackerStatistics
from .tracker_nodes import NodesStatistics

__all__ = ["METRICS_TYPE", "metrics_text"]

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_FIGURES = (
    ("sockets", "gauge", "Open WebSockets."),
    ("swarms", "gauge", "Swarms with at least one peer."),
    ("peers", "gauge", "Memberships in swarms; a page in two swarms counts twice."),
    ("announces", "counter", "Announces that were answered."),
    ("offers_relayed", "counter", "Offers handed to a peer."),
    ("answers_relayed", "counter", "Answers handed to the peer that made the offer."),
    ("sockets_unnamed", "counter", "Sockets whose trusted proxy did not say, or not legibly, whose they are."),
)


_NODES_FIGURES = (
    ("is_connected", "gauge", "1 while other nodes can be reached, through Redis."),
    ("nodes", "gauge", "Other nodes with a peer in a swarm that is here too."),
    ("far_peers", "gauge", "Peers of other nodes in swarms that are here too."),
    ("relayed_out", "counter", "Offers and answers handed to another node."),
    ("relayed_in", "counter", "Offers and answers that came from another node."),
)


def metrics_text(statistics: TrackerStatistics, nodes: NodesStatistics | None = None) -> str:
    """All figures; counters end in `_total`, and `failures` has a line for each reason."""
    failures = statistics.failures | (nodes.failures if nodes is not None else {})
    rows = [*_lines(_FIGURES, statistics)]
    if nodes is not None:
        rows += _lines(_NODES_FIGURES, nodes)
    return "\n".join([*rows, *_failure_lines(failures), ""])


def _lines(figures: tuple[tuple[str, str, str], ...], statistics: TrackerStatistics | NodesStatistics) -> Iterator[str]:
    for name, kind, what in figures:
        full = f"shoal_tracker_{name}" + ("_total" if kind == "counter" else "")
        yield f"# HELP {full} {what}"
        yield f"# TYPE {full} {kind}"
        yield f"{full} {int(getattr(statistics, name))}"


def _failure_lines(failures: dict[str, int]) -> Iterator[str]:
    full = "shoal_tracker_failures_total"
    yield f"# HELP {full} Sockets and messages that were refused or not passed on, by reason."
    yield f"# TYPE {full} counter"
    # The reasons are words of tracker_*.py, never of a client: they need no escaping.
    for reason, count in sorted(failures.items()):
        yield f'{full}{{reason="{reason}"}} {count}'
