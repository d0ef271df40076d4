"""One side of a bridge between JavaScript and actors: frames and calls and times in, actions out.

    waiting --hello--> open --bye, close--> closed
       \\-- no or a wrong hello --------------^

Nothing is reached that was not registered: `expose` names the actors that the other
side may send to, and their messages; `reach` the actors of the other side, and what
they take and answer.  What is refused is told to an asker, and otherwise counted:

    malformed       no frame, or one that makes no sense now
    too_large       beyond BridgeLimits; before hello, more than that takes
    unknown_name    for an actor that is not exposed
    unknown_type    a message that the actor is not exposed for
    bad_message     fields that are not the type's
    overloaded      more asks at once than asks_max
    late_answer     to an ask that is over, or that was never made

Its user counts what he finds himself (`drop`): no such actor lives, its mailbox is full, a wrong origin.

Each ask is settled once: answered, failed, or timed out here, whatever the other side does.
"""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from shoal.transports.errors import BadMessage, ChannelClosed, MessageTooLarge, Overloaded

from .bridge_actions import (
    Abandoned,
    Action,
    Answered,
    BridgeStatistics,
    Closed,
    Deliver,
    Failed,
    Opened,
    Problem,
    Send,
)
from .bridge_frames import (
    VERSION,
    Answer,
    Ask,
    BridgeLimits,
    Bye,
    Cancel,
    Fail,
    Frame,
    FrameMalformed,
    Hello,
    Tell,
    decode_frame,
    encode_frame,
)
from .bridge_values import MessageTypes, convert_value, put_back, take_out

__all__ = ["BridgeCore"]


_ERROR_CHARACTERS = 8192  # a thousand of them, each escaped, and the rest of the frame
_STRANGE_CHARACTERS_MAX = _ERROR_CHARACTERS  # of who has not said hello yet: that is a hello, or a bye and why
_NO_HELLO = "the other side did not begin with hello"


class _Asked(msgspec.Struct):
    to: str
    answers: Any
    deadline_us: int


class BridgeCore:
    """Sans-IO; calls come one at a time."""

    def __init__(self, limits: BridgeLimits | None = None, *, token: str | None = None, begins: bool = False) -> None:
        """One side `begins`, with the hello and the token; the other one checks that it is `token`."""
        self.limits = limits or BridgeLimits()
        if self.limits.text_characters_max < _ERROR_CHARACTERS:
            raise ValueError(
                f"text_characters_max is {self.limits.text_characters_max}; errors take {_ERROR_CHARACTERS}"
            )
        self._token = token
        self._begins = begins
        self._exposed: dict[str, MessageTypes] = {}
        self._reached: dict[str, tuple[MessageTypes, Any]] = {}
        self._asked: dict[int, _Asked] = {}  # in order of their deadlines, since all wait for equally long
        self._questions: set[int] = set()
        self._last_ask = 0
        self._sent = 0
        self._received = 0
        self._dropped: Counter[str] = Counter()
        self._hello_deadline_us: int | None = None
        self._is_open = False
        self._why_closed: str | None = None

    def expose(self, name: str, types: Iterable[type[msgspec.Struct]]) -> None:
        """Let the other side send these messages to the actor of that name.  TypeError, ValueError."""
        self._exposed[name] = MessageTypes(types)

    def reach(self, name: str, types: Iterable[type[msgspec.Struct]], answers: Any = None) -> None:
        """Name an actor of the other side, what is sent to it, and the type of its answers."""
        self._reached[name] = (MessageTypes(types), answers)

    @property
    def is_open(self) -> bool:
        return self._is_open

    @property
    def next_deadline_us(self) -> int | None:
        """When `expire` has something to do."""
        if self._hello_deadline_us is not None:
            return self._hello_deadline_us
        return next(iter(self._asked.values())).deadline_us if self._asked else None

    def statistics(self) -> BridgeStatistics:
        return BridgeStatistics(
            sent=self._sent,
            received=self._received,
            dropped=dict(self._dropped),
            asked=len(self._asked),
            questions=len(self._questions),
        )

    def drop(self, reason: str) -> None:
        """Count what its user dropped."""
        self._dropped[reason] += 1

    # ours

    def begin(self, now_us: int) -> list[Action]:
        """Once there is a carrier; a bridge that was closed before has it closed."""
        if self._why_closed is not None:
            return [Closed(self._why_closed)]
        self._hello_deadline_us = now_us + self.limits.hello_timeout_us
        return [self._sending(Hello(version=VERSION, token=self._token))] if self._begins else []

    def tell(self, name: str, message: msgspec.Struct) -> list[Action]:
        """BadMessage, MessageTooLarge, ChannelClosed: nothing was sent."""
        types, _ = self._way_to(name)
        kind = types.name_of(message)
        body, parts, places = types.take_out(message)
        return [self._sending(Tell(to=name, type=kind, body=body, at=places), parts)]

    def ask(self, name: str, message: msgspec.Struct, now_us: int) -> tuple[int, list[Action]]:
        """The number under which the answer, or the failure, comes.  Overloaded, and as `tell`."""
        types, answers = self._way_to(name)
        if len(self._asked) >= self.limits.asks_max:
            self.drop("overloaded")
            raise Overloaded(f"{len(self._asked)} asks wait for JavaScript; ask less at once, or raise asks_max")
        kind = types.name_of(message)
        body, parts, places = types.take_out(message)
        number = self._last_ask + 1
        frame = Ask(id=number, to=name, type=kind, body=body, at=places, ms=self.limits.ask_timeout_us // 1000)
        action = self._sending(frame, parts)
        self._last_ask = number
        self._asked[number] = _Asked(name, answers, now_us + self.limits.ask_timeout_us)
        return number, [action]

    def give_up(self, ask: int) -> list[Action]:
        """Our asker waits no longer."""
        return [] if self._asked.pop(ask, None) is None else [self._sending(Cancel(id=ask))]

    def answer(self, ask: int, value: object) -> list[Action]:
        """Answer a question of the other side's; one that cannot cross becomes a failure."""
        if ask not in self._questions:
            return []
        try:
            body, parts, places = take_out(value)
            action = self._sending(Answer(id=ask, body=body, at=places), parts)
        except (BadMessage, MessageTooLarge) as error:
            return self.fail(ask, Problem(type(error).__name__, f"the answer: {error}"))
        self._questions.discard(ask)
        return [action]

    def fail(self, ask: int, problem: Problem) -> list[Action]:
        """Answer a question with an error."""
        if ask not in self._questions:
            return []
        self._questions.discard(ask)
        return [self._failing(ask, problem)]

    def expire(self, now_us: int) -> list[Action]:
        """What is over by now."""
        if self._hello_deadline_us is not None:
            late = self._hello_deadline_us <= now_us
            return self.close("the other side did not say hello in time") if late else []
        actions: list[Action] = []
        for number, asked in list(self._asked.items()):
            if asked.deadline_us > now_us:
                break
            del self._asked[number]
            waited_s = self.limits.ask_timeout_us / 1e6
            actions.append(Failed(number, Problem("AskTimedOut", f"{asked.to} did not answer within {waited_s:g} s")))
            actions.append(self._sending(Cancel(id=number)))
        return actions

    def close(self, why: str, *, is_lost: bool = False) -> list[Action]:
        """End: every ask fails, every question is abandoned.  Nothing the second time.

        `is_lost`: there is no carrier left to say goodbye by.
        """
        if self._why_closed is not None:
            return []
        goodbye: list[Action] = [] if is_lost else [self._sending(Bye(why=_words(why)))]
        self._is_open = False
        self._why_closed = why
        self._hello_deadline_us = None
        asked, self._asked = self._asked, {}
        questions, self._questions = self._questions, set()
        return [
            *goodbye,
            *(Failed(number, Problem("BridgeClosed", f"the bridge was closed: {why}")) for number in asked),
            *map(Abandoned, sorted(questions)),
            Closed(why),
        ]

    # theirs

    def receive(self, text: str, parts: Sequence[bytes], now_us: int) -> list[Action]:
        """Take a frame.  Raises nothing, whatever it is."""
        if self._why_closed is not None:
            return []
        self._received += 1
        if not self._is_open and (parts or len(text) > _STRANGE_CHARACTERS_MAX):
            self.drop("too_large")
            return self.close(_NO_HELLO)
        try:
            frame = decode_frame(text, parts, self.limits)
        except (FrameMalformed, MessageTooLarge) as error:
            self.drop("malformed" if isinstance(error, FrameMalformed) else "too_large")
            return [] if self._is_open else self.close(_NO_HELLO)
        if isinstance(frame, Hello):
            return self._greeted(frame)
        if isinstance(frame, Bye):
            return self.close(f"by the other side: {frame.why}", is_lost=True)
        if not self._is_open:
            self.drop("malformed")
            return self.close(_NO_HELLO)
        match frame:
            case Tell():
                return self._told(frame, parts)
            case Ask():
                return self._questioned(frame, parts)
            case Answer():
                return self._answered(frame, parts)
            case Fail():
                return self._failed(frame)
            case Cancel():
                if frame.id in self._questions:
                    self._questions.discard(frame.id)
                    return [Abandoned(frame.id)]
                return []  # our answer and this crossed

    def _greeted(self, hello: Hello) -> list[Action]:
        if self._is_open:
            self.drop("malformed")
            return []
        if hello.version != VERSION:
            return self.close(f"the other side speaks version {hello.version} of the bridge, this one {VERSION}")
        if not self._begins and self._token is not None:
            given = (hello.token or "").encode(errors="replace")
            if not hmac.compare_digest(given, self._token.encode()):  # in time that says nothing of how much was right
                self.drop("wrong_token")
                return self.close("the token is missing or wrong")
        self._is_open = True
        self._hello_deadline_us = None
        return [Opened()] if self._begins else [self._sending(Hello(version=VERSION)), Opened()]

    def _told(self, frame: Tell, parts: Sequence[bytes]) -> list[Action]:
        problem = self._refusal(frame)
        if problem is not None:
            return []
        try:
            message = self._exposed[frame.to].put_back(frame.type, frame.body, parts, frame.at)
        except BadMessage:
            self.drop("bad_message")
            return []
        return [Deliver(frame.to, message)]

    def _questioned(self, frame: Ask, parts: Sequence[bytes]) -> list[Action]:
        if frame.id in self._questions:
            self.drop("malformed")
            return []
        problem = self._refusal(frame)
        if problem is None and len(self._questions) >= self.limits.asks_max:
            self.drop("overloaded")
            problem = Problem("Overloaded", f"{self.limits.asks_max} asks are open already; wait for some answers")
        if problem is not None:
            return [self._failing(frame.id, problem)]
        try:
            message = self._exposed[frame.to].put_back(frame.type, frame.body, parts, frame.at)
        except BadMessage as error:
            self.drop("bad_message")
            return [self._failing(frame.id, Problem("BadMessage", str(error)))]
        self._questions.add(frame.id)
        return [Deliver(frame.to, message, frame.id, min(1000 * frame.ms, self.limits.ask_timeout_us))]

    def _refusal(self, frame: Tell | Ask) -> Problem | None:
        types = self._exposed.get(frame.to)
        if types is None:
            self.drop("unknown_name")
            return Problem("NotRegistered", f"no actor {frame.to!r} may be reached from here")
        if frame.type not in types:
            self.drop("unknown_type")
            return Problem("NotRegistered", f"{frame.to} takes {', '.join(types.names)} from here, not {frame.type!r}")
        return None

    def _answered(self, frame: Answer, parts: Sequence[bytes]) -> list[Action]:
        asked = self._asked.pop(frame.id, None)
        if asked is None:
            self.drop("late_answer")
            return []
        try:
            return [Answered(frame.id, convert_value(put_back(frame.body, parts, frame.at), asked.answers))]
        except BadMessage as error:
            self.drop("bad_message")
            return [Failed(frame.id, Problem("BadMessage", f"{asked.to} answered: {error}"))]

    def _failed(self, frame: Fail) -> list[Action]:
        if self._asked.pop(frame.id, None) is None:
            self.drop("late_answer")
            return []
        return [Failed(frame.id, Problem(frame.name, frame.message))]

    def _way_to(self, name: str) -> tuple[MessageTypes, Any]:
        if not self._is_open:
            self.drop("closed")
            raise ChannelClosed(f"the bridge is not open: {self._why_closed or 'no hello yet'}", detail="not open")
        return self._reached[name]

    def _failing(self, ask: int, problem: Problem) -> Action:
        return self._sending(Fail(id=ask, name=_words(problem.name, 200) or "Error", message=_words(problem.message)))

    def _sending(self, frame: Frame, parts: Sequence[bytes] = ()) -> Send:
        try:
            wire = encode_frame(frame, parts, self.limits)
        except UnicodeError as error:
            raise BadMessage(f"its text is no Unicode: {error}"[:300]) from None
        except MessageTooLarge:
            self.drop("too_large")
            raise
        self._sent += 1
        return Send(wire)


def _words(text: str, characters_max: int = 1000) -> str:
    """Bounded, and Unicode whatever it was."""
    return text[:characters_max].encode(errors="replace").decode()
