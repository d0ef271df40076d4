"""Was it the CDN that was left, or the viewer's own line?

One CDN's figures cannot tell the two apart.  So a CDN that is left for its silence or slowness is only *accused*,
unless it never answered, and whoever goes on in its place is the witness:

    convicted   the witness answers at once, and sends as the line is used to, or is clearly faster than one that was
                slow: the CDN is marked for what it did
    acquitted   the witness is as slow, or as silent: it was the line, and nothing is marked

A CDN that is marked for what the line did costs the next one's price and, where all are marked, tells nothing any more.
To go from one to the next on a slow line costs a connection each time.  So after a third trial in vain nobody is left
for a second.
"""

from __future__ import annotations

from .ledger import Ledger
from .transfers import Accusation, Transfer

__all__ = ["Trials"]

_SEEN_US = 400_000  # of a body, as for any projection of a finish
_PROMPT_TIMES = 2  # the usual wait for a first byte: past most of them
_WELL_SHARE = 0.5  # of what the line has carried: who sends as much has a line that is well
_FREE = 2  # trials in vain in a row: of two that are at fault the third is found at once
_HOLD_US = 1_000_000  # after each beyond these; longer, and who is late beside a peer that is well waits for it in vain


class Trials:
    __slots__ = ("_book", "_vain", "hold_until_us")

    def __init__(self, book: Ledger) -> None:
        self._book = book
        self._vain = 0  # in a row
        self.hold_until_us = 0

    def accuse(self, transfer: Transfer, reason: str, now_us: int) -> None:
        """It was left; who is asked next for the same is the witness."""
        want = transfer.want
        accusation = want.accusation
        if accusation is not None:
            if accusation.label == transfer.label:
                self._convict(accusation, now_us)  # asked anew, since there was nowhere else to go
            else:
                self.in_vain(now_us)
        silent_us = now_us - transfer.started_us if transfer.first_byte_us is None else None
        want.accusation = Accusation(transfer.label, reason, transfer.bytes_per_s or 0.0, silent_us)
        if silent_us is not None:  # not even an answer: that takes next to nothing of a line
            self._convict(want.accusation, now_us)
            want.accusation = None

    def hear(self, transfer: Transfer, now_us: int, is_over: bool = False) -> None:
        """Judge, if the witness has shown enough."""
        accusation = transfer.want.accusation
        if accusation is None or transfer.first_byte_us is None or transfer.number == transfer.want.rival:
            return
        config = self._book.config
        if accusation.label == transfer.label:
            is_guilty = True  # there was nowhere else to go, and asked anew it answers
        else:
            body_us = now_us - transfer.first_byte_us
            if body_us < _SEEN_US and not is_over:
                return
            rate = transfer.bytes_per_s or transfer.received_bytes * 1_000_000 / max(1, body_us)
            if accusation.reason == "slow":
                least = accusation.bytes_per_s / config.move_gain
            else:
                least = _WELL_SHARE * (self._book.line.bytes_per_s or 0.0)
            is_guilty = rate >= least and transfer.first_byte_us - transfer.started_us <= self._prompt_us(transfer)
        transfer.want.accusation = None
        if is_guilty:
            self._convict(accusation, now_us)
            self.gained()
        elif not transfer.is_peer:
            self.in_vain(now_us)

    def _prompt_us(self, transfer: Transfer) -> int:
        """How soon it answers if nothing is wrong with the line."""
        return max(self._book.config.first_byte_limit_us, int(_PROMPT_TIMES * transfer.usual_us))

    def in_vain(self, now_us: int) -> None:
        """Another was no better."""
        self._vain += 1
        if self._vain > _FREE:
            self.hold_until_us = now_us + _HOLD_US

    def gained(self) -> None:
        """Another was clearly better."""
        self._vain = 0
        self.hold_until_us = 0

    def _convict(self, accusation: Accusation, now_us: int) -> None:
        cdn = self._book.cdns[accusation.label]
        if accusation.reason == "slow":
            cdn.estimate.fell_to(accusation.bytes_per_s)
            cdn.falls += 1
            return
        cdn.estimate.failed(now_us, accusation.reason)
        if accusation.silent_us is not None:
            cdn.estimate.first_byte(accusation.silent_us)
        cdn.circuit.failed(now_us)
