"""Sends what responses.py says to a collector, in small requests; a slow or dead one holds nobody up.

Beside each response, events of the player: its states as they change (`ps`, player_states.py), what it cannot have
(`e`), and every 30 s that it is still there (`t`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from shoal.runtime import Actor, ActorRef
from shoal.transports.errors import TransportError
from shoal.transports.interface import Poster

from ..formats.cmcd import MIME_TYPE, report
from ..player_states import PlayerStates
from ..responses import Responses
from ..telemetry import CmcdOptions
from .messages import Asked, Left, Noted, RenditionKnown
from .reporter import Completed, Failed, PartBegan, PartEnded, PartGrew

__all__ = ["Collecting"]

TIMEOUT_US = 5_000_000
BEAT_US = 30_000_000  # as CTA-5004-B has it where nobody says otherwise
UNAVAILABLE = "unavailable"  # error code (`ec`): no source gave the segment


class _Send(msgspec.Struct, frozen=True):
    pass


class _StateDue(msgspec.Struct, frozen=True):
    pass


class _Beat(msgspec.Struct, frozen=True):
    pass


class _Answered(msgspec.Struct, frozen=True):
    events: list[dict[str, Any]]
    status: int | None  # None: no answer
    words: str


class Collecting(Actor[Any]):
    def __init__(
        self, session: ActorRef[Any], poster: Poster, url: str, options: CmcdOptions, utc_us: Callable[[], int]
    ) -> None:
        self._session = session
        self._poster = poster
        self._url = url
        self._utc_us = utc_us
        self._responses = Responses(options)
        self._states = PlayerStates()
        self._is_beating = False
        self._is_sending = False
        self._words = ""  # said of the collector last

    def receive(self, message: Any) -> None:
        responses = self._responses
        match message:
            case PartGrew(transfer, _, at_us):
                responses.grew(transfer, at_us)
            case PartBegan():
                is_range = message.first_byte > 0 or message.segment.byte_range is not None
                responses.began(
                    message.transfer, message.segment, message.source, is_range=is_range, now_us=message.at_us
                )
            case PartEnded(transfer, outcome, reason, at_us):
                responses.ended(transfer, outcome, reason, now_us=at_us, utc_us=self._utc_us())
                self._plan()
            case Asked():
                self._on_asked(message)
            case Completed(key):
                self._became(self._states.came(key, self.now_us))
            case Left(key):
                self._states.left(key)
            case Failed(key):
                self._states.left(key)
                self._say("e", ec=(UNAVAILABLE,))
            case _StateDue():
                self._became(self._states.passed(self.now_us))
            case _Beat():
                self._say("t", sta=self._states.state)
                self._is_beating = False
                self._beat()
            case RenditionKnown(number, medium, is_live):
                responses.telemetry.listed(number, medium, is_live=is_live)
            case _Send() if not self._is_sending and (events := responses.take()):
                self._is_sending = True
                self.start_task(self._send(events), name="collect")
            case _Answered():
                self._on_answered(message)

    def _on_asked(self, asked: Asked) -> None:
        is_last = not asked.has_next and not self._responses.telemetry.is_live(asked.segment.key.rendition)
        self._became(
            self._states.asked(asked.segment, asked.deadline_us, self.now_us, is_there=asked.is_there, is_last=is_last)
        )
        self._beat()

    def _became(self, states: list[str]) -> None:
        for state in states:
            self._say("ps", sta=state)
        due_us = self._states.due_us()
        if due_us is not None:
            self.start_timer("state", _StateDue(), delay_us=max(0, due_us - self.now_us))

    def _beat(self) -> None:
        if not self._is_beating and self._states.state != "e":
            self._is_beating = True
            self.start_timer("beat", _Beat(), delay_us=BEAT_US)

    def _say(self, event: str, **values: Any) -> None:
        self._responses.say(event, self._utc_us(), **values)
        self._plan()

    def _plan(self) -> None:
        due_us = None if self._is_sending else self._responses.due_us(self.now_us)
        if due_us is not None:
            self.start_timer("send", _Send(), delay_us=due_us - self.now_us)

    async def _send(self, events: list[dict[str, Any]]) -> None:
        status, words = None, ""
        try:
            status = await self._poster.post(self._url, report(events), MIME_TYPE, timeout_us=TIMEOUT_US)
            words = f"it answered {status}"
        except TransportError as error:
            words = str(error)
        await self.ref.send(_Answered(events, status, words))

    def _on_answered(self, answered: _Answered) -> None:
        self._is_sending = False
        if answered.status is not None and 200 <= answered.status < 300:
            self._responses.sent(self.now_us)
        else:
            self._responses.refused(answered.events, answered.status, self.now_us)
            if answered.words != self._words:  # once, and not at each try
                self._words = answered.words
                lost = f"; {self._responses.lost} events are lost by now" if self._responses.lost else ""
                self._session.tell(Noted(f"the collector of CMCD took no events: {answered.words}{lost}"))
        self._plan()
