"""What a collector is told of each response, in the words of CMCD (CTA-5004-B: events of type `rr`), and of the player.

    began, grew, ended         a transfer's life, as the report hears of it
    say                        an event of another type
    due(now_us) / take()       whether it is time to send, and the events that are to go, as the standard has them
    sent / refused             what became of them

An event says who sent it (`cdn`: the CDN's name, or "peer": which one is nobody's business),
what it was (`ot`, `d`, `br`, `st`), and how long it took (`ttfb`, `ttlb`).  URLs go without
their queries, since those carry signatures.  Responses that nobody waited for to the end
(races lost, seeks) are none.  Sans-IO.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Any

import msgspec

from .model import Kind, Segment, is_peer
from .telemetry import CmcdOptions, Telemetry

__all__ = ["Responses"]

EVENTS_MAX = 1_000  # that wait while a collector does not answer: some minutes of a player's
BATCH_MAX = 100  # in one request: 40 KiB
PERIOD_US = 1_000_000  # between two requests: what is not sent by the end of a session is lost
RETRY_US_MAX = 60_000_000
RUNNING_MAX = 256  # transfers at once; more than a session's CDNs and peers can have
_STATUS = re.compile(r" ([0-9]{3})\Z")


class _Running(msgspec.Struct):
    segment: Segment
    source: str
    is_range: bool
    began_us: int
    first_byte_us: int | None = None


class Responses:
    def __init__(self, options: CmcdOptions) -> None:
        self.telemetry = Telemetry()
        self.lost = 0  # events that did not fit, or that no collector took
        self._options = options
        self._running: dict[int, _Running] = {}
        self._waiting: deque[dict[str, Any]] = deque()
        self._number = 0
        self._due_us = 0
        self._retry_us = PERIOD_US
        self._is_over = False  # the collector wants no more

    def began(self, transfer: int, segment: Segment, source: str, *, is_range: bool, now_us: int) -> None:
        if len(self._running) < RUNNING_MAX:
            self._running[transfer] = _Running(segment, source, is_range, now_us)

    def grew(self, transfer: int, now_us: int) -> None:
        running = self._running.get(transfer)
        if running is not None and running.first_byte_us is None:
            running.first_byte_us = now_us

    def ended(self, transfer: int, outcome: str, reason: str, *, now_us: int, utc_us: int) -> None:
        """`outcome` and `reason` as in a PartStory (report.py)."""
        running = self._running.pop(transfer, None)
        if running is None or self._is_over or outcome not in {"ended", "failed"}:
            return
        self._wait(self._event(running, outcome, reason, now_us), "rr", utc_us)

    def say(self, event: str, utc_us: int, **values: Any) -> None:
        """`event` is one of the standard's types, and `values` are by its keys."""
        if not self._is_over:
            self._wait(values, event, utc_us)

    def _wait(self, values: dict[str, Any], event: str, utc_us: int) -> None:
        if len(self._waiting) >= EVENTS_MAX:
            self._waiting.popleft()
            self.lost += 1
        self._waiting.append({**self._options.values, **values, "e": event, "ts": utc_us // 1_000, "sn": self._number})
        self._number += 1

    def due_us(self, now_us: int) -> int | None:
        """When to send next; None while there is nothing to say."""
        return max(now_us, self._due_us) if self._waiting else None

    def take(self) -> list[dict[str, Any]]:
        """The oldest events; they are gone from here."""
        return [self._waiting.popleft() for _ in range(min(BATCH_MAX, len(self._waiting)))]

    def sent(self, now_us: int) -> None:
        self._retry_us = PERIOD_US
        self._due_us = now_us + PERIOD_US

    def refused(self, events: list[dict[str, Any]], status: int | None, now_us: int) -> None:
        """They were not taken: kept for later, unless the collector wants none (410) or cannot read these (4xx)."""
        may_pass = status is None or status >= 500 or status in {408, 429}
        if may_pass:
            room = EVENTS_MAX - len(self._waiting)
            kept = events[max(0, len(events) - room) :]
            self.lost += len(events) - len(kept)
            self._waiting.extendleft(reversed(kept))
        else:
            self.lost += len(events)
        if status == 410:
            self._is_over = True
            self.lost += len(self._waiting)
            self._waiting.clear()
        self._due_us = now_us + self._retry_us
        self._retry_us = min(2 * self._retry_us, RETRY_US_MAX)

    def _event(self, running: _Running, outcome: str, reason: str, now_us: int) -> dict[str, Any]:
        about = self.telemetry.request(running.segment, {}, deadline_us=now_us, bytes_per_s=None, now_us=now_us)
        about.pop("dl", None)
        peer = is_peer(running.source)
        code = _STATUS.search(reason)
        status = int(code[1]) if code else (206 if running.is_range else 200) if outcome == "ended" else None
        event = {
            **about,
            "cdn": "peer" if peer else running.source.removeprefix("cdn:"),
            "url": running.segment.uri.partition("?")[0],
            "ttlb": (now_us - running.began_us) // 1_000,
        }
        if running.first_byte_us is not None:
            event["ttfb"] = (running.first_byte_us - running.began_us) // 1_000
        if status is not None and not peer:
            event["rc"] = status
        if running.segment.key.kind in {Kind.KEY, Kind.DATA}:
            del event["url"]  # they may name who is watching
        return event
